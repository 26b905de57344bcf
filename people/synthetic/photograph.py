"""What a camera makes of a scene, pixel by pixel: exposure, white balance, curve, vignette, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws

_REFERENCE = 256
_LUMA = (0.299, 0.587, 0.114)


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
