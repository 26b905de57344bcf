"""Writes a checkpoint with random weights that ComfyUI takes for HumanSD.

Run with ComfyUI's Python in its checkout: python tiny_humansd.py FILE. The U-Net has 8 input channels and the
width of SD 2.1 but two levels, the text encoder is OpenCLIP-H, and TAESD serves as the autoencoder: some
900 MB, a second a step.
"""

import torch
from tiny_parts import Weights, drawn, write

import comfy.text_encoders.sd2_clip  # isort: skip  (found because of tiny_parts)

CLIP = "cond_stage_model.model."


def open_clip(module: torch.nn.Module) -> Weights:
    """The text encoder in OpenCLIP's own names, with one matrix for query, key and value."""
    state = {name: drawn(name, tensor) for name, tensor in module.state_dict().items() if tensor.ndim}
    plain = {
        "text_model.embeddings.token_embedding.": "token_embedding.",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "text_model.final_layer_norm.": "ln_final.",
        "text_model.encoder.layers.": "transformer.resblocks.",
        "layer_norm1.": "ln_1.", "layer_norm2.": "ln_2.", "mlp.fc1.": "mlp.c_fc.", "mlp.fc2.": "mlp.c_proj.",
        "self_attn.out_proj.": "attn.out_proj.", "text_projection.weight": "text_projection",
    }  # fmt: skip
    renamed = {}
    for name, tensor in state.items():
        if ".self_attn.k_proj." in name or ".self_attn.v_proj." in name:
            continue
        if ".self_attn.q_proj." in name:
            parts = [state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            name, tensor = name.replace("self_attn.q_proj.", "attn.in_proj_"), torch.cat(parts)
        for old, new in plain.items():
            name = name.replace(old, new)
        renamed[CLIP + name] = tensor
    return renamed


with torch.device("meta"):
    clip = comfy.text_encoders.sd2_clip.SD2ClipHModel(device="meta", dtype=torch.float16)
write(
    lambda: open_clip(clip.transformer),
    in_channels=8,
    num_head_channels=64,
    num_heads=-1,
    context_dim=1024,
    use_linear_in_transformer=True,
)
