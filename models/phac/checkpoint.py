"""Loads PHAC and its refiner: the shipped mini family, public full-size files, what the recipes train.

weights/mini holds vae, text and inpaint (the 17-channel inpainting U-Net: backbone of the coarse stage),
one phac*.safetensors per prompt kind, invisible_mask, and refiner (the same U-Net, taught to refine). A file
of the kind "phac" is a change to the backbone: `unet.*` are tensors that replace the backbone's (its
cross-attention, attn2) when prompts of that kind are sampled, `controlnet.*` those of Phi_CN. The ControlNet
starts as a copy of the backbone's encoder, so tensors that the file leaves out are that copy's.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from ...people.prompt_kinds import POSE
from ..diffusion import single_file
from ..diffusion.checkpoint import built, load_file, read_metadata
from ..diffusion.controlnet import check_controlnet, load_change
from ..diffusion.latent_model import mini_networks
from ..diffusion.layouts import LICENCES, PIX2GESTALT, SD15
from ..diffusion.networks import MINI_SIZE, load_unet
from ..diffusion.sharing import shared_stack
from ..pix2gestalt.networks import Pix2Gestalt
from ..sentences import trained_weights, typed, where_typed
from .amodal_mask import AmodalMaskNet, load_amodal_mask
from .networks import GUESS_COUNTS, Inpainter, InvisibleMaskUNet, PHACModel

logger = logging.getLogger(__name__)

NO_PROMPT_NETWORK = (
    "prompt_network: choose an OpenPose ControlNet for SD1.5 (control_v11p_sd15_openpose, in "
    "models/controlnet) or a trained PHAC file (in models/figura); automatic goes with the models mini and "
    "pix2gestalt only"
)
REFINER_SIZE = 2 * MINI_SIZE
"""Our choice: twice the coarse stage's side, as SDXL's 1024 is that of Stable Diffusion 1.5. The paper names
SDXL inpainting and no sizes."""


def load_mini_phac(folder: str | Path, operations: Any = torch.nn) -> PHACModel:
    """The shipped PHAC: every network from the files in `folder`; one prompt kind per phac*.safetensors.

    Raises FileNotFoundError for a missing file and ValueError for an unusable one, both naming it.
    """
    folder = Path(folder)
    changes = sorted(folder.glob("phac*.safetensors"))
    if not changes:
        raise FileNotFoundError(
            f"no phac*.safetensors in {folder}: copy them there from weights/mini of a fresh copy of Figura, "
            f"or train one (`{typed('train phac')}`{where_typed()}) and copy it there from "
            f"{trained_weights()}"
        )
    networks = mini_networks(folder, load_unet(folder / "inpaint.safetensors"))
    mask_net, amodal_net = load_mask_nets(
        folder / "invisible_mask.safetensors", folder / "amodal_mask.safetensors", operations
    )
    model = PHACModel(networks, {}, mask_net, name="mini PHAC", amodal_net=amodal_net)
    model.guess_counts = GUESS_COUNTS
    for path in changes:
        apply_change(model, path)
    return model.eval()


def load_mini_refiner(folder: str | Path) -> Inpainter:
    """The shipped refiner: autoencoder, text encoder and its own U-Net from `folder`. Errors as above."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    unet = load_unet(Path(folder) / "refiner.safetensors", file_kind="refiner")
    # Over the four times as many tokens of this size, fused attention is the faster one.
    unet.set_attn_processor(AttnProcessor2_0())
    return Inpainter(mini_networks(folder, unet, REFINER_SIZE), "mini refiner", sees_all=True).eval()


def load_mask_net(path: str | Path, operations: Any = torch.nn) -> InvisibleMaskUNet:
    """U_iv from a file of the kind "invisible_mask", in eval mode; works with pictures of any size."""
    tensors, meta = load_file(path, file_kind="invisible_mask")
    names = ("base", "levels", "size", "prompt", "widths", "guess")
    known = {name: meta["config"][name] for name in names if name in meta["config"]}
    network = built(lambda: InvisibleMaskUNet(**known, operations=operations), tensors, str(path))
    return network.eval()


def load_mask_nets(
    mask_net: str | Path, amodal_net: str | Path | None, operations: Any = torch.nn
) -> tuple[InvisibleMaskUNet, AmodalMaskNet | None]:
    """U_iv, and the network of Amodal Mask if U_iv sees its guess, in eval mode; errors name the file.

    Without a file for it the guess is withheld.
    """
    network = load_mask_net(mask_net, operations)
    if amodal_net is None or not network.sees_guess:
        return network, None
    return network, load_amodal_mask(amodal_net, operations)


