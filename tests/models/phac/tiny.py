"""Small random networks of the real classes, shared by the tests of PHAC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from figura.models.diffusion.latent_model import LatentNetworks
from figura.models.phac.networks import Inpainter, InvisibleMaskUNet, PHACModel

SIZE = 32
LATENTS = 4


class LetterText(torch.nn.Module):
    """Encodes a text as the numbers of its letters, so that different texts differ."""

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        rows = [[float(ord(letter) % 13) / 13 for letter in text.ljust(8)[:8]] for text in texts]
        return torch.tensor(rows)[:, :, None].expand(-1, -1, 8).clone()


def tiny_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=1, latent_channels=LATENTS,
        norm_num_groups=4, mid_block_add_attention=False,
    )  # fmt: skip


def tiny_unet(in_channels: int = 2 * LATENTS + 1) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=SIZE // 8, in_channels=in_channels, out_channels=LATENTS, block_out_channels=(8, 16),
        layers_per_block=1, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=8, attention_head_dim=2,
        norm_num_groups=4,
    )  # fmt: skip


def tiny_controlnet(unet: UNet2DConditionModel) -> ControlNetModel:
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8, 8))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def tiny_parts(unet: UNet2DConditionModel, size: int = SIZE) -> LatentNetworks:
    """The U-Net with an autoencoder of its latents and a text encoder."""
    return LatentNetworks(tiny_vae(), unet, LetterText(), size)


def tiny_refiner() -> Inpainter:
    torch.manual_seed(0)
    return Inpainter(tiny_parts(tiny_unet()), "tiny").eval()


def tiny_phac() -> PHACModel:
    torch.manual_seed(0)
    unet = tiny_unet()
    mask_net = InvisibleMaskUNet(base=8, levels=2, size=SIZE)
    return PHACModel(tiny_parts(unet), {"pose": tiny_controlnet(unet)}, mask_net, name="tiny").eval()


def images(batch: int = 2, seed: int = 0) -> dict[str, Any]:
    """What PHAC completes: pictures, masks of what is visible, prompt pictures and texts."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, SIZE, SIZE, generator=generator)
    visible = torch.zeros(batch, 1, SIZE, SIZE)
    visible[..., 4:16, 8:24] = 1
    prompt = torch.rand(batch, 3, SIZE, SIZE, generator=generator)
    return {
        "image": image,
        "visible_mask": visible,
        "prompt_image": prompt,
        "texts": ["a man", "a woman"][:batch],
    }
