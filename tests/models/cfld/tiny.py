"""Small random CFLD networks of the real classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from figura.models.cfld.attention import key_value_names
from figura.models.cfld.checkpoint import FILE_KIND, change_tensors
from figura.models.cfld.config import CFLDConfig
from figura.models.cfld.networks import CFLDModel, CFLDNetworks
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.perception import densepose

SIZE, LATENTS = 64, 4
CONFIG = CFLDConfig(
    channels=(32, 64), layers=1, plain_levels=1, context=32, source_size=32, patch=4, embed=8,
    depths=(2, 1, 1), heads=(1, 2, 2), window=4, first_map=0, queries=4, decoder_blocks=1, widths=(32, 32),
    appearance_blocks=1, pose_size=64, unshuffle=8, groups=8, aspect=(11, 16),
)  # fmt: skip


def tiny_vae(width: int = 8) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(width,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=1, latent_channels=LATENTS,
        norm_num_groups=width // 2 if width < 32 else 32, mid_block_add_attention=width >= 32,
    )  # fmt: skip


def tiny_unet(**change: Any) -> UNet2DConditionModel:
    settings = {
        "sample_size": SIZE // 8, "in_channels": LATENTS, "out_channels": LATENTS,
        "block_out_channels": (32, 64, 64), "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 32, "attention_head_dim": 2, "norm_num_groups": 8, **change,
    }  # fmt: skip
    return UNet2DConditionModel(**settings).eval()


def trained(networks: CFLDNetworks) -> CFLDNetworks:
    """With a trained look: what starts at zero is not zero any more."""
    for name, parameter in networks.named_parameters():
        if "zero_conv" in name or "bias_table" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return networks.eval()


def tiny_networks(seed: int = 0, **change: Any) -> CFLDNetworks:
    torch.manual_seed(seed)
    return trained(CFLDNetworks(replace(CONFIG, **change)))


def trained_matrices(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    state = unet.state_dict()
    return {name: torch.randn_like(state[name]) * 0.2 for name in key_value_names(list(state))}


def tiny_cfld(**change: Any) -> CFLDModel:
    networks = tiny_networks(**change)
    unet = tiny_unet()
    return CFLDModel(tiny_vae(), unet, networks, trained_matrices(unet), SIZE, "tiny CFLD").eval()


def person(height: int, width: int) -> torch.Tensor:
    """Joints (18,3) of somebody standing in the middle of a picture."""
    places = [(.5, .12), (.5, .22), (.4, .23), (.35, .36), (.33, .48), (.6, .23), (.65, .36), (.68, .48),
              (.44, .5), (.43, .7), (.42, .9), (.56, .5), (.57, .7), (.58, .9), (.48, .1), (.52, .1),
              (.45, .11), (.55, .11)]  # fmt: skip
    return torch.tensor([[x * width, y * height, 1.0] for x, y in places])


def write_mini_family(folder: Path, *names: str, **change: Any) -> Path:
    """Random weights in the files, kinds and layouts that the recipes write. change: of mini's sizes."""
    torch.manual_seed(0)
    vae, base = networks.mini_vae(), networks.mini_unet()
    save_module(folder / "vae.safetensors", "vae", vae.state_dict(), networks.plain_config(vae))
    save_module(folder / "base.safetensors", "unet", base.state_dict(), networks.plain_config(base))
    config = replace(CFLDConfig(), **change)
    for name in names or ("cfld",):
        tensors = change_tensors(trained(CFLDNetworks(config)), base.state_dict())
        save_module(
            folder / f"{name}.safetensors", FILE_KIND, tensors, {FILE_KIND: config_to_metadata(config)}
        )
    labels = densepose.DensePoseConfig(64, (8, 8, 16, 16), 1)
    save_module(
        folder / densepose.MINI_FILE, densepose.FILE_KIND, densepose.DensePoseNet(labels).state_dict(),
        config_to_metadata(labels),
    )  # fmt: skip
    return folder
