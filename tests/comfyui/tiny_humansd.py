"""Writes a checkpoint with random weights that ComfyUI takes for HumanSD.

Run with ComfyUI's Python in its checkout: python tiny_humansd.py FILE. The U-Net has 8 input channels and the
width of SD 2.1 but two levels, the text encoder is OpenCLIP-H, and TAESD serves as the autoencoder: some
900 MB, a second a step.
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
import comfy.text_encoders.sd2_clip  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402
from comfy.taesd.taesd import TAESD  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

UNET = {
    "image_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 320,
    "channel_mult": (1, 1),
    "num_res_blocks": [1, 1],
    "transformer_depth": [1, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1],
    "num_head_channels": 64,
    "num_heads": -1,
    "context_dim": 1024,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}
CLIP = "cond_stage_model.model."


def drawn(name: str, like: torch.Tensor) -> torch.Tensor:
    """Matrices that keep the scale of what passes through; norms and biases that change nothing."""
    if like.ndim > 1:
        return (torch.randn(like.shape) * 0.8 / like[0].numel() ** 0.5).half()
    fill = torch.ones if name.endswith("weight") else torch.zeros
    return fill(like.shape).half()


def weights(prefix: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = module.state_dict()
    return {prefix + name: drawn(name, tensor) if tensor.ndim else tensor for name, tensor in state.items()}


def open_clip(module: torch.nn.Module) -> dict[str, torch.Tensor]:
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


torch.manual_seed(0)
with torch.device("meta"):
    unet = UNetModel(**UNET, operations=comfy.ops.disable_weight_init, device="meta")
    clip = comfy.text_encoders.sd2_clip.SD2ClipHModel(device="meta", dtype=torch.float16)
place.parent.mkdir(parents=True, exist_ok=True)
save_file(
    weights("model.diffusion_model.", unet)
    | open_clip(clip.transformer)
    | weights("first_stage_model.", TAESD(latent_channels=4)),
    str(place),
)
