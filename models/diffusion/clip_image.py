"""CLIP's image encoder in the place of a text encoder, as U-Nets conditioned by pictures have it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .layouts import Tensors, count

CLIP_SIZE = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
OPENAI_VISUAL = "cond_stage_model.model.visual."
PROJECTION = "cc_projection."
HEAD_WIDTH = 64
NAMES = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "ln_pre.": "vision_model.pre_layrnorm.",
    "ln_post.": "vision_model.post_layernorm.",
    "transformer.resblocks.": "vision_model.encoder.layers.",
}
LAYER_NAMES = {
    ".attn.out_proj.": ".self_attn.out_proj.",
    ".ln_1.": ".layer_norm1.",
    ".ln_2.": ".layer_norm2.",
    ".mlp.c_fc.": ".mlp.fc1.",
    ".mlp.c_proj.": ".mlp.fc2.",
}
"""OpenAI's names and those of transformers."""


class ImageCondition(torch.nn.Module):
    """What a U-Net's cross-attention sees of a picture: CLIP's embedding, projected; one token.

    model: CLIPVisionModelWithProjection. projection: a linear layer.
    """

    def __init__(self, model: Any, projection: torch.nn.Linear) -> None:
        super().__init__()
        self.model, self.projection = model, projection

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Pictures (B,3,H,W) in 0..1 -> (B,1,D)."""
        like = self.projection.weight
        embedded = self.model(pixel_values=clip_pixels(images.to(like.device)).to(like)).image_embeds
        return self.projection(embedded)[:, None]


def clip_pixels(images: Tensor) -> Tensor:
    """Pictures (B,3,H,W) in 0..1 as CLIP takes them, (B,3,224,224), enlarged or reduced by their corners."""
    small = F.interpolate(images.float(), (CLIP_SIZE, CLIP_SIZE), mode="bicubic", align_corners=True)
    mean, std = (small.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return (small - mean) / std


def vision_tensors(tensors: Mapping[str, Tensor]) -> Tensors:
    """The image encoder of OpenAI's CLIP in a checkpoint, by the names of transformers; empty without one."""
    named: Tensors = {}
    for key, value in tensors.items():
        if key.startswith(OPENAI_VISUAL):
            named |= _renamed(key.removeprefix(OPENAI_VISUAL), value)
    return named


def _renamed(key: str, value: Tensor) -> Tensors:
    if key == "proj":
        return {"visual_projection.weight": value.T.contiguous()}
    for old, new in NAMES.items():
        if key.startswith(old):
            key = new + key.removeprefix(old)
    for old, new in LAYER_NAMES.items():
        key = key.replace(old, new)
    if found := re.match(r"(.+)\.attn\.in_proj_(weight|bias)$", key):
        parts = zip("qkv", value.chunk(3), strict=True)
        return {f"{found[1]}.self_attn.{name}_proj.{found[2]}": part.contiguous() for name, part in parts}
    return {key: value}


def vision_config(tensors: Mapping[str, Tensor]) -> Any:
    """The configuration of the image encoder, read off its tensors by the names of transformers."""
    from transformers import CLIPVisionConfig

    width, _, patch, _ = tensors["vision_model.embeddings.patch_embedding.weight"].shape
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=tensors["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        projection_dim=tensors["visual_projection.weight"].shape[0],
        num_hidden_layers=count(tensors, r"vision_model\.encoder\.layers\.(\d+)\."),
        num_attention_heads=max(1, width // HEAD_WIDTH),
        image_size=CLIP_SIZE,
        patch_size=patch,
        hidden_act="quick_gelu",
    )
