"""Writes a LoRA with random weights for the checkpoints of tiny_checkpoint.py and tiny_inpainting.py.

Run with ComfyUI's Python in its checkout: python tiny_lora.py FILE.
"""

import torch
from tiny_parts import place, save_file

RANK, WIDTH, CONTEXT = 4, 320, 768
NAME = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_{}.lora_{}.weight"
torch.manual_seed(2)
tensors = {}
for layer, columns in (("q", WIDTH), ("k", CONTEXT), ("v", CONTEXT)):
    tensors[NAME.format(layer, "up")] = torch.randn(WIDTH, RANK) * 0.2
    tensors[NAME.format(layer, "down")] = torch.randn(RANK, columns) * 0.2
place.parent.mkdir(parents=True, exist_ok=True)
save_file(tensors, str(place))
