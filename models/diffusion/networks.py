"""Mini configurations of the stock diffusers networks, and what every latent-diffusion method does with them.

Mini works on 128x128 pictures and 16x16 latents of 8 channels; the same functions serve full-size networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as functional

from .checkpoint import built, load_file
from .schedulers import STABLE_DIFFUSION
from .seeds import cpu_generator

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, ControlNetModel, DDPMScheduler, UNet2DConditionModel

LATENT_CHANNELS = 8
LATENT_FACTOR = 8
MINI_SIZE = 128
TEXT_WIDTH = 96
HIDDEN_GREY = 0.5
"""Value of the pixels that a masked picture hides, in 0..1: 0 for a network that takes -1..1."""

_CHANNELS = (64, 96, 96)
_PROMPT_CHANNELS = (16, 32, 64, 96)


def mini_unet(in_channels: int = LATENT_CHANNELS) -> UNet2DConditionModel:
    """A small text-to-image U-Net: (B,in_channels,16,16), timestep, (B,28,96) -> noise (B,8,16,16)."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=MINI_SIZE // LATENT_FACTOR,
        in_channels=in_channels,
        out_channels=LATENT_CHANNELS,
        block_out_channels=_CHANNELS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=tuple(channels // 32 for channels in _CHANNELS),
        cross_attention_dim=TEXT_WIDTH,
        norm_num_groups=16,
    )
    return with_plain_attention(unet)


def mini_inpaint_unet() -> UNet2DConditionModel:
    """The inpainting U-Net: input channels [z_t (8), mask (1), latents of the masked picture (8)]."""
    return mini_unet(2 * LATENT_CHANNELS + 1)


