"""Random changes of training pictures for the perception recipes: geometry with joints and masks, and colour.

All draws come from a CPU generator, so a batch is a pure function of (seed, step).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ...people.keypoints import HFLIP_18

FILLS = 3


@dataclass(frozen=True)
class ViewRange:
    """Ranges of the random similarity: scale factors, degrees either way, shift as a fraction of the side.

    flip, unchanged, stray: shares of pictures that are mirrored, not moved, or enlarged and moved so far that
    little or nothing of the person is left.
    """

    scale: tuple[float, float] = (0.7, 1.25)
    degrees: float = 15.0
    shift: float = 0.1
    flip: float = 0.5
    unchanged: float = 0.25
    stray: float = 0.0


@dataclass(frozen=True)
class Views:
    """One similarity per picture, p_out = matrix @ (p_in - centre) + centre + shift; which are mirrored."""

    matrix: torch.Tensor
    shift_px: torch.Tensor
    flipped: torch.Tensor
    size: int

    def warp(
        self, images: torch.Tensor, fill: torch.Tensor | float = 0.0, mode: str = "bilinear"
    ) -> torch.Tensor:
        """Pictures or masks (B,C,S,S) moved; what comes from outside is `fill` (a number or (B,C,1,1))."""
        return sampled(images, self.grid(), fill, mode)

    def grid(self) -> torch.Tensor:
        """Where in the pictures every pixel of the moved ones comes from, (B,S,S,2), for `sampled`."""
        inverse = torch.linalg.inv(self.matrix)
        offset = -(inverse @ (self.shift_px * 2 / self.size)[:, :, None])
        shape = [len(self.matrix), 1, self.size, self.size]
        return F.affine_grid(torch.cat([inverse, offset], dim=2), shape, align_corners=False)

    def move(self, points_px: torch.Tensor) -> torch.Tensor:
        """Points (B,n,2) moved; left and right are not exchanged."""
        centre = self.size / 2
        return (points_px - centre) @ self.matrix.transpose(1, 2) + centre + self.shift_px[:, None]


def sampled(
    images: torch.Tensor, grid: torch.Tensor, fill: torch.Tensor | float = 0.0, mode: str = "bilinear"
) -> torch.Tensor:
    """Pictures or masks (B,C,S,S) at the places of a grid.

    Args:
        images: (B,C,H,W).
        grid: (B,S,S,2) x, y in -1..1, as grid_sample has them with align_corners=False.
        fill: what lies outside, a number or (B,C,1,1).
        mode: "bilinear" or "nearest".
    """
    return F.grid_sample(images - fill, grid, mode=mode, padding_mode="zeros", align_corners=False) + fill


def random_views(count: int, size: int, generator: torch.Generator, ranges: ViewRange = ViewRange()) -> Views:
    """Random similarities for `count` square pictures of side `size`; some are left as they are.

    Args:
        count: number of pictures.
        size: their side in pixels.
        generator: where the random numbers come from.
        ranges: how far scale, angle and shift may go.
    """
    draw = torch.rand(count, 7, generator=generator)
    low, high = ranges.scale
    keep = draw[:, 0] < ranges.unchanged
    stray = ~keep & (draw[:, 6] < ranges.stray)
    scale = torch.where(keep, 1.0, low * (high / low) ** draw[:, 1]) * torch.where(stray, 2.0, 1.0)
    angle = torch.where(keep, 0.0, (draw[:, 2] * 2 - 1) * ranges.degrees * torch.pi / 180)
    reach = torch.where(keep, 0.0, torch.where(stray, 0.8, ranges.shift))
    shift = (draw[:, 3:5] * 2 - 1) * reach[:, None] * size
    flipped = draw[:, 5] < ranges.flip
    cos, sin = scale * angle.cos(), scale * angle.sin()
    mirror = torch.where(flipped, -1.0, 1.0)
    rows = [torch.stack([cos * mirror, -sin], dim=1), torch.stack([sin * mirror, cos], dim=1)]
    return Views(torch.stack(rows, dim=1), shift, flipped, size)


def move_joints(views: Views, joints: torch.Tensor) -> torch.Tensor:
    """Joints (B,18,3) under the views: sides exchanged where mirrored, confidence 0 for those that leave."""
    swapped = torch.where(views.flipped[:, None, None], joints[:, list(HFLIP_18)], joints)
    xy = views.move(swapped[..., :2])
    inside = ((xy >= 0) & (xy < views.size)).all(dim=2)
    return torch.cat([xy, (swapped[..., 2] * inside)[..., None]], dim=2)


def exchange_sides(views: Views, values: torch.Tensor) -> torch.Tensor:
    """Per-joint values (B,18) with left and right exchanged where the view is mirrored."""
    return torch.where(views.flipped[:, None], values[:, list(HFLIP_18)], values)


def jitter_colours(images: torch.Tensor, generator: torch.Generator, strength: float = 0.15) -> torch.Tensor:
    """Pictures (B,3,H,W) in 0..1 with random contrast, brightness and channel gain, some soft, some noisy."""
    count = len(images)

    def around(spread: float, *shape: int) -> torch.Tensor:
        return (torch.rand(count, *shape, 1, 1, generator=generator) * 2 - 1) * spread

    contrast, brightness, gain = 1 + around(2 * strength, 1), around(strength, 1), 1 + around(strength, 3)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed = images * (contrast * gain) + (mean * (1 - contrast) + brightness) * gain
    order = torch.randperm(count, generator=generator)
    softened, noisy = order[: count // 3], order[count // 4 : count // 2]
    changed[softened] = _soft(changed[softened])
    noise = torch.randn(changed[noisy].shape, generator=generator)
    changed[noisy] += noise * 0.06 * torch.rand(len(noisy), 1, 1, 1, generator=generator)
    return changed.clamp_(0, 1)


def _soft(images: torch.Tensor) -> torch.Tensor:
    """Weights 1 2 1 over rows and columns, with replicated borders."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return (rows[..., :-2, :] + 2 * rows[..., 1:-1, :] + rows[..., 2:, :]) / 16


def random_fill(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What lies outside a moved picture (B,3,1,1): its mean border colour, mid-grey, or a random colour."""
    sides = [images[..., 0], images[..., -1], images[..., 0, :], images[..., -1, :]]
    border = torch.cat(sides, dim=2).mean(dim=2)
    choice = torch.randint(FILLS, (len(images), 1), generator=generator)
    colours = torch.rand(len(images), 3, generator=generator)
    fill = torch.where(choice == 0, border, torch.where(choice == 1, 0.5, colours))
    return fill[:, :, None, None]
