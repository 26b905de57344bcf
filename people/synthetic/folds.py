"""Folds of cloth: how its surface is tilted by drapes, creases and crumples."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 384
"""The textures have that many texels a side and span a metre, then they repeat."""
DRAPE, CREASE, CRUMPLE = range(3)
_BANDS = ((9.0, 1.6, 0.55), (4.0, 15.0, 0.45), (16.0, 13.0, 0.8))
"""Waves a metre across and down, and how wide the band is as a share."""


@lru_cache(maxsize=4)
def textures(device: str) -> Tensor:
    """(1,9,SIDE,SIDE): height -1..1 of each kind, then its slopes across, then down, 1 for a steep fold."""
    generator = torch.Generator().manual_seed(20)
    noise = torch.randn(len(_BANDS), SIDE, SIDE, generator=generator)
    wave = torch.fft.fftfreq(SIDE, 1 / SIDE)
    heights = []
    for each, (across, down, width) in zip(noise, _BANDS, strict=True):
        u, v = wave[None, :], wave[:, None]
        turned_u, turned_v = u + 0.25 * v, v - 0.2 * u
        far = ((turned_u / across) ** 2 + (turned_v / down) ** 2).sqrt()
        band = torch.exp(-(((far - 1) / width) ** 2))
        height = torch.fft.ifft2(torch.fft.fft2(each) * band).real
        height = height / height.std()
        heights.append(0.7 - (height**2 + 0.15).sqrt() + 0.35 * height)
    stacked = torch.stack(heights)
    slope_u = (stacked.roll(-1, 2) - stacked.roll(1, 2)) / 2
    slope_v = (stacked.roll(-1, 1) - stacked.roll(1, 1)) / 2
    scale = torch.stack([slope_u, slope_v]).flatten(2).pow(2).mean((0, 2)).sqrt()[:, None, None]
    return torch.cat([stacked, slope_u / scale, slope_v / scale])[None].to(device)


def folds(u: Tensor, v: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Height, slope across and slope down (p,) of cloth at u, v metres; weights (3,p) of the kinds."""
    known = textures(str(u.device))
    place = torch.stack([u % 1, v % 1], -1) * 2 - 1
    values = F.grid_sample(known, place[None, None], align_corners=False, padding_mode="border")[0, :, 0]
    patterns = values.view(3, 3, -1)
    height, across, down = (patterns * weights[None]).sum(1)
    return height, across, down
