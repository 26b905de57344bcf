"""Previews: decoded when that is cheap, one colour per cell otherwise."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL
from figura.models.diffusion import preview


def tiny_vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, norm_num_groups=4,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, mid_block_add_attention=False,
    )  # fmt: skip


def test_a_small_autoencoder_is_decoded_at_full_size() -> None:
    assert preview.preview_image(tiny_vae(), torch.randn(3, 4, 8, 6)).size == (12, 16)


def test_a_large_one_gives_one_colour_per_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "SMALL_DECODER", 0)
    assert preview.preview_image(tiny_vae(), torch.randn(3, 4, 8, 6)).size == (6, 8)


def test_the_linear_map_is_applied_to_every_cell() -> None:
    matrix = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.2, 0.3]])
    latents = torch.tensor([0.5, 0.25]).reshape(1, 2, 1, 1)
    expected = torch.tensor([0.6, 0.45, 0.3]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(preview.linear_decode(matrix, latents), expected)


def test_pixels_are_rounded_to_eight_bits() -> None:
    image = preview.to_pil(torch.tensor([0.0, 0.5, 2.0]).reshape(1, 3, 1, 1))
    assert image.getpixel((0, 0)) == (0, 128, 255)
