"""Writes a checkpoint with random weights that ComfyUI takes for Stable Diffusion 1.5 inpainting.

Run with ComfyUI's Python in its checkout: python tiny_inpainting.py FILE. As tiny_checkpoint.py, with 9 input
channels: latents, mask, masked picture.
"""

import torch
from tiny_parts import weights, write

import comfy.sd1_clip  # isort: skip  (found because of tiny_parts)

with torch.device("meta"):
    clip = comfy.sd1_clip.SDClipModel(device="meta", dtype=torch.float16)
write(
    lambda: weights("cond_stage_model.transformer.", clip.transformer),
    in_channels=9,
    num_heads=8,
    context_dim=768,
    use_linear_in_transformer=False,
)
