"""Random files in the public Stable Diffusion layouts, small, for the tests of everything that reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from figura.tests.models.diffusion import ldm_layout as ldm
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

WORDS = ["<|startoftext|>", "<|endoftext|>"]
SHARED = {"block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 32}


def unet(in_channels: int = 9, **config: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=in_channels, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=64, **SHARED, **config,
    )  # fmt: skip


def xl_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=9, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), cross_attention_dim=128,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), use_linear_projection=True,
        attention_head_dim=(1, 1),
        transformer_layers_per_block=(1, 2), addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=6 * 256 + 64, **SHARED,
    )  # fmt: skip


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 32, 32, 64), layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip


def clip_config(activation: str = "quick_gelu") -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=258, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=1,
        projection_dim=64, hidden_act=activation, bos_token_id=256, eos_token_id=257, pad_token_id=257,
    )  # fmt: skip


def write_tokenizer(folder: Path) -> Path:
    """A vocabulary of 258 words for `clip_config`."""
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += [f"x{number}" for number in range(256 - len(words))] + WORDS
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def sd15_tensors(network: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    tensors = ldm.unet_to_ldm(network.state_dict(), 1)
    tensors |= ldm.vae_to_ldm(vae().state_dict(), 4)
    return tensors | ldm.clip_to_ldm(CLIPTextModel(clip_config()).state_dict())


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, str(path))
    return path
