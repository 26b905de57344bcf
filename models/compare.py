"""How much two pictures differ: PSNR, SSIM, the largest difference and the number of changed pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

# The SSIM window is a Gaussian, 11 pixels wide; a smaller picture has no SSIM.
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5


@dataclass(frozen=True)
class Comparison:
    """Figures of one region of two batches of pictures in 0..1; NaN where the region is empty.

    psnr: dB, infinite for equal pictures. ssim: -1..1. changed_pixels: pixels in which any channel
    differs at all.
    """

    pixels: int
    psnr: float
    ssim: float
    max_abs_diff: float
    changed_pixels: int


def compare(first: torch.Tensor, second: torch.Tensor, region: torch.Tensor | None = None) -> Comparison:
    """Compare two batches (B, 3, H, W) in 0..1 within region (B, 1, H, W) bool, or everywhere.

    SSIM (Wang et al. 2004, Gaussian window) is computed on the whole pictures and averaged over the region.
    """
    if region is None:
        region = torch.ones_like(first[:, :1], dtype=torch.bool)
    count = int(region.sum())
    if count == 0:
        return Comparison(0, math.nan, math.nan, 0.0, 0)
    difference = (first - second).abs()
    squared = difference.square().mean(1, keepdim=True)[region].double().mean().item()
    return Comparison(
        pixels=count,
        psnr=-10 * math.log10(squared) if squared > 0 else math.inf,
        ssim=_ssim(first, second, region),
        max_abs_diff=difference.amax(1, keepdim=True)[region].max().item(),
        changed_pixels=int((difference.amax(1, keepdim=True) > 0)[region].sum()),
    )


def _ssim(first: torch.Tensor, second: torch.Tensor, region: torch.Tensor) -> float:
    if min(first.shape[2:]) < SSIM_WINDOW:
        return math.nan
    return ssim_map(first, second).mean(1, keepdim=True)[region].double().mean().item()


def ssim_map(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Local SSIM (B, C, H, W) of two batches in 0..1 (Wang et al. 2004, eq. 13), the borders mirrored."""
    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b = _blur(first), _blur(second)
    var_a, var_b = _blur(first * first) - mean_a**2, _blur(second * second) - mean_b**2
    covariance = _blur(first * second) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance * (2 * covariance + c2) / (var_a + var_b + c2)


def _blur(pixels: torch.Tensor) -> torch.Tensor:
    radius = SSIM_WINDOW // 2
    offsets = torch.arange(-radius, radius + 1, dtype=pixels.dtype, device=pixels.device)
    kernel = torch.softmax(-(offsets**2) / (2 * SSIM_SIGMA**2), dim=0)
    flat = pixels.reshape(-1, 1, *pixels.shape[2:])
    padded = F.pad(flat, (radius,) * 4, mode="reflect")
    blurred = F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return blurred.reshape(pixels.shape)
