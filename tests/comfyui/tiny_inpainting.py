"""Writes a checkpoint with random weights that ComfyUI takes for Stable Diffusion 1.5 inpainting.

Run with ComfyUI's Python in its checkout: python tiny_inpainting.py FILE. As tiny_checkpoint.py, with 9 input
channels: latents, mask, masked picture.
"""

from tiny_parts import write_sd15

write_sd15(in_channels=9)
