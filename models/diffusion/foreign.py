"""Files that people have and that no network here can be made of, so that errors can name them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# A key of the file -> what it is. The first that matches counts.
MODELS = (
    (r"lora_controlnet$", "a Control-LoRA"),
    (r"lllite_", "a ControlNet-LLLite"),
    (r"(^|\.)lora_|\.lora[._]|\.hada_w1|\.lokr_w1|\.oft_blocks|\.diff_b?$", "a LoRA"),
    (r"^(image_proj|ip_adapter)\.", "an IP-Adapter"),
    (r"^(model\.)?(1\.sub|conv_first|conv_body|body\.0\.rdb)", "an upscaler"),
    (r"^(adapter\.)?body\.\d+\.|^adapter\.", "a T2I-Adapter"),
    (r"^(model\.diffusion_model\.)?double_blocks\.\d+\.img_attn", "a transformer of Flux"),
    (r"^(model\.diffusion_model\.)?joint_blocks\.", "a transformer of Stable Diffusion 3"),
    (r"^(model\.diffusion_model\.)?(single_)?transformer_blocks\.", "a diffusion transformer"),
    (r"^(model\.diffusion_model\.)?blocks\.\d+\.(self_attn|cross_attn|adaln)", "a diffusion transformer"),
    (r"^(model\.diffusion_model\.)?time_mixer|temporal_transformer|motion_modules", "a motion module"),
    (r"^(emb_params|string_to_param|clip_[lg])$", "a textual inversion"),
    (r"^(encoder\.block|shared\.weight|encoder\.embed_tokens)", "a T5 text encoder"),
    (r"^(text_model\.|transformer\.resblocks\.)", "a CLIP text encoder alone"),
    (r"^(vision_model|visual)\.", "a CLIP vision encoder"),
    (r"^(image_encoder|vision_encoder|sam_mask_decoder)\.", "a Segment Anything"),
)  # fmt: skip
BEGINNINGS = (
    (b"GGUF", "a GGUF file: load it with ComfyUI-GGUF's node and use the graphs of stock nodes"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself: download it again"),
    (b"<!DOCTYPE", "a web page, not a model: download the file itself"),
    (b"<html", "a web page, not a model: download the file itself"),
)


def foreign_model(keys: Iterable[str]) -> str:
    """What tensors of these names are, in words; empty when they are none that is known."""
    keys = list(keys)
    for pattern, what in MODELS:
        if any(re.search(pattern, key) for key in keys):
            return what
    return ""


def check_format(path: Path) -> None:
    """ValueError when a file's first bytes are those of something that holds no tensors here."""
    with path.open("rb") as file:
        begins = file.read(32)
    for beginning, what in BEGINNINGS:
        if begins.lower().startswith(beginning.lower()):
            raise ValueError(f"{path} is {what}")
