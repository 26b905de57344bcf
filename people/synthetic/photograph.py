"""What a camera and a file make of a scene: exposure, white balance, curve, vignette, noise; and, for
training only, blur, resampling and JPEG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws

_REFERENCE = 256
_LUMA = (0.299, 0.587, 0.114)
_QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
"""The table of the JPEG standard's annex K for brightness."""


@dataclass(frozen=True)
class Photograph:
    """How one picture is taken, the same for every pixel of it that shows the same: gain (3, 1, 1) of the
    picture's values, contrast, black level, saturation, shade (1, S, S) of the vignette, noise (3, S, S).
    """

    gain: Tensor
    contrast: float
    black: float
    saturation: float
    shade: Tensor
    noise: Tensor

    def develop(self, layer: Tensor) -> Tensor:
        """(3, S, S) 0..1 to the same. It works pixel by pixel, so layers are developed before they are put on
        one another and stay what they are where nothing covers them.
        """
        image = layer * (self.gain * self.shade)
        image = image - 0.28 * (image - 0.72).clamp(0, 0.6) ** 2 - 0.35 * (image - 1).clamp_min(0)
        bent = image + self.contrast * image * (1 - image) * (image - 0.45) * 4
        luma = bent[:1] * _LUMA[0] + bent[1:2] * _LUMA[1] + bent[2:] * _LUMA[2]
        toned = self.black + (1 - self.black) * (luma + self.saturation * (bent - luma))
        grain = self.noise * (0.35 + 0.65 * (1 - luma.clamp(0, 1)))
        return (toned + grain).clamp(0, 1)


def sample_photograph(seed: int, size: int, device: torch.device | str = "cpu") -> Photograph:
    """The exposure and the rest of the picture of this seed, `size` pixels a side."""
    draws = Draws(seed, "photo")
    stops, warmth, tint = draws.normal(0.12, 0.28), draws.normal(0, 0.07), draws.normal(0, 0.025)
    gain = torch.tensor([warmth / 2, -tint / 2, -warmth / 2]).exp() * 2 ** (stops / 2)
    contrast, black = draws.normal(0.12, 0.14), max(0.0, draws.normal(0.01, 0.025))
    saturation = draws.normal(0.96, 0.12)
    corner = draws.uniform(0.0, 0.35) if draws.chance(0.6) else 0.0
    line = (torch.arange(size) + 0.5) / size - 0.5
    shade = 1 - corner * (line[None, :] ** 2 + line[:, None] ** 2)
    strength = draws.uniform(0.0, 0.03) if draws.chance(0.8) else draws.uniform(0.025, 0.05)
    noise = _noise(draws, size) * strength * min(1.0, math.sqrt(size / _REFERENCE) * 0.5 + 0.4)
    return Photograph(
        gain[:, None, None].to(device), contrast, black, saturation, shade[None].to(device), noise.to(device)
    )


def _noise(draws: Draws, size: int) -> Tensor:
    """(3, S, S) about unit strength: brightness from pixel to pixel, colour in soft blotches."""
    coarse = (size + 1) // 2
    colour = F.interpolate(
        draws.array(1, 3, coarse, coarse), (size, size), mode="bilinear", align_corners=False
    )[0]
    return 2.6 * (draws.array(1, size, size) - 0.5) + 2.4 * (colour - 0.5)


# -- what spreads from pixel to pixel: for training only


def degrade(images: Tensor, seeds: Sequence[int]) -> Tensor:
    """Pictures (B, 3, H, W) 0..1 as they come from phones and the net: out of focus, shaken, scaled down
    and up, sharpened, stored as JPEG. Each by its seed; size and range stay.
    """
    return torch.stack(
        [_degrade(image, Draws(seed, "photo")) for image, seed in zip(images, seeds, strict=True)]
    )


def _degrade(image: Tensor, draws: Draws) -> Tensor:
    side = min(image.shape[-2:])
    image = image[None]
    if draws.chance(0.35):
        image = defocus(image, draws.uniform(0.3, 0.012 * side + 0.4))
    if draws.chance(0.15):
        image = shake(image, draws.uniform(1.0, 0.035 * side), draws.uniform(0, math.pi))
    if draws.chance(0.35):
        image = resample(image, draws.uniform(0.35, 0.9))
    if draws.chance(0.25):
        image = image + draws.uniform(0.2, 0.9) * (image - defocus(image, 0.8))
    if draws.chance(0.6):
        image = jpeg(image.clamp(0, 1), draws.uniform(25, 92))
    return image[0].clamp(0, 1)


def defocus(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, sigma in pixels."""
    reach = max(1, math.ceil(2.5 * sigma))
    line = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (line / max(sigma, 1e-3)) ** 2)
    kernel = (kernel / kernel.sum()).repeat(3, 1)
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[:, None, None], groups=3), kernel[:, None, :, None], groups=3)


def shake(images: Tensor, length: float, angle: float) -> Tensor:
    """Motion blur over `length` pixels in a direction."""
    reach = max(1, math.ceil(length / 2))
    line = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    along = line[None, :] * math.cos(angle) + line[:, None] * math.sin(angle)
    aside = line[:, None] * math.cos(angle) - line[None, :] * math.sin(angle)
    kernel = (1 - aside.abs()).clamp_min(0) * (length / 2 + 0.5 - along.abs()).clamp(0, 1)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1, -1)
    return F.conv2d(F.pad(images, (reach,) * 4, mode="replicate"), kernel, groups=3)


def resample(images: Tensor, factor: float) -> Tensor:
    """Scaled down by a factor and up again."""
    height, width = images.shape[-2:]
    small = (max(8, round(height * factor)), max(8, round(width * factor)))
    less = F.interpolate(images, small, mode="bilinear", align_corners=False, antialias=True)
    return F.interpolate(less, (height, width), mode="bilinear", align_corners=False)


def jpeg(images: Tensor, quality: float) -> Tensor:
    """Pictures (B, 3, H, W) 0..1 through JPEG's transform and rounding at a quality 1..100, colour halved."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate") * 255
    red, green, blue = padded.unbind(1)
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    chroma = F.avg_pool2d(torch.stack([(blue - luma) * 0.564, (red - luma) * 0.713], 1), 2)
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    table = (torch.tensor(_QUANTISATION, device=images.device, dtype=images.dtype) * scale).clamp_min(1)
    luma = _rounded(luma[:, None] - 128, table)[:, 0] + 128
    chroma = F.interpolate(
        _rounded(chroma, table * 1.4),
        scale_factor=2,
        mode="bilinear",
        align_corners=False,
    )
    blue, red = luma + chroma[:, 0] / 0.564, luma + chroma[:, 1] / 0.713
    green = (luma - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    return (torch.stack([red, green, blue], 1)[..., :height, :width] / 255).clamp(0, 1)


def _rounded(planes: Tensor, table: Tensor) -> Tensor:
    """Cosine transform of blocks of 8 x 8, rounded to multiples of the table's numbers, and back."""
    batch, channels, height, width = planes.shape
    step = torch.arange(8, device=planes.device, dtype=planes.dtype)
    basis = torch.cos((2 * step[None, :] + 1) * step[:, None] * math.pi / 16) * 0.5
    basis = torch.cat([basis[:1] * math.sqrt(0.5), basis[1:]])
    blocks = planes.view(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    coefficients = basis @ blocks @ basis.T
    coefficients = (coefficients / table).round() * table
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(batch, channels, height, width)
