"""Small pictures of half-finished latents, cheap enough to show at every step."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .networks import decode_latents, encode_image

SMALL_DECODER = 5_000_000
CHART_CELLS = 6


@torch.no_grad()
def preview_image(vae: Any, latents: Tensor) -> Image.Image:
    """The first of scaled latents (B,C,h,w) as a picture: decoded if that is cheap, else one RGB per cell."""
    first = latents[:1].to(next(vae.parameters()))
    if sum(parameter.numel() for parameter in vae.parameters()) <= SMALL_DECODER:
        return to_pil(decode_latents(vae, first))
    return to_pil(linear_decode(colour_matrix(vae), first))


def linear_decode(matrix: Tensor, latents: Tensor) -> Tensor:
    """RGB = A (z, 1) for every cell: (B,C,h,w) and (C+1,3) -> (B,3,h,w) in 0..1."""
    colours = torch.einsum("bchw,cr->brhw", latents.float(), matrix[:-1].to(latents.device))
    return (colours + matrix[-1].to(latents.device)[:, None, None]).clamp(0, 1)


def colour_matrix(vae: Any) -> Tensor:
    """Least-squares map (C+1,3) from an autoencoder's latents to colours, from one chart of plain colours."""
    if "_figura_colours" not in vae.__dict__:
        vae.__dict__["_figura_colours"] = _fit_colours(vae)
    return vae.__dict__["_figura_colours"]


def _fit_colours(vae: Any) -> Tensor:
    cell = 2 ** (len(vae.config.block_out_channels) - 1)
    patch = 2
    colours = torch.rand(1, 3, CHART_CELLS, CHART_CELLS, generator=torch.Generator().manual_seed(0))
    chart = colours.repeat_interleave(cell * patch, dim=2).repeat_interleave(cell * patch, dim=3)
    latents = encode_image(vae, chart.to(next(vae.parameters()))).float().cpu()
    wanted = colours.repeat_interleave(patch, dim=2).repeat_interleave(patch, dim=3)
    rows = latents[0].flatten(1).T
    rows = torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
    return torch.linalg.lstsq(rows, wanted[0].flatten(1).T, driver="gelsd").solution


def to_pil(image: Tensor) -> Image.Image:
    """The first of pictures (B,3,H,W) in 0..1 as an 8-bit PIL image."""
    pixels = (image[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    return Image.fromarray(pixels.cpu().numpy())
