"""A random mini family on disk, and pictures to work on, for the tests of PHAC's nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.diffusion.text import TextEncoder, WordTokenizer
from figura.models.phac.amodal_mask import FILE_KIND, AmodalMaskNet
from figura.models.phac.networks import InvisibleMaskUNet


def write_mini_family(folder: Path) -> Path:
    """Random weights in the files, kinds and layouts that the recipes write."""
    torch.manual_seed(0)
    vae, unet = networks.mini_vae(), networks.mini_inpaint_unet()
    text = TextEncoder(WordTokenizer.from_captions(["a person in a red shirt"]))
    mask_net, amodal_net = InvisibleMaskUNet(base=8, levels=4, size=128, guess=True), AmodalMaskNet()
    save_module(folder / "vae.safetensors", "vae", vae.state_dict(), networks.plain_config(vae))
    save_module(folder / "inpaint.safetensors", "unet", unet.state_dict(), networks.plain_config(unet))
    save_module(folder / "refiner.safetensors", "refiner", unet.state_dict(), networks.plain_config(unet))
    save_module(folder / "text.safetensors", "text", text.state_dict(), text.config())
    save_module(
        folder / "invisible_mask.safetensors", "invisible_mask", mask_net.state_dict(), mask_net.config
    )
    save_module(
        folder / "amodal_mask.safetensors", FILE_KIND, amodal_net.state_dict(),
        config_to_metadata(amodal_net.config),
    )  # fmt: skip
    write_change(folder / "phac_pose.safetensors", unet)
    return folder


def write_change(path: Path, unet: Any, prompt: str = "pose", factor: float = 2.0) -> None:
    """What the coarse stage's recipe exports: cross-attention of the U-Net and a ControlNet."""
    controlnet = networks.mini_controlnet(unet)
    attention = {name: factor * value for name, value in unet.state_dict().items() if ".attn2." in name}
    tensors = {f"unet.{name}": value for name, value in attention.items()}
    tensors |= {f"controlnet.{name}": value + 0.01 for name, value in controlnet.state_dict().items()}
    config = {"prompt": prompt, "backbone": "inpaint", "controlnet": networks.plain_config(controlnet)}
    save_module(path, "phac", tensors, config)
