"""How much two pictures differ: PSNR, SSIM, the largest difference and the number of changed pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

# The SSIM window is a Gaussian of sigma 1.5, 11 pixels wide; a smaller picture has no SSIM.
SSIM_WINDOW = 11


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
    from torchmetrics.functional.image import structural_similarity_index_measure

    if min(first.shape[2:]) < SSIM_WINDOW:
        return math.nan
    scores = [
        structural_similarity_index_measure(a[None], b[None], data_range=1.0, return_full_image=True)[1]
        for a, b in zip(first, second, strict=True)
    ]
    return torch.cat(scores).mean(1, keepdim=True)[region].double().mean().item()