def load_phac(
    checkpoint: str | Path,
    prompt_network: str | Path | None,
    mask_net: str | Path,
    tokenizer: str | Path,
    *,
    amodal_net: str | Path | None = None,
    parts: str | Path | None = None,
    vae: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    wide: torch.dtype = torch.float32,
    operations: Any = torch.nn,
) -> PHACModel | Pix2Gestalt:
    """PHAC at full size, or pix2gestalt in the place of its coarse stage.

    Args:
        checkpoint: an SD1.5 inpainting model, a single file in the original or the diffusers layout, or
            pix2gestalt as released.
        prompt_network: a pose ControlNet, or a change that was trained on that checkpoint; pix2gestalt has
            none.
        mask_net: the file of U_iv.
        tokenizer: folder with CLIP's vocab.json and merges.txt.
        amodal_net: the file of Amodal Mask, for a U_iv that sees its guess.
        parts: where autoencoder and text encoder are when `checkpoint` is a U-Net alone.
        vae: a file with another autoencoder.
        dtype: of the networks.
        wide: of networks that float16 is too narrow for.
        operations: the layers that these two are built of, torch.nn or the host's.

    Raises:
        FileNotFoundError, ValueError: naming the file, what it holds and what is wanted.
    """
    stack = shared_stack(checkpoint, tokenizer, parts=parts, vae=vae, dtype=dtype, wide=wide)
    name = Path(checkpoint).name
    if stack.family == PIX2GESTALT:
        logger.warning("%s is pix2gestalt: CC BY-NC 4.0, not for commercial use", name)
        if prompt_network is not None:
            logger.warning("%s reads no prompt picture: %s is not used", name, Path(prompt_network).name)
        masks, silhouettes = load_mask_nets(mask_net, amodal_net, operations)
        return Pix2Gestalt(stack.networks, masks, name, silhouettes).eval()
    if stack.family != SD15:
        raise ValueError(
            f"{checkpoint} is {stack.family}; PHAC's coarse stage needs an SD1.5 inpainting checkpoint"
        )
    if prompt_network is None:
        raise ValueError(NO_PROMPT_NETWORK)
    masks, silhouettes = load_mask_nets(mask_net, amodal_net, operations)
    model = PHACModel(stack.networks, {}, masks, name=name, binary_mask=True, amodal_net=silhouettes)
    if is_change(prompt_network):
        apply_change(model, prompt_network, dtype)
    else:
        network = single_file.load_controlnet(prompt_network, dtype)
        check_controlnet(network, model.unet, str(prompt_network), name)
        model.add_kind(POSE, network)
    return model.eval()


def load_refiner(
    checkpoint: str | Path,
    tokenizer: str | Path,
    *,
    parts: str | Path | None = None,
    vae: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    wide: torch.dtype = torch.float32,
) -> Inpainter:
    """A refiner at full size.

    Args:
        checkpoint: an SD1.5 or SDXL inpainting model, a single file in the original or the diffusers layout.
        tokenizer: folder with CLIP's vocab.json and merges.txt.
        parts: where autoencoder and text encoder are when `checkpoint` is a U-Net alone.
        vae: a file with another autoencoder.
        dtype: of the networks.
        wide: of networks that float16 is too narrow for.

    Raises:
        FileNotFoundError, ValueError: naming the file, what it holds and what is wanted.
    """
    stack = shared_stack(checkpoint, tokenizer, parts=parts, vae=vae, dtype=dtype, wide=wide)
    if stack.family == PIX2GESTALT:
        raise ValueError(
            f"{checkpoint} is {PIX2GESTALT}{LICENCES[PIX2GESTALT]}: it completes and does not refine; "
            f"a {single_file.WANTED[single_file.INPAINT_CHANNELS]}"
        )
    return Inpainter(stack.networks, Path(checkpoint).name, binary_mask=True).eval()


def is_change(path: str | Path) -> bool:
    """Whether a file was written by the pack's PHAC recipes."""
    try:
        return read_metadata(path)["kind"] == "phac"
    except ValueError:
        return False


def apply_change(model: PHACModel, path: str | Path, dtype: torch.dtype = torch.float32) -> None:
    """Add a trained change (kind "phac") to the model: the ControlNet of its prompt kind, and its tensors of
    the U-Net, which are used with that kind only. Raises ValueError when it is of another backbone.
    """
    controlnet, attention, config = load_change(path, "phac", model.unet, dtype)
    model.add_kind(config.get("prompt", POSE), controlnet, attention)
