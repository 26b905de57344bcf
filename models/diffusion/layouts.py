"""What public Stable Diffusion files hold: known by keys and shapes, and given diffusers' names.

The sizes of every network are read off its tensors, so that no configuration has to be fetched. The
original (LDM) key layout is converted with diffusers' own functions; the diffusers layout is taken as it
is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..convert import read_pickle
from ..reading import told
from .checkpoint import is_finite, read_safetensors
from .foreign import check_format, foreign_model

Tensors = dict[str, Tensor]

SD15, SD2, SDXL = "Stable Diffusion 1.5", "Stable Diffusion 2", "Stable Diffusion XL"
PIX2GESTALT = "pix2gestalt"
PIX2GESTALT_CHANNELS = 12
SCALING = {SD15: 0.18215, SD2: 0.18215, SDXL: 0.13025, PIX2GESTALT: 0.18215}
LICENCES = {PIX2GESTALT: " (CC BY-NC 4.0: not for commercial use), which Load PHAC takes"}
"""What is to be said of a family beside its name."""
LDM_UNET, LDM_VAE = "model.diffusion_model.", "first_stage_model."
LDM_MODEL, LDM_AVERAGE = "model.", "model_ema."
FP8_SCALES = (".scale_weight", ".weight_scale")
FP8_EXTRA = re.compile(r"\.(scale_(weight|input)|(weight|input)_scale|comfy_quant)$|(^|\.)scaled_fp8$")
"""What ComfyUI's scaled fp8 files, older and newer ones, hold beside the weights."""
PICKLE_SUFFIXES = (".ckpt", ".pth", ".pt", ".bin")


def read_weights(path: str | Path) -> Tensors:
    """The tensors of a safetensors file, or of a pickle with nothing but tensors; all finite, on the CPU.

    Raises FileNotFoundError, or ValueError for a truncated file, one with NaN, and a pickle with code in it.
    """
    path = Path(path)
    if path.is_file():
        check_format(path)
    if path.suffix.lower() not in PICKLE_SUFFIXES:
        return unscaled(read_safetensors(path)[0])
    tensors = read_pickle(path)
    broken = [key for key, value in told(tensors.items()) if not is_finite(value)]
    if broken:
        raise ValueError(
            f"tensor {broken[0]!r} in {path} holds NaN or infinity: the file is not usable, use another"
        )
    return unscaled({key.removeprefix("state_dict."): value for key, value in tensors.items()})


def unscaled(tensors: Tensors) -> Tensors:
    """Weights of a scaled fp8 file as they are meant, in fp16: each times its scale, or those of its rows.

    Other files are given back as they are. Raises ValueError for scales of anything else, such as blocks.
    """
    scales = {key: value for key, value in tensors.items() if key.endswith(FP8_SCALES)}
    if not scales:
        return tensors
    rest = {key: value for key, value in tensors.items() if not FP8_EXTRA.search(key)}
    for key, scale in scales.items():
        name = key.rpartition(".")[0] + ".weight"
        if name in rest:
            rest[name] = (rest[name].float() * _of_rows(scale, rest[name], key)).half()
    return rest


def _of_rows(scale: Tensor, weight: Tensor, key: str) -> Tensor:
    """One scale, or one for each row of a weight, in its number of dimensions."""
    if scale.numel() not in (1, weight.shape[:1].numel()):
        raise ValueError(
            f"tensor {key[:80]!r} has the shape {tuple(scale.shape)}: scales of blocks are not read here. "
            "Use another version of the file, such as fp16"
        )
    return scale.float().reshape(-1, *[1] * (weight.ndim - 1))


# Recognising


def describe(tensors: Mapping[str, Tensor]) -> str:
    """What a file is, in words for an error message."""
    if is_controlnet(tensors):
        return "a ControlNet"
    foreign = foreign_model(tensors)
    if foreign and not foreign.endswith("alone"):
        return foreign
    unet = unet_tensors_of(tensors)
    if unet is None:
        if any(key.startswith(("decoder.", "encoder.", LDM_VAE)) for key in tensors):
            return f"an autoencoder of {_latent_channels(tensors)} channels"
        first = ", ".join(sorted(tensors)[:2]) or "no tensors"
        return foreign or f"something else ({len(tensors)} tensors: {first})"
    config = unet_config(unet)
    family = family_of(config)
    return f"a {config['in_channels']}-channel U-Net of {family}{LICENCES.get(family, '')}"


