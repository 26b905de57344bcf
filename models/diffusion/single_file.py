"""Public Stable Diffusion files as diffusers networks; what a file holds is found out in layouts.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..reading import told
from .clip import OpenCLIPTextCondition, SDXLTextCondition, load_tokenizer
from .clip_image import OPENAI_VISUAL, PROJECTION, ImageCondition, vision_config, vision_tensors
from .latent_model import LatentNetworks
from .layouts import (
    LDM_VAE,
    PIX2GESTALT,
    SD2,
    SD15,
    SDXL,
    Tensors,
    averaged,
    count,
    current_names,
    describe,
    family_of,
    is_controlnet,
    is_diffusers_vae,
    ldm_layers,
    prompt_channels,
    read_weights,
    unet_config,
    unet_tensors_of,
    vae_config,
)
from .text import CLIPTextCondition

LDM_CONTROL = "control_model."
VAE_CHANNELS = 4
CLIP_PREFIXES = ("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.")
BIG_CLIP_PREFIX, SD2_CLIP_PREFIX = "conditioner.embedders.1.model.", "cond_stage_model.model."
INPAINT_CHANNELS, TEXT_CHANNELS, POSE_CHANNELS = 9, 4, 8
FAMILIES = {INPAINT_CHANNELS: (SD15, SDXL), TEXT_CHANNELS: (SD15, SDXL), POSE_CHANNELS: (SD2,)}
WANTED = {
    INPAINT_CHANNELS: "9-channel inpainting checkpoint of SD1.5 or SDXL is wanted "
    "(such as sd-v1-5-inpainting or sd_xl_base_1.0_inpainting_0.1)",
    TEXT_CHANNELS: "4-channel text-to-image checkpoint of SD1.5 or SDXL is wanted "
    "(such as v1-5-pruned-emaonly)",
    POSE_CHANNELS: "8-channel checkpoint of HumanSD is wanted (humansd-v1)",
}
OTHER_PREDICTION = ("v_pred", "edm_mean", "edm_vpred.sigma_max")
SIZES = {SD15: 512, SD2: 512, SDXL: 1024, PIX2GESTALT: 256}


@dataclass(frozen=True)
class Stack:
    """One Stable Diffusion model as diffusers networks. family: one of layouts.py."""

    family: str
    networks: LatentNetworks


def load_stack(
    checkpoint: str | Path,
    tokenizer: str | Path,
    *,
    parts: str | Path | None = None,
    vae: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    wide: torch.dtype = torch.float32,
    channels: int = INPAINT_CHANNELS,
    pix2gestalt: bool = False,
) -> Stack:
    """A checkpoint as networks in eval mode.

    Args:
        checkpoint: single file in the original or the diffusers layout.
        tokenizer: folder with CLIP's vocab.json and merges.txt.
        parts: the file with autoencoder and text encoder when `checkpoint` is a U-Net alone.
        vae: a file with an autoencoder that is to take the place of the checkpoint's.
        dtype: of the networks.
        wide: of SDXL's autoencoder where `dtype` is float16, which it overflows.
        channels: input channels of the U-Net: INPAINT_CHANNELS, TEXT_CHANNELS or POSE_CHANNELS.
        pix2gestalt: whether its checkpoint will do as well; its `text` encodes pictures (clip_image.py).

    Returns:
        The networks.

    Raises:
        FileNotFoundError, ValueError: naming the file, what it holds and what is wanted.
    """
    tensors = read_weights(checkpoint)
    _check_predicts_noise(tensors, checkpoint)
    found = describe(tensors)
    unet_tensors = None if is_controlnet(tensors) else unet_tensors_of(tensors)
    if unet_tensors is None:
        raise ValueError(f"{checkpoint} is {found}; a {WANTED[channels]}")
    config = unet_config(unet_tensors)
    family = family_of(config)
    known = family in FAMILIES[channels] and config["in_channels"] == channels
    if not known and not (pix2gestalt and family == PIX2GESTALT):
        raise ValueError(f"{checkpoint} is {found}; a {WANTED[channels]}")
    if family == PIX2GESTALT:
        unet_tensors = unet_tensors_of(averaged(tensors)) or unet_tensors
    rest = tensors if parts is None else read_weights(parts)
    where = str(checkpoint if parts is None else parts)
    coder_dtype = wide if family == SDXL and dtype == torch.float16 else dtype
    if vae is None:
        coder = _build_vae(rest, family, where, coder_dtype).eval()
    else:
        coder = load_autoencoder(vae, coder_dtype, family)
    text = _build_text(rest, family, Path(tokenizer), where, dtype)
    unet = _build_unet(unet_tensors, config, str(checkpoint), dtype)
    return Stack(family, LatentNetworks(coder, unet.eval(), text.eval(), SIZES[family]))


def load_unet(
    checkpoint: str | Path,
    family: str,
    *,
    channels: int = TEXT_CHANNELS,
    dtype: torch.dtype = torch.float32,
) -> Any:
    """The U-Net alone of a checkpoint, in eval mode.

    Args:
        checkpoint: single file in the original or the diffusers layout.
        family: which is wanted: SD15, SD2 or SDXL of layouts.py.
        channels: its input channels.
        dtype: of its weights.

    Raises:
        FileNotFoundError, ValueError: as `load_stack`, also for another family.
    """
    tensors = read_weights(checkpoint)
    _check_predicts_noise(tensors, checkpoint)
    unet = None if is_controlnet(tensors) else unet_tensors_of(tensors)
    config = None if unet is None else unet_config(unet)
    if unet is None or config is None or family_of(config) != family or config["in_channels"] != channels:
        raise ValueError(
            f"{checkpoint} is {describe(tensors)}; a {channels}-channel checkpoint of {family} is wanted"
        )
    return _build_unet(unet, config, str(checkpoint), dtype).eval()


def load_controlnet(
    path: str | Path,
    dtype: torch.dtype = torch.float32,
    wanted: str = "a ControlNet (such as control_v11p_sd15_openpose)",
) -> Any:
    """A ControlNet from a file in the original or the diffusers layout; errors as in `load_stack`.

    wanted: what an error says is accepted.
    """
    from diffusers import ControlNetModel
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    tensors = read_weights(path)
    if not is_controlnet(tensors):
        raise ValueError(f"{path} is {describe(tensors)}; {wanted} is wanted")
    layers = ldm_layers({key.removeprefix(LDM_CONTROL): value for key, value in tensors.items()})
    converted = convert_controlnet_checkpoint(dict(tensors), {"layers_per_block": layers})
    converted = {key: value for key, value in converted.items() if value is not None}
    config = unet_config(converted)
    prompt = prompt_channels(converted)
    names = (
        "in_channels",
        "block_out_channels",
        "layers_per_block",
        "down_block_types",
        "cross_attention_dim",
    )
    shared = {name: config[name] for name in (*names, "attention_head_dim", "use_linear_projection")}
    shared["conditioning_embedding_out_channels"] = prompt
    return _filled(ControlNetModel, converted, str(path), dtype, **shared).eval()


def load_autoencoder(path: str | Path, dtype: torch.dtype = torch.float32, family: str = SD15) -> Any:
    """The autoencoder of a checkpoint of that family or of a VAE file, in LDM's or diffusers' layout.

    Raises FileNotFoundError and ValueError that name the file.
    """
    from diffusers import AutoencoderKL

    tensors = read_weights(path)
    if is_diffusers_vae(tensors):
        config = vae_config(tensors, family)
        _check_latents(config, path)
        return _filled(AutoencoderKL, current_names(tensors), str(path), dtype, **config).eval()
    if "encoder.conv_in.weight" in tensors:
        tensors = {LDM_VAE + key: value for key, value in tensors.items()}
    return _build_vae(tensors, family, str(path), dtype).eval()


def load_text(checkpoint: str | Path, tokenizer: str | Path) -> torch.nn.Module:
    """The text encoder alone of a checkpoint of Stable Diffusion 1.x, 2.x or XL, float32, in eval mode.

    tokenizer: folder with CLIP's vocab.json and merges.txt. Raises FileNotFoundError and ValueError that name
    the file.
    """
    tensors = read_weights(checkpoint)
    prefixes = {SD2: SD2_CLIP_PREFIX, SDXL: BIG_CLIP_PREFIX}
    found = (each for each, prefix in prefixes.items() if any(key.startswith(prefix) for key in tensors))
    family = next(found, SD15)
    return _build_text(tensors, family, Path(tokenizer), str(checkpoint), torch.float32).eval()


# Parts


def _check_predicts_noise(tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """ValueError for a U-Net that says, as ComfyUI saves and reads it, that it predicts something else."""
    marks = [mark for mark in OTHER_PREDICTION if mark in tensors]
    if marks:
        raise ValueError(
            f"{where} does not predict noise, as its tensor {marks[0]!r} says (v-prediction or EDM): its "
            "pictures would be wrong here. Choose another checkpoint, or use the graphs of stock nodes"
        )


def _build_unet(tensors: Tensors, config: dict[str, Any], where: str, dtype: torch.dtype) -> Any:
    from diffusers import UNet2DConditionModel

    return _filled(UNet2DConditionModel, tensors, where, dtype, **config)


def _build_vae(tensors: Mapping[str, Tensor], family: str, where: str, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    own = {key: value for key, value in tensors.items() if key.startswith(LDM_VAE)}
    if not own:
        raise ValueError(_lacks(where, "autoencoder", "first_stage_model.*"))
    config = vae_config({key.removeprefix(LDM_VAE): value for key, value in own.items()}, family)
    _check_latents(config, where)
    return _filled(AutoencoderKL, convert_ldm_vae_checkpoint(own, config), where, dtype, **config)


def _check_latents(config: Mapping[str, Any], where: str | Path) -> None:
    if config["latent_channels"] != VAE_CHANNELS:
        raise ValueError(
            f"{where} has an autoencoder of {config['latent_channels']} channels, as Flux and others have; "
            f"one of {VAE_CHANNELS} is wanted, of Stable Diffusion 1.5 or XL"
        )


def _build_text(
    tensors: Mapping[str, Tensor], family: str, tokenizer: Path, where: str, dtype: torch.dtype
) -> torch.nn.Module:
    if family == PIX2GESTALT:
        return _build_image_condition(tensors, where, dtype)
    words = load_tokenizer(tokenizer)
    if family == SD2:
        return OpenCLIPTextCondition(words, _build_open_clip(tensors, where, dtype))
    small = _build_clip(tensors, where, dtype)
    if family == SD15:
        return CLIPTextCondition(words, small)
    return SDXLTextCondition(words, small, _build_big_clip(tensors, where, dtype))


def _build_clip(tensors: Mapping[str, Tensor], where: str, dtype: torch.dtype) -> Any:
    from transformers import CLIPTextModel

    prefix = next((p for p in CLIP_PREFIXES if any(key.startswith(p) for key in tensors)), None)
    if prefix is None:
        raise ValueError(_lacks(where, "CLIP text encoder", CLIP_PREFIXES[0] + "*"))
    own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    if "embeddings.token_embedding.weight" in own:  # as merges made with an older transformers have it
        own = {f"text_model.{key}": value for key, value in own.items()}
    return _filled(CLIPTextModel, own, where, dtype, _clip_config(own, "quick_gelu"))


def _build_big_clip(tensors: Mapping[str, Tensor], where: str, dtype: torch.dtype) -> Any:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from transformers import CLIPTextModelWithProjection

    if f"{BIG_CLIP_PREFIX}text_projection" not in tensors:
        raise ValueError(_lacks(where, "second text encoder", BIG_CLIP_PREFIX + "*"))
    own = convert_open_clip_checkpoint(None, dict(tensors), prefix=BIG_CLIP_PREFIX)
    return _filled(CLIPTextModelWithProjection, own, where, dtype, _clip_config(own, "gelu"))


def _build_open_clip(tensors: Mapping[str, Tensor], where: str, dtype: torch.dtype) -> Any:
    """SD2's text encoder without its last layer: what it gives, normalised, is the "penultimate" state."""
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from transformers import CLIPTextModel

    width = tensors.get(f"{SD2_CLIP_PREFIX}token_embedding.weight")
    if width is None:
        raise ValueError(_lacks(where, "OpenCLIP text encoder", SD2_CLIP_PREFIX + "*"))
    # diffusers takes the width from this matrix, which the encoder itself does not need.
    named = {f"{SD2_CLIP_PREFIX}text_projection": width.new_zeros(width.shape[1], 1), **tensors}
    # Counted in the file: of a file with 24 layers diffusers' converter leaves out the last one by itself.
    used = count(tensors, re.escape(SD2_CLIP_PREFIX) + r"transformer\.resblocks\.(\d+)\.") - 1
    own = convert_open_clip_checkpoint(None, named, prefix=SD2_CLIP_PREFIX)
    own = {key: value for key, value in own.items() if _layer(key) < used}
    return _filled(CLIPTextModel, own, where, dtype, _clip_config(own, "gelu"))


