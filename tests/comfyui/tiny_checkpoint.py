"""Writes a checkpoint with random weights that ComfyUI takes for Stable Diffusion 1.5.

Run with ComfyUI's Python in its checkout: python tiny_checkpoint.py FILE. The U-Net has the width of SD 1.5
but two levels, the text encoder is CLIP-L, and TAESD serves as the autoencoder: some 340 MB, a second a step.
"""

import torch
from tiny_parts import weights, write

import comfy.sd1_clip  # isort: skip  (found because of tiny_parts)

with torch.device("meta"):
    clip = comfy.sd1_clip.SDClipModel(device="meta", dtype=torch.float16)
write(
    lambda: weights("cond_stage_model.transformer.", clip.transformer),
    in_channels=4,
    num_heads=8,
    context_dim=768,
    use_linear_in_transformer=False,
)
