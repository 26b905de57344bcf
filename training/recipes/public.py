"""Public files that training at full size begins from: told apart by what is in them, opened as networks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ...models.diffusion import single_file
from ...models.diffusion.checkpoint import load_file, read_metadata
from ...models.diffusion.layouts import (
    LDM_UNET,
    SD15,
    describe,
    is_controlnet,
    is_diffusers_vae,
    read_weights,
    unet_tensors_of,
)
from ...models.diffusion.networks import load_unet
from ...models.diffusion.text import load_text_encoder
from ...models.files import write_then_rename
from ...models.sentences import typed

logger = logging.getLogger(__name__)

BASE, INPAINT, VAE, TEXT, CONTROLNET, SWIN = "base", "inpaint", "vae", "text", "controlnet", "swin"
TOKENIZER = "tokenizer"
UNETS = {single_file.TEXT_CHANNELS: BASE, single_file.INPAINT_CHANNELS: INPAINT}
"""Input channels of a U-Net -> what recipes know it by."""
EXAMPLES = {
    BASE: "a text-to-image checkpoint (v1-5-pruned-emaonly; for HumanSD v2-1_512-ema-pruned)",
    INPAINT: "sd-v1-5-inpainting",
    VAE: "a VAE (sd-vae-ft-mse) or a whole checkpoint",
    TEXT: "a whole checkpoint, for its text encoder",
    SWIN: "a Swin Transformer (swin_base_patch4_window12_384_22kto1k)",
}


def base_files(paths: Sequence[Path]) -> dict[str, Path]:
    """The files by what recipes want of them; a file with one part goes before a checkpoint with several.

    Raises FileNotFoundError, and ValueError for a file that nothing begins from.
    """
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"--base {path}: no such file. Give its path; `{typed('models get NAME')}` says where one is"
            )
    parts = {Path(path): parts_in(Path(path)) for path in paths}
    ordered = sorted(parts, key=lambda path: -len(parts[path]))
    return {part: path for path in ordered for part in parts[path]}


def parts_in(path: Path) -> tuple[str, ...]:
    """What a public file holds, in the names of this module. ValueError where that is nothing of use."""
    tensors = read_weights(path)
    if is_controlnet(tensors):
        return (CONTROLNET,)
    if any(key.endswith(".relative_position_bias_table") for key in tensors):
        return (SWIN,)
    parts, unet = [], unet_tensors_of(tensors)
    if unet is not None and unet["conv_in.weight"].shape[1] in UNETS:
        parts.append(UNETS[unet["conv_in.weight"].shape[1]])
    whole = single_file.LDM_VAE, *single_file.CLIP_PREFIXES[:1], single_file.SD2_CLIP_PREFIX
    if is_diffusers_vae(tensors) or "encoder.conv_in.weight" in tensors or _has(tensors, whole[0]):
        parts.append(VAE)
    if any(_has(tensors, prefix) for prefix in whole[1:]):
        parts.append(TEXT)
    if not parts:
        raise ValueError(
            f"{path} is {describe(tensors)}; --base takes checkpoints of Stable Diffusion 1.5 and 2.1 with 4 "
            "or 9 channels, VAEs, ControlNets and Swin Transformers"
        )
    return tuple(parts)


def _has(tensors: Mapping[str, Any], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in tensors)


def check_base(recipe: str, needs: Sequence[str], given: Mapping[str, Path]) -> None:
    """ValueError that says which public files a recipe lacks at full size."""
    lacking = [EXAMPLES[name] for name in needs if name in EXAMPLES and name not in given]
    if lacking:
        raise ValueError(
            f"{recipe} at full size lacks {'; '.join(lacking)}: add it to --base, or give --init NAME=FILE "
            f"(NAME is one of {', '.join(EXAMPLES)})"
        )


def is_own(path: Path) -> bool:
    """Whether a file was written by this pack."""
    try:
        read_metadata(path)
    except ValueError:
        return False
    return True


def open_unet(path: Path, channels: int, family: str = SD15) -> Any:
    """A U-Net to be trained, in float32: a file of this pack, or a public one of that family and as many
    input channels.
    """
    if is_own(path):
        return load_unet(path)
    return single_file.load_unet(path, family, channels=channels).requires_grad_(True)


def open_text(init: Mapping[str, Path]) -> Any:
    """The text encoder of `init`; a public one needs CLIP's tokenizer, FileNotFoundError says so."""
    if is_own(init[TEXT]):
        return load_text_encoder(init[TEXT])
    return single_file.load_text(init[TEXT], init.get(TOKENIZER, Path("models/clip_tokenizer")))


# Files as other programs read them


def write_controlnet(weights: Path) -> Path:
    """The ControlNet of a trained file, as stock nodes load it: NAME_controlnet.safetensors beside it."""
    tensors, _ = load_file(weights)
    prefix = "controlnet."
    own = {key.removeprefix(prefix): value.half() for key, value in tensors.items() if key.startswith(prefix)}
    return _save(weights.with_name(f"{weights.stem}_controlnet.safetensors"), own)


def write_checkpoint(weights: Path, base: Path) -> Path | None:
    """A trained U-Net in the checkpoint that it began from: NAME_checkpoint.safetensors, in the layout of
    Stable Diffusion's own files. None, and a word in the log, where `base` holds nothing but a U-Net.
    """
    whole = read_weights(base)
    if not _has(whole, LDM_UNET):
        logger.warning("%s is no whole checkpoint: %s stays a U-Net alone", base, weights)
        return None
    names, trained = original_names(whole), load_file(weights)[0]
    changed = {names[key]: value for key, value in trained.items()}
    tensors = {key: value for key, value in whole.items() if isinstance(value, torch.Tensor)} | changed
    half = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
    return _save(weights.with_name(f"{weights.stem}_checkpoint.safetensors"), half)


def original_names(checkpoint: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """diffusers' name -> the original name, of every tensor of a checkpoint's U-Net."""
    keys = [key for key in checkpoint if key.startswith(LDM_UNET)]
    numbered = {key: torch.tensor(number) for number, key in enumerate(keys)}
    converted = unet_tensors_of(numbered) or {}
    return {name: keys[int(number)] for name, number in converted.items()}


def _save(path: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    from safetensors.torch import save_file

    own = {key: value.contiguous().clone() for key, value in tensors.items()}
    write_then_rename(path, lambda unfinished: save_file(own, str(unfinished)))
    logger.info("wrote %s", path)
    return path
