"""A random mini family of Giving a Hand on disk, and people with hands, for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from figura.models.diffusion import networks
from figura.models.diffusion.checkpoint import save_module
from figura.models.diffusion.text import TextEncoder, WordTokenizer
from figura.models.hands.networks import hand_unet
from figura.people.keypoints import Person, Pose, write_pose_keypoint


def write_mini_family(folder: Path) -> Path:
    """Random weights in the files, kinds and layouts that the recipes write."""
    torch.manual_seed(0)
    vae, base = networks.mini_vae(), networks.mini_unet()
    hands = hand_unet(networks.mini_unet(), networks.LATENT_CHANNELS)
    torch.nn.init.normal_(hands.conv_in.weight, std=0.05)
    torch.nn.init.normal_(hands.conv_out.weight, std=0.2)
    text = TextEncoder(WordTokenizer.from_captions(["a hand with light skin"]))
    save_module(folder / "vae.safetensors", "vae", vae.state_dict(), networks.plain_config(vae))
    save_module(folder / "text.safetensors", "text", text.state_dict(), text.config())
    save_module(folder / "base.safetensors", "unet", base.state_dict(), networks.plain_config(base))
    config = networks.plain_config(hands)
    save_module(folder / "hands.safetensors", "hands", hands.state_dict(), config, int8=True)
    write_body(folder / "body.safetensors", base)
    return folder


def write_body(path: Path, unet: Any, factor: float = 2.0) -> None:
    """What the recipe of the body exports: cross-attention of the U-Net and a ControlNet."""
    controlnet = networks.mini_controlnet(unet)
    tensors = {f"unet.{n}": factor * v for n, v in unet.state_dict().items() if ".attn2." in n}
    tensors |= {f"controlnet.{n}": v + 0.01 for n, v in controlnet.state_dict().items()}
    save_module(path, "body", tensors, {"backbone": "base", "controlnet": networks.plain_config(controlnet)})


def spread_hand(x: float, y: float, side_px: float) -> np.ndarray:
    """(21,3): a wrist at the bottom and five straight fingers, in a square round (x, y)."""
    joints = np.zeros((21, 3), np.float32)
    joints[0] = (0, 0.5, 1)
    for finger in range(5):
        for joint in range(4):
            reach = (joint + 1) / 4
            joints[1 + 4 * finger + joint] = ((finger - 2) / 4 * reach, 0.5 - reach, 1)
    return joints * np.array([side_px, side_px, 1], np.float32) + np.array([x, y, 0], np.float32)


def pose(height: int = 128, width: int = 128, left: bool = True, right: bool = True) -> Pose:
    """A person with raised hands in a picture of that size."""
    places = {0: (0.5, 0.2), 1: (0.5, 0.4), 2: (0.35, 0.4), 3: (0.25, 0.6), 4: (0.2, 0.45), 5: (0.65, 0.4),
              6: (0.75, 0.6), 7: (0.8, 0.45), 8: (0.4, 0.9), 11: (0.6, 0.9)}  # fmt: skip
    body = np.zeros((18, 3), np.float32)
    for joint, (x, y) in places.items():
        body[joint] = (x * width, y * height, 1)
    side = 0.2 * min(height, width)
    hands = [spread_hand(x * width, 0.35 * height, side) for x in (0.8, 0.2)]
    person = Person(body, left_hand=hands[0] if left else None, right_hand=hands[1] if right else None)
    return Pose((person,), width, height)


def pose_value(count: int = 1, **size: Any) -> list[dict[str, Any]]:
    return write_pose_keypoint([pose(**size)] * count)
