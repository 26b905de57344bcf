"""Writes a checkpoint with random weights that ComfyUI takes for Stable Diffusion 1.5.

Run with ComfyUI's Python in its checkout: python tiny_checkpoint.py FILE. The U-Net has the width of SD 1.5
but two levels, the text encoder is CLIP-L, and TAESD serves as the autoencoder: some 340 MB, a second a step.
"""

from tiny_parts import write_sd15

write_sd15(in_channels=4)
