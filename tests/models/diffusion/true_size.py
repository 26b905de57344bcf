"""Checkpoints of the true sizes and key layouts with a constant for every weight, to measure loading by.

`python -m figura.tests.models.diffusion.true_size FOLDER` writes 16 GB: sd15_fp16.safetensors, sd15.ckpt,
sdxl_fp16.safetensors, sam_vit_h.pth, and the words of a small tokenizer.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from figura.models.perception.sam_networks import SamConfig, build_sam
from figura.tests.models.diffusion import full_size
from figura.tests.models.diffusion import ldm_layout as ldm
from figura.training.bench.memory import CLIP_BIG, CLIP_L, SDXL_UNET
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

Tensors = dict[str, torch.Tensor]
WEIGHT = 0.01


def sd15() -> Tensors:
    """SD1.5 inpainting in the original layout, without memory."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(in_channels=9, cross_attention_dim=768, attention_head_dim=8)
    return ldm.unet_to_ldm(unet.state_dict(), 2) | _vae() | ldm.clip_to_ldm(_clip())


def sdxl() -> Tensors:
    """SDXL inpainting in the original layout, without memory."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(in_channels=9, **SDXL_UNET)
        big = CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_BIG, projection_dim=1280, hidden_act="gelu"))
    named = {_with_prefix(key): value for key, value in big.state_dict().items()}
    small = ldm.clip_to_ldm(_clip(), "conditioner.embedders.0.transformer.")
    return ldm.unet_to_ldm(unet.state_dict(), 2) | _vae() | small | ldm.big_clip_to_ldm(named)


def sam_vit_h() -> Tensors:
    """Segment Anything's largest, without memory."""
    with torch.device("meta"):
        config = SamConfig(embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31))
        return dict(build_sam(config).state_dict())


def _vae() -> Tensors:
    with torch.device("meta"):
        network = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
    return ldm.vae_to_ldm(network.state_dict(), 4)


def _clip() -> Tensors:
    with torch.device("meta"):
        return dict(CLIPTextModel(CLIPTextConfig(**CLIP_L)).state_dict())


def _with_prefix(key: str) -> str:
    return key if key.startswith(("text_model.", "text_projection")) else f"text_model.{key}"


def filled(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    """Real tensors of these shapes."""
    return {
        key: torch.full(tuple(value.shape), WEIGHT, dtype=dtype)
        if value.is_floating_point()
        else torch.arange(value.numel()).reshape(value.shape)
        for key, value in tensors.items()
    }


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder: Any = parser.parse_args().folder
    (folder / "words").mkdir(parents=True, exist_ok=True)
    full_size.write_tokenizer(folder / "words")
    save_file(filled(sd15(), torch.float16), folder / "sd15_fp16.safetensors")
    torch.save({"state_dict": filled(sd15(), torch.float32)}, folder / "sd15.ckpt")
    save_file(filled(sdxl(), torch.float16), folder / "sdxl_fp16.safetensors")
    torch.save(filled(sam_vit_h(), torch.float32), folder / "sam_vit_h.pth")


if __name__ == "__main__":
    main()
