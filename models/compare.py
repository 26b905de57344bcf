"""How much two pictures differ: PSNR, SSIM, the largest difference and the number of changed pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

# The SSIM window is a Gaussian, 11 pixels wide; a smaller picture has no SSIM.
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
RADIUS = SSIM_WINDOW // 2
TILE = 128
"""Pixels; a tile and what is made of it stay in a processor's cache."""


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


def compare_parts(
    first: torch.Tensor, second: torch.Tensor, region: torch.Tensor | None = None
) -> tuple[Comparison, Comparison]:
    """Compare two batches (B, C, H, W) in 0..1 within region (B, 1, H, W) bool, and outside of it.

    SSIM (Wang et al. 2004, Gaussian window) is that of the whole pictures, averaged over the region. It is
    made in tiles, once for both parts: pictures of any size take a few MB beside themselves.
    """
    height, width = first.shape[2:]
    has_ssim = min(height, width) >= SSIM_WINDOW
    inside, outside = _Sums(), _Sums()
    for row in range(len(first)):
        for y0, y1 in spans(height):
            for x0, x1 in spans(width):
                here = (slice(row, row + 1), slice(None), slice(y0, y1), slice(x0, x1))
                difference = (first[here] - second[here]).abs().contiguous()
                ssim = _ssim_of_tile(first, second, row, (y0, y1), (x0, x1)) if has_ssim else None
                chosen = None if region is None else region[here]
                if chosen is None or bool(chosen.all()):
                    inside.add(difference, ssim, None)
                elif not bool(chosen.any()):
                    outside.add(difference, ssim, None)
                else:
                    inside.add(difference, ssim, chosen)
                    outside.add(difference, ssim, ~chosen)
    return inside.comparison(), outside.comparison()


class _Sums:
    """What of the tiles is added up for one region."""

    def __init__(self) -> None:
        self.pixels, self.changed = 0, 0
        self.squared, self.ssim, self.largest = 0.0, 0.0, 0.0

    def add(self, difference: torch.Tensor, ssim: torch.Tensor | None, region: torch.Tensor | None) -> None:
        """difference (1,C,h,w), ssim (1,1,h,w) or None for none, region (1,1,h,w) bool or None for all."""
        largest, squared = difference.amax(1, keepdim=True), difference.square().mean(1, keepdim=True)
        if region is not None:
            largest, squared = largest[region], squared[region]
            ssim = None if ssim is None else ssim[region]
        if largest.numel() == 0:
            return
        self.pixels += largest.numel()
        self.changed += int((largest > 0).sum())
        self.largest = max(self.largest, float(largest.max()))
        self.squared += float(squared.sum(dtype=torch.float64))
        self.ssim += math.nan if ssim is None else float(ssim.sum(dtype=torch.float64))

    def comparison(self) -> Comparison:
        if self.pixels == 0:
            return Comparison(0, math.nan, math.nan, 0.0, 0)
        squared = self.squared / self.pixels
        psnr = -10 * math.log10(squared) if squared > 0 else math.inf
        return Comparison(self.pixels, psnr, self.ssim / self.pixels, self.largest, self.changed)


def spans(length: int) -> list[tuple[int, int]]:
    """Where the tiles of a side begin and end: TILE to twice TILE pixels each, unless the side is shorter.

    >>> spans(300), spans(9)
    ([(0, 150), (150, 300)], [(0, 9)])
    """
    count = max(length // TILE, 1)
    edges = [length * index // count for index in range(count + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _ssim_of_tile(
    first: torch.Tensor, second: torch.Tensor, row: int, rows: tuple[int, int], columns: tuple[int, int]
) -> torch.Tensor:
    """SSIM (1,1,h,w) of one tile of picture `row`, averaged over the channels."""
    windows = [_window(pixels[row : row + 1], rows, columns) for pixels in (first, second)]
    return _similarity(*windows).mean(1, keepdim=True)


def _window(pixels: torch.Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
    """The part (1,C,h,w) of a picture with half a window round it, mirrored where the picture ends."""
    height, width = pixels.shape[2:]
    above, below = (min(RADIUS, rows[0]), min(RADIUS, height - rows[1]))
    left, right = (min(RADIUS, columns[0]), min(RADIUS, width - columns[1]))
    part = pixels[:, :, rows[0] - above : rows[1] + below, columns[0] - left : columns[1] + right]
    lacking = (RADIUS - left, RADIUS - right, RADIUS - above, RADIUS - below)
    return F.pad(part, lacking, mode="reflect") if any(lacking) else part.contiguous()


def ssim_map(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Local SSIM (B, C, H, W) of two batches in 0..1 (Wang et al. 2004, eq. 13), the borders mirrored."""
    return _similarity(*(F.pad(pixels, (RADIUS,) * 4, mode="reflect") for pixels in (first, second)))


def _similarity(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """SSIM of pictures (B,C,h,w) with RADIUS pixels of border, which the result lacks."""
    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b = _blur(first), _blur(second)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = _blur(first * second) - product
    variances = _blur(first * first + second * second) - squares
    return (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))


def _blur(pixels: torch.Tensor) -> torch.Tensor:
    """The Gaussian window over pixels with RADIUS pixels of border, rows then columns, by shifted sums."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    weights = torch.softmax(-(offsets**2) / (2 * SSIM_SIGMA**2), dim=0).tolist()
    for axis in (-2, -1):
        length = pixels.shape[axis] - 2 * RADIUS
        total = pixels.narrow(axis, 0, length) * weights[0]
        for start, weight in enumerate(weights[1:], start=1):
            total = total.add_(pixels.narrow(axis, start, length), alpha=weight)
        pixels = total
    return pixels
