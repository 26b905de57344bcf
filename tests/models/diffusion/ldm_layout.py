"""Renames diffusers tensors to the original Stable Diffusion (LDM) layout: the loader's inverse."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
OUTER = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0", "conv_out": "out.2", "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip


def unet_to_ldm(
    tensors: Mapping[str, Tensor], layers: int, prefix: str = "model.diffusion_model."
) -> dict[str, Tensor]:
    """A U-Net (or the U-Net part of a ControlNet) with `layers` residual blocks per level."""
    attended = {match[1] for key in tensors if (match := re.match(r"up_blocks\.(\d+)\.attentions", key))}
    return {prefix + _unet_key(key, layers, attended): value for key, value in tensors.items()}


def _unet_key(key: str, layers: int, attended: set[str]) -> str:
    for old, new in OUTER.items():
        if key.startswith(old + "."):
            return key.replace(old, new)
    if match := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", key):
        way, level, kind, index, rest = match.groups()
        number = int(level) * (layers + 1) + int(index) + (way == "down")
        block = f"{'input' if way == 'down' else 'output'}_blocks.{number}"
        return f"{block}.0.{_resnet(rest)}" if kind == "resnets" else f"{block}.1.{rest}"
    if match := re.match(r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)", key):
        return f"input_blocks.{(int(match[1]) + 1) * (layers + 1)}.0.op.{match[2]}"
    if match := re.match(r"up_blocks\.(\d+)\.upsamplers\.0\.conv\.(.*)", key):
        number = int(match[1]) * (layers + 1) + layers
        return f"output_blocks.{number}.{1 + (match[1] in attended)}.conv.{match[2]}"
    if match := re.match(r"mid_block\.resnets\.(\d)\.(.*)", key):
        return f"middle_block.{2 * int(match[1])}.{_resnet(match[2])}"
    return key.replace("mid_block.attentions.0", "middle_block.1")


def _resnet(rest: str) -> str:
    name, _, kind = rest.partition(".")
    return f"{RESNET[name]}.{kind}"


def controlnet_to_ldm(
    tensors: Mapping[str, Tensor], layers: int, prefix: str = "control_model."
) -> dict[str, Tensor]:
    """A ControlNet."""
    stages = len(
        {key.split(".")[2] for key in tensors if key.startswith("controlnet_cond_embedding.blocks.")}
    )
    renamed = {}
    for key, value in tensors.items():
        if match := re.match(r"controlnet_down_blocks\.(\d+)\.(.*)", key):
            renamed[f"{prefix}zero_convs.{match[1]}.0.{match[2]}"] = value
        elif key.startswith("controlnet_mid_block."):
            renamed[prefix + key.replace("controlnet_mid_block", "middle_block_out.0")] = value
        elif match := re.match(r"controlnet_cond_embedding\.(conv_in|conv_out|blocks\.(\d+))\.(.*)", key):
            number = {"conv_in": 0, "conv_out": 2 * stages + 2}.get(match[1], 2 * int(match[2] or 0) + 2)
            renamed[f"{prefix}input_hint_block.{number}.{match[3]}"] = value
        else:
            renamed |= unet_to_ldm({key: value}, layers, prefix)
    return renamed


def vae_to_ldm(
    tensors: Mapping[str, Tensor], levels: int, prefix: str = "first_stage_model."
) -> dict[str, Tensor]:
    """An autoencoder."""
    return {prefix + _vae_key(key, levels): _as_conv(key, value) for key, value in tensors.items()}


def _vae_key(key: str, levels: int) -> str:
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    key = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", key)
    key = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{levels - 1 - int(m[1])}.block.", key)
    key = re.sub(
        r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{levels - 1 - int(m[1])}.upsample.", key
    )
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
    key = key.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
    for new in ("q", "k", "v"):
        key = key.replace(f"to_{new}.", f"{new}.")
    return key.replace("to_out.0", "proj_out")


def _as_conv(key: str, value: Tensor) -> Tensor:
    linear = "attentions" in key and value.ndim == 2
    return value[:, :, None, None] if linear else value


def clip_to_ldm(
    tensors: Mapping[str, Tensor], prefix: str = "cond_stage_model.transformer."
) -> dict[str, Tensor]:
    """CLIP-L: the transformers names under a prefix."""
    return {f"{prefix}text_model.{key.removeprefix('text_model.')}": value for key, value in tensors.items()}


def big_clip_to_ldm(
    tensors: Mapping[str, Tensor], prefix: str = "conditioner.embedders.1.model."
) -> dict[str, Tensor]:
    """OpenCLIP: other names, and one matrix for query, key and value."""
    renamed = {
        "text_projection": tensors["text_projection.weight"].T,
        "positional_embedding": tensors["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": tensors["text_model.embeddings.token_embedding.weight"],
        "ln_final.weight": tensors["text_model.final_layer_norm.weight"],
        "ln_final.bias": tensors["text_model.final_layer_norm.bias"],
    }
    layers = {key.split(".")[3] for key in tensors if ".layers." in key}
    for layer in layers:
        old, new = f"text_model.encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            parts = [tensors[f"{old}self_attn.{name}_proj.{kind}"] for name in "qkv"]
            renamed[f"{new}attn.in_proj_{kind}"] = torch.cat(parts)
            renamed[f"{new}attn.out_proj.{kind}"] = tensors[f"{old}self_attn.out_proj.{kind}"]
            for ours, theirs in (("layer_norm1", "ln_1"), ("layer_norm2", "ln_2")):
                renamed[f"{new}{theirs}.{kind}"] = tensors[f"{old}{ours}.{kind}"]
            for ours, theirs in (("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj")):
                renamed[f"{new}{theirs}.{kind}"] = tensors[f"{old}{ours}.{kind}"]
    return {prefix + key: value for key, value in renamed.items()}
