"""What the scripts tiny_*.py share: random weights in the layout of Stable Diffusion's checkpoints.

They run with ComfyUI's Python in its checkout and get the file to write as their argument.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    "out_channels": 4,
    "model_channels": 320,
    "channel_mult": (1, 1),
    "num_res_blocks": [1, 1],
    "transformer_depth": [1, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1],
    "use_spatial_transformer": True,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}
"""Of the full width, but with two levels."""
Weights = dict[str, torch.Tensor]


def drawn(name: str, like: torch.Tensor) -> torch.Tensor:
    """Matrices that keep the scale of what passes through; norms and biases that change nothing."""
    if like.ndim > 1:
        return (torch.randn(like.shape) * 0.8 / like[0].numel() ** 0.5).half()
    fill = torch.ones if name.endswith("weight") else torch.zeros
    return fill(like.shape).half()


def weights(prefix: str, module: torch.nn.Module) -> Weights:
    state = module.state_dict()
    return {prefix + name: drawn(name, tensor) if tensor.ndim else tensor for name, tensor in state.items()}


def write(text_encoder: Callable[[], Weights], **unet_config: Any) -> None:
    """The file with such a U-Net, these weights of a text encoder, and TAESD as the autoencoder."""
    torch.manual_seed(0)
    with torch.device("meta"):
        unet = UNetModel(**UNET, **unet_config, operations=comfy.ops.disable_weight_init, device="meta")
    place.parent.mkdir(parents=True, exist_ok=True)
    tensors = weights("model.diffusion_model.", unet) | text_encoder()
    tensors |= weights("first_stage_model.", TAESD(latent_channels=4))
    if place.suffix == ".ckpt":
        torch.save({"state_dict": tensors}, place)
    else:
        save_file(tensors, str(place))


def write_sd15(in_channels: int) -> None:
    """The file of a U-Net with the context of Stable Diffusion 1.5, and CLIP-L."""
    with torch.device("meta"):
        clip = comfy.sd1_clip.SDClipModel(device="meta", dtype=torch.float16)
    write(
        lambda: weights("cond_stage_model.transformer.", clip.transformer),
        in_channels=in_channels,
        num_heads=8,
        context_dim=768,
        use_linear_in_transformer=False,
    )
