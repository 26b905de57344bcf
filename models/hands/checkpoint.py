"""Loads Giving a Hand: the shipped mini family, public full-size files, what the recipes train.

weights/mini holds vae, text, base (the text-to-image U-Net), hands (kind "hands": the hand generator's whole
U-Net) and body (kind "body", a change to the base: `unet.*` are tensors that replace the base's
cross-attention, `controlnet.*` those of the skeleton ControlNet). Files of both kinds may also be of SD1.5's
size; they then go with an SD1.5 checkpoint, as public ControlNets do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..diffusion import single_file
from ..diffusion.checkpoint import read_metadata
from ..diffusion.controlnet import check_controlnet, load_change
from ..diffusion.latent_model import LatentNetworks, mini_networks
from ..diffusion.networks import load_unet
from .networks import MEDIAPIPE, BodyOutpainter, HandGenerator, HandsModel

HANDS, BODY = "hands", "body"
ACCEPTED = {
    HANDS: "as hand_controlnet a ControlNet for SD1.5 that reads hand skeletons (such as "
    "controlnet_hands_sd15) or a Figura file of the kind 'hands'",
    BODY: "as body_controlnet a ControlNet for SD1.5 that reads skeletons with hands (such as "
    "control_v11p_sd15_openpose) or a Figura file of the kind 'body'",
}


def load_mini_hands(folder: str | Path) -> HandsModel:
    """The shipped networks from the files in `folder`; both stages share autoencoder and text encoder.

    Raises FileNotFoundError for a missing file and ValueError for an unusable one, both naming it.
    """
    folder = Path(folder)
    networks = mini_networks(folder, load_unet(folder / "base.safetensors"))
    hand_unet = load_unet(folder / "hands.safetensors", file_kind=HANDS)
    controlnet, attention, _ = load_change(folder / "body.safetensors", BODY, networks.unet)
    generator = HandGenerator(networks._replace(unet=hand_unet))
    return HandsModel(generator, BodyOutpainter(networks, controlnet, attention)).eval()


def load_hands(
    checkpoint: str | Path,
    hand_controlnet: str | Path,
    body_controlnet: str | Path,
    tokenizer: str | Path,
    *,
    drawing: str = MEDIAPIPE,
    parts: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> HandsModel:
    """Both stages at full size, on one SD1.5 text-to-image checkpoint.

    Args:
        checkpoint: single file in the original or the diffusers layout.
        hand_controlnet: a public ControlNet, or a trained file (kind "hands", a U-Net of its own with a mask
            head). What a file is, is told by its content.
        body_controlnet: a public ControlNet, or a trained file (kind "body", a change to the checkpoint).
        tokenizer: folder with CLIP's vocab.json and merges.txt.
        drawing: of the hand's joints, which a public hand_controlnet reads; one of networks.DRAWINGS.
        parts: where autoencoder and text encoder are when `checkpoint` is a U-Net alone.
        dtype: of the networks.

    Raises:
        FileNotFoundError, ValueError: naming the file, what it is and what is accepted.
    """
    channels = single_file.TEXT_CHANNELS
    stack = single_file.load_stack(checkpoint, tokenizer, parts=parts, dtype=dtype, channels=channels)
    if stack.family != single_file.SD15:
        raise ValueError(f"{checkpoint} is {stack.family}; hands and bodies need an SD1.5 checkpoint")
    name = Path(checkpoint).name
    generator = _generator(stack.networks, hand_controlnet, name, drawing, dtype)
    return HandsModel(generator, _body(stack.networks, body_controlnet, name, dtype)).eval()


def _generator(
    networks: LatentNetworks, path: str | Path, name: str, drawing: str, dtype: torch.dtype
) -> HandGenerator:
    if own_file_kind(path, HANDS) is None:
        controlnet = _public_controlnet(networks, path, HANDS, name, dtype)
        return HandGenerator(networks, name, controlnet, drawing)
    from diffusers.models.attention_processor import AttnProcessor2_0

    unet = load_unet(path, file_kind=HANDS)
    theirs, ours = unet.config.cross_attention_dim, networks.unet.config.cross_attention_dim
    if theirs != ours:
        raise ValueError(
            f"{path} reads texts of width {theirs}, but those of {name} have {ours}: choose the checkpoint "
            "that it was trained with"
        )
    unet.set_attn_processor(AttnProcessor2_0())
    return HandGenerator(networks._replace(unet=nn.Module.to(unet, dtype)), Path(path).name)


def _body(networks: LatentNetworks, path: str | Path, name: str, dtype: torch.dtype) -> BodyOutpainter:
    attention = None
    if own_file_kind(path, BODY) is None:
        controlnet = _public_controlnet(networks, path, BODY, name, dtype)
    else:
        controlnet, attention, _ = load_change(path, BODY, networks.unet, dtype)
    return BodyOutpainter(networks, controlnet, attention, name)


def _public_controlnet(
    networks: LatentNetworks, path: str | Path, file_kind: str, name: str, dtype: torch.dtype
) -> Any:
    network = single_file.load_controlnet(path, dtype, ACCEPTED[file_kind])
    check_controlnet(network, networks.unet, str(path), name)
    return network


def own_file_kind(path: str | Path, wanted: str) -> str | None:
    """The kind of a weights file of this pack, None for files of others. ValueError for a kind that is not
    the wanted one, naming what is accepted.
    """
    try:
        file_kind = read_metadata(path)["kind"]
    except ValueError:
        return None
    if file_kind != wanted:
        raise ValueError(f"{path} is a Figura file of the kind {file_kind!r}; {ACCEPTED[wanted]} is wanted")
    return file_kind
