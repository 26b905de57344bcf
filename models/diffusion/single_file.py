"""Reads public Stable Diffusion files: knows what a file is by keys and shapes, builds diffusers networks.

The sizes of every network are read off its tensors, so that no configuration has to be fetched. The
original (LDM) key layout is converted with diffusers' own functions; the diffusers layout is taken as it
is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..convert import read_pickle
from .checkpoint import read_safetensors
from .clip import OpenCLIPTextCondition, SDXLTextCondition, load_tokenizer
from .text import CLIPTextCondition

Tensors = dict[str, Tensor]

SD15, SD2, SDXL = "Stable Diffusion 1.5", "Stable Diffusion 2", "Stable Diffusion XL"
LDM_UNET, LDM_VAE, LDM_CONTROL = "model.diffusion_model.", "first_stage_model.", "control_model."
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
SCALING = {SD15: 0.18215, SD2: 0.18215, SDXL: 0.13025}
SIZES = {SD15: 512, SD2: 512, SDXL: 1024}
PICKLE_SUFFIXES = (".ckpt", ".pth", ".pt", ".bin")


@dataclass(frozen=True)
class Stack:
    """One Stable Diffusion model as diffusers networks. size: side of its pictures in pixels."""

    family: str
    unet: Any
    vae: Any
    text: torch.nn.Module
    size: int


def load_stack(
    checkpoint: str | Path,
    tokenizer: str | Path,
    *,
    parts: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    channels: int = INPAINT_CHANNELS,
) -> Stack:
    """A checkpoint as networks in eval mode; SDXL's autoencoder stays in float32 (it overflows).

    channels: input channels of the U-Net: INPAINT_CHANNELS, TEXT_CHANNELS or POSE_CHANNELS.
    parts: the file with autoencoder and text encoder when `checkpoint` is a U-Net alone.
    Raises FileNotFoundError and ValueError that name the file, what it holds and what is wanted.
    """
    tensors = read_weights(checkpoint)
    found = describe(tensors)
    unet_tensors = None if is_controlnet(tensors) else unet_tensors_of(tensors)
    if unet_tensors is None:
        raise ValueError(f"{checkpoint} is {found}; a {WANTED[channels]}")
    config = unet_config(unet_tensors)
    family = family_of(config)
    if family not in FAMILIES[channels] or config["in_channels"] != channels:
        raise ValueError(f"{checkpoint} is {found}; a {WANTED[channels]}")
    rest = tensors if parts is None else read_weights(parts)
    where = str(checkpoint if parts is None else parts)
    vae = _build_vae(rest, family, where, torch.float32 if family == SDXL else dtype)
    text = _build_text(rest, family, Path(tokenizer), where, dtype)
    unet = _build_unet(unet_tensors, config, str(checkpoint), dtype)
    return Stack(family, unet.eval(), vae.eval(), text.eval(), SIZES[family])


def load_unet(
    checkpoint: str | Path,
    family: str,
    *,
    channels: int = TEXT_CHANNELS,
    dtype: torch.dtype = torch.float32,
) -> Any:
    """The U-Net alone of a checkpoint, in eval mode; errors as in `load_stack`, also for another family."""
    tensors = read_weights(checkpoint)
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
    layers = _ldm_layers({key.removeprefix(LDM_CONTROL): value for key, value in tensors.items()})
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


def load_autoencoder(path: str | Path, dtype: torch.dtype = torch.float32) -> Any:
    """The autoencoder of a Stable Diffusion 1.x checkpoint or of a VAE file, in LDM's or diffusers' layout.

    Raises FileNotFoundError and ValueError that name the file.
    """
    from diffusers import AutoencoderKL

    tensors = read_weights(path)
    levels = _count(tensors, r"encoder\.down_blocks\.(\d+)\.")
    if not levels:
        if "encoder.conv_in.weight" in tensors:
            tensors = {LDM_VAE + key: value for key, value in tensors.items()}
        return _build_vae(tensors, SD15, str(path), dtype).eval()
    widths = (f"encoder.down_blocks.{i}.resnets.0.conv1.weight" for i in range(levels))
    config = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": tuple(tensors[width].shape[0] for width in widths),
        "layers_per_block": _count(tensors, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
        "latent_channels": tensors["decoder.conv_in.weight"].shape[1],
        "scaling_factor": SCALING[SD15],
    }
    return _filled(AutoencoderKL, _current_names(tensors), str(path), dtype, **config).eval()


def _current_names(tensors: Tensors) -> Tensors:
    """diffusers' older names of the attention of its autoencoders, as they are now."""
    names = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    pattern = re.compile(r"(attentions\.\d+\.)(query|key|value|proj_attn)\.")
    return {pattern.sub(lambda m: f"{m[1]}{names[m[2]]}.", key): value for key, value in tensors.items()}


