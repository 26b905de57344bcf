"""Writes a ControlNet with random weights for the checkpoints of tiny_checkpoint.py and tiny_inpainting.py.

Run with ComfyUI's Python in its checkout: python tiny_controlnet.py FILE. Some 40 MB.
"""

import torch
from tiny_parts import UNET, place, save_file, weights

import comfy.cldm.cldm  # isort: skip  (found because of tiny_parts)
import comfy.ops  # isort: skip

known = {
    name: value for name, value in UNET.items() if name not in ("out_channels", "transformer_depth_output")
}
torch.manual_seed(1)
with torch.device("meta"):
    network = comfy.cldm.cldm.ControlNet(
        **known,
        in_channels=4,
        hint_channels=3,
        num_heads=8,
        context_dim=768,
        use_linear_in_transformer=False,
        operations=comfy.ops.disable_weight_init,
        device="meta",
        dtype=torch.float16,
    )
place.parent.mkdir(parents=True, exist_ok=True)
save_file(weights("", network), str(place))
