"""A small random HumanSD, and a checkpoint of the released layout with few channels, for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import save_module
from figura.models.diffusion.text import TextEncoder, WordTokenizer
from figura.models.humansd.networks import HumanSD, pose_unet
from figura.people.keypoints import Person, Pose
from figura.tests.models.diffusion import full_size as makers
from figura.tests.models.phac import tiny as phac
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

LATENTS = phac.LATENTS


def tiny_humansd(pose_scale: int = 1, **settings: Any) -> HumanSD:
    """With a trained look: the pose's weights are not zero any more."""
    torch.manual_seed(0)
    unet = pose_unet(phac.tiny_unet(LATENTS), pose_scale)
    torch.nn.init.normal_(unet.conv_in.weight, std=0.2)
    return HumanSD(phac.tiny_parts(unet, 64), "tiny HumanSD", **settings).eval()


def standing(x: float = 0.5, width: int = 128, height: int = 128, scale: float = 1.0) -> Pose:
    """One upright person round the share x of the picture's width."""
    body = np.zeros((18, 3), np.float32)
    places = {0: (0, 0.12), 14: (-0.02, 0.1), 15: (0.02, 0.1), 16: (-0.05, 0.12), 17: (0.05, 0.12),
              2: (-0.1, 0.25), 5: (0.1, 0.25), 3: (-0.15, 0.4), 6: (0.15, 0.4), 4: (-0.16, 0.55),
              7: (0.16, 0.55), 8: (-0.06, 0.55), 11: (0.06, 0.55), 9: (-0.07, 0.75), 12: (0.07, 0.75),
              10: (-0.07, 0.95), 13: (0.07, 0.95)}  # fmt: skip
    for joint, (dx, y) in places.items():
        body[joint] = ((x + scale * dx) * width, y * height, 1)
    return Pose((Person(body),), width, height)


def write_mini_family(folder: Path, *names: str) -> Path:
    """Random weights in the files, kinds and layouts that the recipes write."""
    torch.manual_seed(0)
    vae, base = networks.mini_vae(), networks.mini_unet()
    text = TextEncoder(WordTokenizer.from_captions(["a woman in a red shirt"]))
    save_module(folder / "vae.safetensors", "vae", vae.state_dict(), networks.plain_config(vae))
    save_module(folder / "text.safetensors", "text", text.state_dict(), text.config())
    save_module(folder / "base.safetensors", "unet", base.state_dict(), networks.plain_config(base))
    for name in names or ("humansd",):
        unet = pose_unet(networks.mini_unet())
        torch.nn.init.normal_(unet.conv_in.weight, std=0.05)
        config = networks.plain_config(unet)
        save_module(folder / f"{name}.safetensors", "humansd", unet.state_dict(), config, int8=True)
    return folder


def sd2_unet(in_channels: int = 8) -> Any:
    return makers.unet(in_channels, use_linear_projection=True, attention_head_dim=(1, 1))


def open_clip(layers: int = 3) -> CLIPTextModel:
    """The text encoder with all its layers, as the released file holds it."""
    config = CLIPTextConfig(
        vocab_size=258, hidden_size=64, intermediate_size=96, num_hidden_layers=layers,
        num_attention_heads=1, projection_dim=64, hidden_act="gelu", bos_token_id=256, eos_token_id=257,
        pad_token_id=257,
    )  # fmt: skip
    return CLIPTextModel(config).eval()


def released_tensors(
    unet: Any = None, text: CLIPTextModel | None = None, vae: Any = None
) -> dict[str, Tensor]:
    """The layout of humansd-v1.ckpt, the estimator of its training included."""
    unet, text, vae = unet or sd2_unet(), text or open_clip(), vae or makers.vae()
    named = {f"text_model.{n.removeprefix('text_model.')}": v for n, v in text.state_dict().items()}
    clip = makers.ldm.big_clip_to_ldm(
        {**named, "text_projection.weight": torch.eye(64)}, "cond_stage_model.model."
    )
    tensors = makers.ldm.unet_to_ldm(unet.state_dict(), 1) | makers.ldm.vae_to_ldm(vae.state_dict(), 4)
    return tensors | clip | {"mmpose_model.backbone.conv1.weight": torch.ones(2, 3), "betas": torch.ones(5)}


def write_released(path: Path, tensors: dict[str, Tensor] | None = None) -> Path:
    torch.save({"state_dict": tensors or released_tensors(), "global_step": 95_000}, path)
    return path