# Reading


def read_weights(path: str | Path) -> Tensors:
    """The tensors of a safetensors file, or of a pickle with nothing but tensors; all finite, on the CPU.

    Raises FileNotFoundError, or ValueError for a truncated file, one with NaN, and a pickle with code in it.
    """
    path = Path(path)
    if path.suffix.lower() not in PICKLE_SUFFIXES:
        return read_safetensors(path)[0]
    tensors = read_pickle(path)
    broken = [
        key for key, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()
    ]
    if broken:
        raise ValueError(
            f"tensor {broken[0]!r} in {path} holds NaN or infinity: the file is not usable, use another"
        )
    return {key.removeprefix("state_dict."): value for key, value in tensors.items()}


# Recognising


def describe(tensors: Mapping[str, Tensor]) -> str:
    """What a file is, in words for an error message."""
    if any("lora_" in key or ".lora." in key for key in tensors):
        return "a LoRA"
    if is_controlnet(tensors):
        return "a ControlNet"
    unet = unet_tensors_of(tensors)
    if unet is None:
        kind = (
            "an autoencoder"
            if any(key.startswith(("decoder.", "encoder.")) for key in tensors)
            else "something else"
        )
        first = ", ".join(sorted(tensors)[:2]) or "no tensors"
        return f"{kind} ({len(tensors)} tensors: {first})"
    config = unet_config(unet)
    return f"a {config['in_channels']}-channel U-Net of {family_of(config)}"


