"""Recipe vae_decoder: goes on with the decoder alone, on disturbed latents of whole pictures.

A diffusion model's latents are never exact, so the decoder learns to make clean pictures of inexact ones. The
encoder of a file that recipe vae wrote stays bit for bit: cached latents and everything trained on them keep
their meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from ...models.diffusion.networks import decode_latents, fold_of, load_vae, plain_config
from ..data.latents import TARGETS, LatentCache, open_latents
from ..data.people import sample_indices
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator
from .image_losses import psnr_of, reconstruction_loss
from .latent import latents_of
from .vae import PERSON_WEIGHT, reconstruction_scores

WEIGHTS = {"complete": 0.4, "unoccluded": 0.2, "cutout": 0.4}
NOISE = (0.1, 0.25)
SCORED_NOISE = 0.2


class DecoderTraining(torch.nn.Module):
    """An autoencoder of which only post_quant_conv and decoder learn."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae.requires_grad_(False)
        vae.post_quant_conv.requires_grad_(True)
        vae.decoder.requires_grad_(True)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Unscaled latents (B,C,h,w) -> pictures (B,3,H,W) in -1..1."""
        return functional.pixel_shuffle(self.vae.decode(latents).sample, fold_of(self.vae))


class VAEDecoderRecipe(BaseRecipe):
    """Decode latents that carry noise of 0.1 to 0.25 standard deviations."""

    name = "vae_decoder"
    needs = ("vae",)
    plan = TrainingPlan(steps=6000, batch_size=4, learning_rate=6e-4, mixed_precision="bf16", ema_decay=0.995)

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """The latents that the U-Nets learn from; they do not change."""
        return open_latents(data_root, load_vae(init["vae"]))

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The finished autoencoder, frozen but for its decoder."""
        return DecoderTraining(load_vae(init["vae"]))

    def batch(self, data: LatentCache, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (B,8,h,w) of whole pictures, the pictures in -1..1, person masks, and the noise level
        of each.
        """
        generator = random_generator(seed, step, 16)
        indices = sample_indices(len(data), step, seed, batch_size)
        chances = torch.tensor([WEIGHTS[name] for name in TARGETS])
        targets = [TARGETS[int(k)] for k in torch.multinomial(chances, batch_size, True, generator=generator)]
        images = [data.people.images(target, [int(i)]) for target, i in zip(targets, indices, strict=True)]
        low, high = NOISE
        return {
            "latents": latents_of(data, targets, indices),
            "pictures": torch.cat(images) * 2 - 1,
            "masks": data.people.images("amodal_mask", indices),
            "level": low + (high - low) * torch.rand(batch_size, 1, 1, 1, generator=generator),
        }

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Squared and absolute error and SSIM, person weighted, as the autoencoder's own."""
        noise = torch.randn(batch["latents"].shape, generator=generator).to(batch["latents"])
        output, images = module(batch["latents"] + batch["level"] * noise).float(), batch["pictures"]
        with torch.autocast(images.device.type, enabled=False):
            loss = reconstruction_loss(output, images, 1 + (PERSON_WEIGHT - 1) * batch["masks"], sharp=1.0)
        return loss, {"psnr": psnr_of((output - images).detach())}

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Pictures, and below them what is decoded of their latents and of their disturbed latents."""
        noise = torch.randn(batch["latents"].shape, generator=random_generator(6)).to(batch["latents"])
        decoded = [
            decode_latents(module.vae, batch["latents"] + level * noise) for level in (0.0, SCORED_NOISE)
        ]
        return image_grid([batch["pictures"] / 2 + 0.5, *decoded])

    def evaluate(self, module: Any, held_out: LatentCache) -> dict[str, float]:
        """PSNR of held-out pictures as of recipe vae, and of cutouts from disturbed latents."""
        indices = np.arange(min(64, len(held_out)))
        latents = latents_of(held_out, ["cutout"] * len(indices), indices)
        noise = torch.randn(latents.shape, generator=random_generator(6))
        output = decode_latents(module.vae, (latents + SCORED_NOISE * noise).to(module.vae.device)).cpu()
        disturbed = psnr_of(2 * (output - held_out.people.images("cutout", indices)))
        return {
            **reconstruction_scores(module.vae, held_out.people),
            "psnr.cutout.disturbed": float(disturbed),
        }

    def export(self, module: Any, held_out: LatentCache) -> Export:
        """A whole autoencoder; its encoder's tensors are those of the file it came from."""
        return Export("vae", module.vae.state_dict(), plain_config(module.vae), int8=True)


RECIPES = {"vae_decoder": VAEDecoderRecipe}
