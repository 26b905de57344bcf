"""Figures of how pictures differ: the tiles give what the whole gives, and take little memory."""

from __future__ import annotations

import math

import pytest
import torch
from figura.models.compare import (
    RADIUS,
    SSIM_SIGMA,
    SSIM_WINDOW,
    TILE,
    compare_parts,
    spans,
    ssim_map,
)
from figura.tests.fuzz import limits
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F


def pair(height: int, width: int, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * 7919 + width)
    first = torch.rand(count, 3, height, width, generator=generator)
    return first, (first + 0.1 * torch.randn(first.shape, generator=generator)).clamp(0, 1)


def plain_ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """SSIM with five convolutions over the whole pictures."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    line = torch.softmax(-(offsets**2) / (2 * SSIM_SIGMA**2), dim=0)
    kernel = (line[:, None] * line)[None, None]

    def blur(pixels: torch.Tensor) -> torch.Tensor:
        flat = F.pad(pixels.double().reshape(-1, 1, *pixels.shape[2:]), (RADIUS,) * 4, mode="reflect")
        return F.conv2d(flat, kernel).reshape(pixels.shape)

    a, b = first.double(), second.double()
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, both = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)
    return top / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))


@pytest.mark.parametrize("size", [(11, 11), (40, 300), (TILE + 3, 2 * TILE + 1), (260, 129)])
def test_tiles_give_the_ssim_of_the_whole_picture(size: tuple[int, int]) -> None:
    first, second = pair(*size, count=2)
    expected = plain_ssim(first, second)
    assert torch.allclose(ssim_map(first, second).double(), expected, atol=1e-5)
    assert compare_parts(first, second)[0].ssim == pytest.approx(float(expected.mean()), abs=1e-6)


def test_both_parts_come_of_one_pass() -> None:
    first, second = pair(200, 300)
    region = torch.zeros(1, 1, 200, 300, dtype=torch.bool)
    region[..., 50:170, 100:290] = True
    second = torch.where(region, second, first)
    inside, outside = compare_parts(first, second, region)
    ssim = plain_ssim(first, second).mean(1, keepdim=True)
    assert inside.ssim == pytest.approx(float(ssim[region].mean()), abs=1e-6)
    assert outside.ssim == pytest.approx(float(ssim[~region].mean()), abs=1e-6)
    assert (outside.changed_pixels, outside.max_abs_diff, outside.psnr) == (0, 0.0, math.inf)
    squared = (first - second).square().mean(1, keepdim=True)[region].double().mean()
    assert inside.psnr == pytest.approx(float(-10 * squared.log10()), abs=1e-5)
    assert inside.pixels + outside.pixels == 200 * 300


@given(length=st.integers(1, 5000))
def test_tiles_cover_a_side_once_and_none_is_too_short_for_the_window(length: int) -> None:
    parts = spans(length)
    assert [end for _, end in parts][:-1] == [start for start, _ in parts][1:]
    assert parts[0][0] == 0 and parts[-1][1] == length
    assert all(end - start >= min(length, SSIM_WINDOW) for start, end in parts)


def test_the_ssim_of_training_has_gradients() -> None:
    first, second = pair(24, 24)
    first.requires_grad_()
    ssim_map(first, second).mean().backward()
    assert first.grad is not None and first.grad.isfinite().all() and first.grad.any()


@pytest.mark.slow
def test_a_picture_of_4k_takes_little_memory_beside_itself() -> None:
    first, second = pair(2160, 3840)
    region = torch.zeros(1, 1, 2160, 3840, dtype=torch.bool)
    region[..., 100:900, 200:900] = True
    with limits.memory(200 * 2**20):
        inside, _ = compare_parts(first, second, region)
    assert inside.pixels == 800 * 700
