"""Small random PoCoLD networks of the real classes."""

from __future__ import annotations

from pathlib import Path

import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception import densepose
from figura.models.pocold.checkpoint import FILE_KIND
from figura.models.pocold.networks import PoCoLDConfig, PoCoLDModel, PoCoLDNetworks
from figura.tests.models.phac.tiny import LATENTS, tiny_vae


def tiny_config(attention: str = "sparse", scale_mode: str = "paper") -> PoCoLDConfig:
    return PoCoLDConfig(LATENTS, (8, 16), 1, 2, 4, 4, attention, scale_mode, (32, 32))


def tiny_pocold(attention: str = "sparse") -> PoCoLDModel:
    torch.manual_seed(0)
    return PoCoLDModel(tiny_vae(), PoCoLDNetworks(tiny_config(attention)), "tiny").eval()


def body_labels(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Labels (count,height,width) uint8 in blocks of 8 px, with some background."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 25, (count, -(-height // 8), -(-width // 8)), generator=generator)
    blocks[:, 0, 0] = 2
    return blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :height, :width].to(torch.uint8)


def write_mini_family(folder: Path) -> Path:
    """Random weights in the files, kinds and layouts that the recipes write."""
    torch.manual_seed(0)
    vae, model = networks.mini_vae(), PoCoLDNetworks(PoCoLDConfig(channels=(16, 16), heads=2, filters=4))
    config = densepose.DensePoseConfig(64, (8, 8, 16, 16), 1)
    estimator = densepose.DensePoseNet(config)
    save_module(folder / "vae.safetensors", "vae", vae.state_dict(), networks.plain_config(vae))
    save_module(
        folder / "pocold.safetensors", FILE_KIND, model.state_dict(), config_to_metadata(model.config)
    )
    save_module(
        folder / densepose.MINI_FILE, densepose.FILE_KIND, estimator.state_dict(),
        config_to_metadata(config),
    )  # fmt: skip
    return folder
