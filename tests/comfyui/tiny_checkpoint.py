"""Writes a checkpoint with random weights that ComfyUI takes for Stable Diffusion 1.5.

Run with ComfyUI's Python in its checkout: python tiny_checkpoint.py FILE. The U-Net has the width of SD 1.5
but two levels, the text encoder is CLIP-L, and TAESD serves as the autoencoder: some 340 MB, a second a step.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path.cwd()))
place = Path(sys.argv[1])
sys.argv[1:] = ["--cpu"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.ops  # noqa: E402
import comfy.sd1_clip  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402
from comfy.taesd.taesd import TAESD  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "channel_mult": (1, 1),
    "num_res_blocks": [1, 1],
    "transformer_depth": [1, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1],
    "num_heads": 8,
    "context_dim": 768,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}


def drawn(name: str, like: torch.Tensor) -> torch.Tensor:
    """Matrices that keep the scale of what passes through; norms and biases that change nothing."""
    if like.ndim > 1:
        return (torch.randn(like.shape) * 0.8 / like[0].numel() ** 0.5).half()
    fill = torch.ones if name.endswith("weight") else torch.zeros
    return fill(like.shape).half()


def weights(prefix: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = module.state_dict()
    return {prefix + name: drawn(name, tensor) if tensor.ndim else tensor for name, tensor in state.items()}


torch.manual_seed(0)
with torch.device("meta"):
    unet = UNetModel(**UNET, operations=comfy.ops.disable_weight_init, device="meta")
    clip = comfy.sd1_clip.SDClipModel(device="meta", dtype=torch.float16)
place.parent.mkdir(parents=True, exist_ok=True)
save_file(
    weights("model.diffusion_model.", unet)
    | weights("cond_stage_model.transformer.", clip.transformer)
    | weights("first_stage_model.", TAESD(latent_channels=4)),
    str(place),
)