def _build_image_condition(tensors: Mapping[str, Tensor], where: str, dtype: torch.dtype) -> torch.nn.Module:
    from transformers import CLIPVisionModelWithProjection

    own = vision_tensors(tensors)
    projection = {key.removeprefix(PROJECTION): v for key, v in tensors.items() if key.startswith(PROJECTION)}
    for part, what, keys in ((own, "CLIP image encoder", OPENAI_VISUAL), (projection, "layer", PROJECTION)):
        if not part:
            raise ValueError(_lacks(where, what, keys + "*"))
    seen = _filled(CLIPVisionModelWithProjection, own, where, dtype, vision_config(own))
    sides = reversed(projection["weight"].shape)
    return ImageCondition(seen, _filled(torch.nn.Linear, projection, where, dtype, *sides))


def _layer(key: str) -> int:
    """The number of the text layer that a tensor belongs to; -1 for one outside the layers."""
    found = re.match(r"text_model\.encoder\.layers\.(\d+)\.", key)
    return int(found[1]) if found else -1


def _clip_config(tensors: Mapping[str, Tensor], activation: str) -> Any:
    from transformers import CLIPTextConfig

    vocabulary, width = tensors["text_model.embeddings.token_embedding.weight"].shape
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=tensors["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=count(tensors, r"text_model\.encoder\.layers\.(\d+)\."),
        num_attention_heads=max(1, width // 64),
        max_position_embeddings=tensors["text_model.embeddings.position_embedding.weight"].shape[0],
        projection_dim=tensors["text_projection.weight"].shape[0]
        if "text_projection.weight" in tensors
        else width,
        hidden_act=activation,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )


def _filled(
    network: Callable[..., Any],
    tensors: Mapping[str, Tensor],
    where: str,
    dtype: torch.dtype,
    *args: Any,
    **config: Any,
) -> Any:
    """The network with these tensors as its weights; ValueError names what does not fit."""
    with torch.device("meta"):
        module = network(*args, **config)
    own = module.state_dict()
    if not any(key.startswith("text_model.") for key in own):
        tensors = {key.removeprefix("text_model."): value for key, value in tensors.items()}
    missing = sorted(key for key in own if key not in tensors)
    unlike = sorted(key for key in own if key in tensors and own[key].shape != tensors[key].shape)
    if missing or unlike:
        raise ValueError(
            f"{where} does not hold a whole {type(module).__name__}: {len(missing)} tensors are missing and "
            f"{len(unlike)} have another shape, first {(missing + unlike)[:3]}; choose another file"
        )
    module.load_state_dict({key: tensors[key].to(dtype) for key in told(own)}, assign=True)
    _restore_positions(module)
    return module.requires_grad_(False)


def _restore_positions(module: torch.nn.Module) -> None:
    """CLIP counts its positions in a buffer that no file holds."""
    for part in module.modules():
        positions = getattr(part, "position_ids", None)
        if isinstance(positions, Tensor) and positions.is_meta:
            part.register_buffer("position_ids", torch.arange(positions.shape[-1])[None], persistent=False)


def _lacks(where: str, what: str, keys: str) -> str:
    return (
        f"{where} has no {what} (no tensors {keys}): choose a full checkpoint, or, where the node has the "
        "input text_and_vae, name one there that has it"
    )