def is_controlnet(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are a ControlNet's tensors, in either layout."""
    return any("controlnet_cond_embedding." in key or "input_hint_block." in key for key in tensors)


def _latent_channels(tensors: Mapping[str, Tensor]) -> int | str:
    found = tensors.get("decoder.conv_in.weight", tensors.get(f"{LDM_VAE}decoder.conv_in.weight"))
    return "unknown" if found is None else found.shape[1]


def is_diffusers_vae(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are an autoencoder's tensors in the diffusers layout."""
    return any(key.startswith("encoder.down_blocks.") for key in tensors)


def family_of(config: Mapping[str, Any]) -> str:
    """SDXL has added embeddings, SD2 linear projections without them, SD1.5 neither; pix2gestalt is an SD1.5
    with more input channels.
    """
    if "addition_embed_type" in config:
        return SDXL
    if config["use_linear_projection"]:
        return SD2
    return PIX2GESTALT if config["in_channels"] == PIX2GESTALT_CHANNELS else SD15


# Converting


def unet_tensors_of(tensors: Mapping[str, Tensor]) -> Tensors | None:
    """The U-Net among the tensors, in the diffusers layout; None when there is none."""
    if any(key.startswith(f"{LDM_UNET}input_blocks.") for key in tensors):
        return _convert_unet(tensors)
    if "input_blocks.0.0.weight" in tensors:
        return _convert_unet({LDM_UNET + key: value for key, value in tensors.items()})
    if "conv_in.weight" in tensors and any(key.startswith("down_blocks.") for key in tensors):
        return dict(tensors)
    return None


def _convert_unet(tensors: Mapping[str, Tensor]) -> Tensors:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    unet = {key: value for key, value in tensors.items() if key.startswith(LDM_UNET)}
    config: dict[str, Any] = {
        "layers_per_block": ldm_layers({k.removeprefix(LDM_UNET): v for k, v in unet.items()})
    }
    if f"{LDM_UNET}label_emb.0.0.weight" in unet:
        config["addition_embed_type"] = "text_time"
    return convert_ldm_unet_checkpoint(unet, config)


def averaged(tensors: Mapping[str, Tensor]) -> Tensors:
    """The U-Net's running averages in the place of its last weights, where a trainer's file holds both.

    LDM's averages have the names of the weights without dots.
    """

    def average(key: str) -> str:
        return LDM_AVERAGE + key.removeprefix(LDM_MODEL).replace(".", "")

    return {
        key: tensors.get(average(key), value) if key.startswith(LDM_UNET) else value
        for key, value in tensors.items()
    }


def current_names(tensors: Tensors) -> Tensors:
    """diffusers' older names of the attention of its autoencoders, as they are now."""
    names = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    pattern = re.compile(r"(attentions\.\d+\.)(query|key|value|proj_attn)\.")
    return {pattern.sub(lambda m: f"{m[1]}{names[m[2]]}.", key): value for key, value in tensors.items()}


# Sizes


def unet_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration of a U-Net (or of a ControlNet) in the diffusers layout, read off its tensors."""
    levels = count(tensors, r"down_blocks\.(\d+)\.")
    channels = tuple(_level_channels(tensors, level) for level in range(levels))
    depths = [_depth(tensors, level) for level in range(levels)]
    context = next((v.shape[1] for k, v in tensors.items() if k.endswith("attn2.to_k.weight")), 768)
    flat = any(k.endswith("proj_in.weight") and v.ndim == 2 for k, v in tensors.items())
    crosses = ["CrossAttn" if depth else "" for depth in depths]
    config: dict[str, Any] = {
        "in_channels": tensors["conv_in.weight"].shape[1],
        "out_channels": tensors["conv_out.weight"].shape[0] if "conv_out.weight" in tensors else 4,
        "block_out_channels": channels,
        "layers_per_block": count(tensors, r"down_blocks\.0\.resnets\.(\d+)\."),
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


def prompt_channels(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Channels of a ControlNet's prompt-image embedding, (16, 32, 96, 256) for the public ones."""
    embedding = "controlnet_cond_embedding."
    stages = count(tensors, r"controlnet_cond_embedding\.blocks\.(\d+)\.") // 2
    first = tensors[f"{embedding}conv_in.weight"].shape[0]
    return (
        first,
        *(tensors[f"{embedding}blocks.{2 * stage + 1}.weight"].shape[0] for stage in range(stages)),
    )


def vae_config(tensors: Mapping[str, Tensor], family: str) -> dict[str, Any]:
    """The configuration of a family's autoencoder in either layout, read off its tensors."""
    down, resnets = ("down_blocks", "resnets") if is_diffusers_vae(tensors) else ("down", "block")
    levels = count(tensors, rf"encoder\.{down}\.(\d+)\.")
    widths = (f"encoder.{down}.{level}.{resnets}.0.conv1.weight" for level in range(levels))
    return {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": tuple(tensors[width].shape[0] for width in widths),
        "layers_per_block": count(tensors, rf"encoder\.{down}\.0\.{resnets}\.(\d+)\."),
        "latent_channels": tensors["decoder.conv_in.weight"].shape[1],
        "scaling_factor": SCALING[family],
    }


def ldm_layers(tensors: Mapping[str, Tensor]) -> int:
    """Residual blocks per level: those before the first downsampling."""
    blocks = count(tensors, r"input_blocks\.(\d+)\.")
    first = [index for index in range(1, blocks) if f"input_blocks.{index}.0.op.weight" in tensors]
    return (first[0] if first else blocks) - 1


def _level_channels(tensors: Mapping[str, Tensor], level: int) -> int:
    return tensors[f"down_blocks.{level}.resnets.0.conv1.weight"].shape[0]


def _depth(tensors: Mapping[str, Tensor], level: int) -> int:
    return count(tensors, rf"down_blocks\.{level}\.attentions\.0\.transformer_blocks\.(\d+)\.")


def count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the highest number that the pattern finds at the start of a key; 0 without a match."""
    found = (re.match(pattern, key) for key in tensors)
    return max((int(match[1]) + 1 for match in found if match), default=0)
