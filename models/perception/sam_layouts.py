"""The layouts that Segment Anything's weights are published in: Meta's, MobileSAM's and transformers'."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from .sam_tiny import without_classifier

Tensors = Mapping[str, torch.Tensor]

SEQUENCE = {0: "conv1", 1: "norm", 3: "conv2"}
HQ_PARTS = {
    "compress_vit": "compress_vit_feat",
    "encoder": "embedding_encoder",
    "mask": "embedding_maskfeature",
}
MLP = r"iou_prediction_head|output_hypernetworks_mlps\.\d+|hf_mlp"
TRANSFORMERS = (
    (r"^vision_encoder\.", "image_encoder."),
    (r"^shared_image_embedding\.", "prompt_encoder.shared_embedding."),
    (r"shared_embedding\.positional_embedding$", "pe_layer.positional_encoding_gaussian_matrix"),
    (r"^(image_encoder)\.layers\.", r"\1.blocks."),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"neck\.conv1\.", "neck.0."),
    (r"neck\.layer_norm1\.", "neck.1."),
    (r"neck\.conv2\.", "neck.2."),
    (r"neck\.layer_norm2\.", "neck.3."),
    (r"mask_embed\.conv1\.", "mask_downscaling.0."),
    (r"mask_embed\.layer_norm1\.", "mask_downscaling.1."),
    (r"mask_embed\.conv2\.", "mask_downscaling.3."),
    (r"mask_embed\.layer_norm2\.", "mask_downscaling.4."),
    (r"mask_embed\.conv3\.", "mask_downscaling.6."),
    (r"\.point_embed\.", ".point_embeddings."),
    (r"upscale_conv1\.", "output_upscaling.0."),
    (r"upscale_layer_norm\.", "output_upscaling.1."),
    (r"upscale_conv2\.", "output_upscaling.3."),
    (r"hq_token\.", "hf_token."),
    (r"hq_mask_mlp\.", "hf_mlp."),
    *(
        (rf"mask_decoder\.{theirs}_{part}\.", f"mask_decoder.{ours}.{place}.")
        for theirs, ours in HQ_PARTS.items()
        for place, part in SEQUENCE.items()
    ),
    (rf"({MLP})\.layers\.0\.", r"\1.layers.1."),
    (rf"({MLP})\.proj_in\.", r"\1.layers.0."),
    (rf"({MLP})\.proj_out\.", r"\1.layers.2."),
    (r"layer_norm", "norm"),
)
"""transformers' names, part by part, and Meta's. MLPs there have three layers, as all published ones do."""


def meta_names(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The tensors under Meta's names, whichever layout they come in."""
    if is_mobile(tensors):
        return without_classifier(tensors)
    if not any(key.startswith("vision_encoder.") for key in tensors):
        return dict(tensors)
    return {_meta_name(key): value for key, value in tensors.items()}


def _meta_name(key: str) -> str:
    for theirs, ours in TRANSFORMERS:
        key = re.sub(theirs, ours, key)
    return key


def is_mobile(tensors: Tensors) -> bool:
    """Whether these are MobileSAM's, whose image encoder is a TinyViT with windows in every later stage."""
    return "image_encoder.layers.1.blocks.0.attn.attention_biases" in tensors


def other_model(tensors: Tensors) -> str:
    """What a file that is no Segment Anything of the first kind is, in words; empty when unknown."""
    if any(".sam_mask_decoder." in key or key.startswith("sam_mask_decoder.") for key in tensors):
        return "SAM 2 (or a later one): use its own nodes, and connect their MASK"
    if any(key.startswith("detector.") for key in tensors):
        return "SAM 3: use its own nodes, and connect their MASK"
    if any("hf_token" in key for key in tensors):
        return "SAM-HQ"
    if any(key.startswith("image_encoder.layers.") for key in tensors):
        return "a part of MobileSAM, or Meta's encoder in another layout"
    return ""
