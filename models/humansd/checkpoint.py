"""Loads HumanSD: the shipped mini model, and the released `humansd-v1.ckpt` or any file of its layout.

weights/mini holds vae, text and humansd (kind "humansd": the whole U-Net, all of which is trained). The
released file is a pickle in the original (LDM) layout with U-Net, autoencoder and OpenCLIP-H text encoder;
what it holds beside them, such as the pose estimator of its training, is left alone.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ..convert import as_safetensors, convert, made_where_it_can_be
from ..diffusion import single_file
from ..diffusion.latent_model import mini_networks
from ..diffusion.networks import load_unet
from .networks import HumanSD

HUMANSD = "humansd"
RELEASED_CFG = 10.0
"""Of the released demo."""


def load_mini_humansd(folder: str | Path) -> HumanSD:
    """The shipped networks from the files in `folder`.

    Raises FileNotFoundError for a missing file and ValueError for an unusable one, both naming it.
    """
    unet = load_unet(Path(folder) / f"{HUMANSD}.safetensors", file_kind=HUMANSD)
    return HumanSD(mini_networks(folder, unet)).eval()


def readable_fast(path: Path) -> Path:
    """A checkpoint as safetensors: converted beside it, or, where that folder may not be written to, in the
    folder of temporary files, where it lasts until the system clears it.
    """
    return made_where_it_can_be(lambda: as_safetensors(path), lambda twin: convert(path, twin), path)


def load_humansd(
    checkpoint: str | Path, tokenizer: str | Path, *, dtype: torch.dtype = torch.float32
) -> HumanSD:
    """A checkpoint of the released layout; a pickle is converted to safetensors once (`readable_fast`).

    tokenizer: folder with CLIP's vocab.json and merges.txt. Raises FileNotFoundError, ValueError that names
    the file, what it is and what is wanted, and OSError when the converted file cannot be written (nothing
    half-written is left).
    """
    path = readable_fast(Path(checkpoint))
    stack = single_file.load_stack(path, tokenizer, dtype=dtype, channels=single_file.POSE_CHANNELS)
    name = Path(checkpoint).name
    return HumanSD(stack.networks, name, cfg=RELEASED_CFG, released=True).eval()