def mini_controlnet(unet: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet started from `unet`; its prompt image is (B,3,H,W) in 0..1 at 8 times the latent size."""
    from diffusers import ControlNetModel

    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=_PROMPT_CHANNELS)
    return with_plain_attention(network)


def with_plain_attention(network: Any) -> Any:
    """The diffusers network (in place) with attention as plain products: over the few tokens that mini has,
    that is faster on CPUs than torch's fused attention, most of all backward.
    """
    from diffusers.models.attention_processor import AttnProcessor

    network.set_attn_processor(AttnProcessor())
    return network


def mini_vae() -> AutoencoderKL:
    """The mini autoencoder: (B,3,H,W) in -1..1 <-> (B,8,H/8,W/8), on pictures folded to (B,12,H/2,W/2).

    Convolutions at full resolution would cost as much as all others together; folded, every pixel still
    counts.
    """
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=12,
        out_channels=12,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 96),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=MINI_SIZE // 2,
        scaling_factor=1.0,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def fold_of(vae: AutoencoderKL) -> int:
    """Pixels a side in one position of the autoencoder's input: 1 for Stable Diffusion, 2 for mini."""
    return math.isqrt(vae.config.in_channels // 3)


def noise_schedule() -> DDPMScheduler:
    """Stable Diffusion's noise schedule: 1000 steps, betas 0.00085..0.012 scaled linearly, eps-prediction."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(**STABLE_DIFFUSION, prediction_type="epsilon", clip_sample=False)


@torch.no_grad()
def widen_conv_in(unet: UNet2DConditionModel, channels: int) -> UNet2DConditionModel:
    """Give `unet` (in place) `channels` input channels: the first ones stay, the new ones start at zero."""
    old = unet.conv_in
    if channels < old.in_channels:
        raise ValueError(f"conv_in has {old.in_channels} channels and cannot be narrowed to {channels}")
    new = type(old)(channels, old.out_channels, old.kernel_size, padding=old.padding)
    new.weight.zero_()
    new.weight[:, : old.in_channels] = old.weight
    new.bias.copy_(old.bias)
    unet.conv_in = new.to(old.weight)
    unet.register_to_config(in_channels=channels)
    return unet


def encode_image(vae: AutoencoderKL, images: torch.Tensor) -> torch.Tensor:
    """Pictures (B,3,H,W) in 0..1 -> scaled latents (the mode of the posterior)."""
    return scaled_latents(vae, image_posterior(vae, images).mode())


def image_posterior(vae: AutoencoderKL, images: torch.Tensor) -> Any:
    """Pictures (B,3,H,W) in 0..1 -> the posterior of their unscaled latents, diffusers' distribution."""
    return vae.encode(functional.pixel_unshuffle(images * 2 - 1, fold_of(vae))).latent_dist


def sampled_latents(
    vae: AutoencoderKL, moments: torch.Tensor, seeds: Sequence[int], salt: int = 0
) -> torch.Tensor:
    """Scaled latents drawn from posteriors in place of their means; row i depends on seeds[i] alone.

    Args:
        vae: the autoencoder.
        moments: the posteriors' parameters, (B,2C,h,w).
        seeds: one for each row.
        salt: another number draws other samples of the same seeds.

    Returns:
        (B,C,h,w) float32.
    """
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    posterior = DiagonalGaussianDistribution(moments)
    mean = posterior.mode().float()
    noise = [torch.randn(mean.shape[1:], generator=cpu_generator(seed, salt)) for seed in seeds]
    return scaled_latents(vae, mean + posterior.std.float() * torch.stack(noise).to(mean))


def scaled_latents(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """What the autoencoder gives -> what the U-Net works on."""
    return (latents - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor


def decode_latents(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Scaled latents -> pictures (B,3,H,W) in 0..1."""
    latents = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    images = functional.pixel_shuffle(vae.decode(latents).sample, fold_of(vae))
    return (images / 2 + 0.5).clamp(0, 1)


def hide(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The masked picture: `images` (B,3,H,W) in 0..1 with grey where `mask` (B,1,H,W) is 1."""
    return torch.where(mask > 0.5, torch.full_like(images, HIDDEN_GREY), images)


def latent_mask(mask: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """A mask (B,1,H,W) at the latent size (h,w): the covered part of each cell."""
    return functional.adaptive_avg_pool2d(mask.float(), (size[0], size[1]))


def inpaint_condition(vae: AutoencoderKL, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The inpainting U-Net's extra channels (B,1+C,h,w): mask (1 = make), latents of the masked picture.

    images: (B,3,H,W) in 0..1. mask: (B,1,H,W), 1 where something is to be made; the channel has the covered
    part of each cell.
    """
    return with_mask(encode_image(vae, hide(images, mask)), mask, binary=False)


def with_mask(masked: torch.Tensor, mask: torch.Tensor, binary: bool) -> torch.Tensor:
    """Latents of the masked picture (B,C,h,w) behind the mask (B,1,H,W) in their cells.

    binary: the mask is 0 or 1 in every cell, that of its first pixel, as public weights were trained;
    otherwise the covered part of each cell.
    """
    size = (masked.shape[-2], masked.shape[-1])
    cells = functional.interpolate((mask > 0.5).float(), size) if binary else latent_mask(mask, size)
    return torch.cat([cells.to(masked), masked], dim=1)


def parameter_count(module: torch.nn.Module) -> int:
    """Number of parameters of `module`."""
    return sum(parameter.numel() for parameter in module.parameters())


def load_vae(path: str | Path) -> AutoencoderKL:
    """An autoencoder from its weights file, in eval mode; errors as in `checkpoint.load_file`."""
    from diffusers import AutoencoderKL

    tensors, meta = load_file(path, file_kind="vae")
    return built(lambda: AutoencoderKL.from_config(meta["config"]), tensors, str(path)).eval()


def load_unet(path: str | Path, file_kind: str = "unet") -> UNet2DConditionModel:
    """A U-Net from its weights file, in eval mode; errors as in `checkpoint.load_file`."""
    from diffusers import UNet2DConditionModel

    tensors, meta = load_file(path, file_kind=file_kind)
    unet = built(lambda: UNet2DConditionModel.from_config(meta["config"]), tensors, str(path))
    return with_plain_attention(unet).eval()


def plain_config(module: Any) -> dict[str, Any]:
    """The configuration of a diffusers module as plain JSON values."""
    return {name: value for name, value in dict(module.config).items() if not name.startswith("_")}
