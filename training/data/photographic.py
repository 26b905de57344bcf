"""What cameras do to a picture, and things in front of people: changes of pictures for perception to bear."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

GREY_SHARE, MIXED_SHARE = 0.1, 0.08
SOFT_SHARE, NOISY_SHARE, JPEG_SHARE = 0.4, 0.4, 0.25
GROUP = 4
MOST_SHRINK = 3.5
MOST_NOISE = 0.09
JPEG_QUALITY = (15, 85)
COVERS = 2
COVER_SIDES = (0.08, 0.45)
LUMINANCE = (0.299, 0.587, 0.114)


def photographed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B,3,S,S) in 0..1 as other cameras take them: colour, softness, noise, JPEG, at random."""
    changed = recoloured(images, generator)
    for start in range(0, len(changed), GROUP):
        part = changed[start : start + GROUP]
        draw = torch.rand(2, generator=generator).tolist()
        if draw[0] < SOFT_SHARE:
            changed[start : start + GROUP] = softened(part, 1 + (MOST_SHRINK - 1) * draw[1] ** 1.5)
    noisy = torch.rand(len(changed), generator=generator) < NOISY_SHARE
    strength = MOST_NOISE * torch.rand(len(changed), 1, 1, 1, generator=generator)[noisy].square()
    changed[noisy] += torch.randn(changed[noisy].shape, generator=generator) * (strength + 0.005)
    changed.clamp_(0, 1)
    packed = torch.rand(len(changed), 2, generator=generator).tolist()
    low, high = JPEG_QUALITY
    for index, (chance, quality) in enumerate(packed):
        if chance < JPEG_SHARE:
            changed[index] = jpeg(changed[index], int(low + (high - low) * quality))
    return changed


def recoloured(images: Tensor, generator: torch.Generator) -> Tensor:
    """Another exposure, contrast, white balance, saturation, gamma; some grey, some with mixed channels."""
    count = len(images)

    def around(low: float, high: float, channels: int = 1) -> Tensor:
        drawn = torch.rand(count, channels, 1, 1, generator=generator)
        return low * (high / low) ** drawn

    luminance = images.new_tensor(LUMINANCE)[None, :, None, None]
    draw = torch.rand(count, 1, 1, 1, generator=generator)
    saturation = torch.where(draw < GREY_SHARE, 0.0, around(0.5, 1.5))
    grey = (images * luminance).sum(1, keepdim=True)
    changed = torch.lerp(grey.expand_as(images), images, saturation)
    mixed = torch.rand(count, generator=generator) < MIXED_SHARE
    changed[mixed] = changed[mixed][:, torch.randperm(3, generator=generator)]
    changed = changed.clamp_(1e-3, 1).pow(around(0.6, 1.6))
    mean = changed.mean(dim=(1, 2, 3), keepdim=True)
    changed = (changed - mean) * around(0.6, 1.5) + mean * around(0.65, 1.4)
    return changed.mul_(around(0.85, 1.18, 3)).clamp_(0, 1)


def softened(images: Tensor, shrink: float) -> Tensor:
    """Pictures reduced by a factor and enlarged again."""
    size = images.shape[-1]
    small = max(8, round(size / shrink))
    reduced = F.interpolate(images, (small, small), mode="bilinear", antialias=True)
    return F.interpolate(reduced, (size, size), mode="bilinear", align_corners=False)


def jpeg(image: Tensor, quality: int) -> Tensor:
    """A picture (3,S,S) in 0..1 as JPEG leaves it."""
    from PIL import Image

    levels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    with io.BytesIO() as file:
        Image.fromarray(levels).save(file, "JPEG", quality=quality)
        with Image.open(file) as opened:
            return torch.from_numpy(np.array(opened)).permute(2, 0, 1).float() / 255


def random_covers(count: int, size: int, share: float, generator: torch.Generator) -> Tensor:
    """(B,1,S,S) 0 or 1: rectangles and ellipses that lie in front of some of the pictures.

    Args:
        count: B.
        size: S in pixels.
        share: of the pictures that have any, 0..1.
        generator: where the random numbers come from.
    """
    axis = torch.arange(size) + 0.5
    covers = torch.zeros(count, 1, size, size)
    used = torch.rand(count, 1, 1, generator=generator) < share
    low, high = COVER_SIDES
    for _ in range(COVERS):
        draw = torch.rand(count, 6, generator=generator)
        half = (low + (high - low) * draw[:, :2].square()) * size / 2
        across = (axis - draw[:, 2:3] * size) / half[:, :1]
        down = (axis - draw[:, 3:4] * size) / half[:, 1:]
        square = torch.maximum(across.abs()[:, None, :], down.abs()[:, :, None]) < 1
        ellipse = across.square()[:, None, :] + down.square()[:, :, None] < 1
        shape = torch.where(draw[:, 4, None, None] < 0.5, square, ellipse)
        shape &= used & (draw[:, 5, None, None] < 0.7)
        covers[:, 0] = torch.maximum(covers[:, 0], shape.float())
    return covers