def is_controlnet(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are a ControlNet's tensors, in either layout."""
    return any("controlnet_cond_embedding." in key or "input_hint_block." in key for key in tensors)


def unet_tensors_of(tensors: Mapping[str, Tensor]) -> Tensors | None:
    """The U-Net among the tensors, in the diffusers layout; None when there is none."""
    if any(key.startswith(LDM_UNET) for key in tensors):
        return _convert_unet(tensors)
    if "conv_in.weight" in tensors and any(key.startswith("down_blocks.") for key in tensors):
        return dict(tensors)
    return None


def _convert_unet(tensors: Mapping[str, Tensor]) -> Tensors:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    unet = {key: value for key, value in tensors.items() if key.startswith(LDM_UNET)}
    config: dict[str, Any] = {
        "layers_per_block": _ldm_layers({k.removeprefix(LDM_UNET): v for k, v in unet.items()})
    }
    if f"{LDM_UNET}label_emb.0.0.weight" in unet:
        config["addition_embed_type"] = "text_time"
    return convert_ldm_unet_checkpoint(unet, config)


def _ldm_layers(tensors: Mapping[str, Tensor]) -> int:
    """Residual blocks per level: those before the first downsampling."""
    blocks = _count(tensors, r"input_blocks\.(\d+)\.")
    first = [index for index in range(1, blocks) if f"input_blocks.{index}.0.op.weight" in tensors]
    return (first[0] if first else blocks) - 1


def unet_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration of a U-Net (or of a ControlNet) in the diffusers layout, read off its tensors."""
    levels = _count(tensors, r"down_blocks\.(\d+)\.")
    channels = tuple(_level_channels(tensors, level) for level in range(levels))
    depths = [_depth(tensors, level) for level in range(levels)]
    context = next((v.shape[1] for k, v in tensors.items() if k.endswith("attn2.to_k.weight")), 768)
    flat = any(k.endswith("proj_in.weight") and v.ndim == 2 for k, v in tensors.items())
    crosses = ["CrossAttn" if depth else "" for depth in depths]
    config: dict[str, Any] = {
        "in_channels": tensors["conv_in.weight"].shape[1],
        "out_channels": tensors["conv_out.weight"].shape[0] if "conv_out.weight" in tensors else 4,
        "block_out_channels": channels,
        "layers_per_block": _count(tensors, r"down_blocks\.0\.resnets\.(\d+)\."),
        "down_block_types": tuple(f"{cross}DownBlock2D" for cross in crosses),
        "up_block_types": tuple(f"{cross}UpBlock2D" for cross in reversed(crosses)),
        "cross_attention_dim": context,
        "use_linear_projection": flat,
        "attention_head_dim": tuple(max(1, width // 64) for width in channels) if flat else 8,
        "transformer_layers_per_block": tuple(max(depth, 1) for depth in depths),
    }
    if "add_embedding.linear_1.weight" in tensors:
        config |= {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
        config["projection_class_embeddings_input_dim"] = tensors["add_embedding.linear_1.weight"].shape[1]
    return config


def family_of(config: Mapping[str, Any]) -> str:
    """SDXL has added embeddings, SD2 linear projections without them, SD1.5 neither."""
    if "addition_embed_type" in config:
        return SDXL
    return SD2 if config["use_linear_projection"] else SD15


def prompt_channels(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Channels of a ControlNet's prompt-image embedding, (16, 32, 96, 256) for the public ones."""
    embedding = "controlnet_cond_embedding."
    stages = _count(tensors, r"controlnet_cond_embedding\.blocks\.(\d+)\.") // 2
    first = tensors[f"{embedding}conv_in.weight"].shape[0]
    return (
        first,
        *(tensors[f"{embedding}blocks.{2 * stage + 1}.weight"].shape[0] for stage in range(stages)),
    )


def _level_channels(tensors: Mapping[str, Tensor], level: int) -> int:
    return tensors[f"down_blocks.{level}.resnets.0.conv1.weight"].shape[0]


def _depth(tensors: Mapping[str, Tensor], level: int) -> int:
    return _count(tensors, rf"down_blocks\.{level}\.attentions\.0\.transformer_blocks\.(\d+)\.")


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the highest number that the pattern finds at the start of a key; 0 without a match."""
    found = (re.match(pattern, key) for key in tensors)
    return max((int(match[1]) + 1 for match in found if match), default=0)


# Building


def _build_unet(tensors: Tensors, config: dict[str, Any], where: str, dtype: torch.dtype) -> Any:
    from diffusers import UNet2DConditionModel

    return _filled(UNet2DConditionModel, tensors, where, dtype, **config)


def _build_vae(tensors: Mapping[str, Tensor], family: str, where: str, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    own = {key: value for key, value in tensors.items() if key.startswith(LDM_VAE)}
    if not own:
        raise ValueError(_lacks(where, "autoencoder", "first_stage_model.*"))
    bare = {key.removeprefix(LDM_VAE): value for key, value in own.items()}
    levels = _count(bare, r"encoder\.down\.(\d+)\.")
    config = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": tuple(
            bare[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels)
        ),
        "layers_per_block": _count(bare, r"encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": bare["decoder.conv_in.weight"].shape[1],
        "scaling_factor": SCALING[family],
    }
    return _filled(AutoencoderKL, convert_ldm_vae_checkpoint(own, config), where, dtype, **config)


def _build_text(
    tensors: Mapping[str, Tensor], family: str, tokenizer: Path, where: str, dtype: torch.dtype
) -> torch.nn.Module:
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
    own = convert_open_clip_checkpoint(None, named, prefix=SD2_CLIP_PREFIX)
    last = _count(own, r"text_model\.encoder\.layers\.(\d+)\.") - 1
    own = {key: value for key, value in own.items() if f".layers.{last}." not in key}
    return _filled(CLIPTextModel, own, where, dtype, _clip_config(own, "gelu"))


def _clip_config(tensors: Mapping[str, Tensor], activation: str) -> Any:
    from transformers import CLIPTextConfig

    vocabulary, width = tensors["text_model.embeddings.token_embedding.weight"].shape
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=tensors["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=_count(tensors, r"text_model\.encoder\.layers\.(\d+)\."),
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
    module.load_state_dict({key: tensors[key].to(dtype) for key in own}, assign=True)
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
        f"{where} has no {what} (no tensors {keys}): choose a full checkpoint, or name one that has it "
        "as text_and_vae"
    )
