"""Recipe hands: stage 1 of Giving a Hand, a hand and its mask from a hand skeleton.

L = L_LDM + lambda 1/N sum_i (M_i - m_theta)^2: the U-Net, started from the base with zero new channels,
predicts the noise and the hand's mask from the noisy latents and the latents of the skeleton picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from ...models.diffusion.networks import latent_mask
from ...models.diffusion.single_file import TEXT_CHANNELS
from ...models.hands.losses import MASK_WEIGHT, mask_loss
from ...models.hands.networks import hand_unet
from ..data.hands import CloseUps, open_close_ups
from ..data.people import rows, sample_indices
from ..evaluation.metrics import iou
from ..run.progress import image_grid
from ..run.recipe import BF16_COPY, Batch, Split, TrainingPlan, random_generator
from .latent import LatentRecipe
from .public import open_unet

HAND_COUNTS = 4.0
"""How much more the hand and its outline count than the background, which is cut away later."""


OUR_PLAN = TrainingPlan(
    steps=50_000, batch_size=16, learning_rate=1e-5, final_rate=1.0, weight_decay=0.01, betas=(0.9, 0.999),
    mixed_precision="bf16", gradient_checkpointing=True,
)  # fmt: skip
"""Of both stages at full size. The paper's settings are not known: this is our choice."""


class HandRecipe(LatentRecipe):
    """Draw hands as skeletons ask. mask_weight: lambda; 0 is the ablation without the second task."""

    name = "hands"
    needs = ("vae", "text", "base")
    empty_text = 0.12
    file_kind = "hands"
    settings = (*LatentRecipe.settings, "mask_weight", "hand_counts")
    plan = TrainingPlan(steps=15_000, batch_size=32, learning_rate=6e-4, mixed_precision=BF16_COPY)
    authors = OUR_PLAN

    def __init__(self, name: str = "hands", mask_weight: float = MASK_WEIGHT) -> None:
        super().__init__()
        self.name, self.mask_weight, self.hand_counts = name, mask_weight, HAND_COUNTS

    def at_full_size(self) -> None:
        """Also all cells alike."""
        super().at_full_size()
        self.hand_counts = 1.0

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode the hands once for this autoencoder."""
        self.prepare_networks(init)
        return open_close_ups(data_root, self.vae)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The base U-Net, widened."""
        base = open_unet(init["base"], TEXT_CHANNELS)
        return hand_unet(base, base.config.out_channels)

    def batch(self, data: CloseUps, step: int, seed: int, batch_size: int) -> Batch:
        """Latents, skeleton latents (B,8,h,w), masks (B,1,h,w) as covered parts of the cells, texts."""
        generator = random_generator(seed, step, 33)
        indices = sample_indices(len(data), step, seed, batch_size)
        latents = rows(data.latents, indices).float()
        masks = rows(data.masks, indices).float() / 255
        return {
            "latents": latents,
            "skeleton": rows(data.skeletons, indices).float(),
            "masks": latent_mask(masks, latents.shape[-2:]),
            "texts": self.encode_texts([data.captions[index] for index in indices], generator),
        }

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The noise loss and lambda times the mask loss."""
        masks: list[torch.Tensor] = []

        def predict(latents: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            noise, mask = predict_both(module, batch, latents, times)
            masks.append(mask)
            return noise

        counts = 1 + (self.hand_counts - 1) * F.max_pool2d(batch["masks"], 3, 1, 1)
        noise_loss = self.noise_loss(predict, batch["latents"], generator, counts)
        of_masks = mask_loss(masks[0].float(), batch["masks"])
        return noise_loss + self.mask_weight * of_masks, {
            "noise": noise_loss.detach(),
            "mask": of_masks.detach(),
        }

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Pictures of the data, skeletons, pictures and masks made."""
        made, masks = self.make(module, batch)
        shown = F.interpolate(masks, made.shape[-2:]).expand(-1, 3, -1, -1)
        return image_grid([self.decode(batch["latents"]), self.decode(batch["skeleton"]), made, shown])

    @torch.no_grad()
    def make(self, module: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures (B,3,H,W) and masks (B,1,h,w) from noise, without guidance."""
        last: list[torch.Tensor] = []

        def predict(latents: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            noise, mask = predict_both(module, batch, latents, times)
            last[:] = [mask.float().clamp(0, 1)]
            return noise

        return self.generate(predict, batch["latents"]), last[0]

    def evaluate(self, module: Any, held_out: CloseUps) -> dict[str, float]:
        """IoU of the predicted masks with the true ones, in cells."""
        device = next(module.parameters()).device
        scores = []
        for step in range(4):
            batch = {name: value.to(device) for name, value in self.batch(held_out, step, 0, 16).items()}
            scores.append(iou(self.make(module, batch)[1], batch["masks"]))
        return {"mask_iou_cells": float(torch.cat(scores).mean())}


def predict_both(
    module: Any, batch: Batch, latents: torch.Tensor, times: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise (B,8,h,w) and mask (B,1,h,w).

    Args:
        module: the generator's U-Net.
        batch: with "skeleton", latents (B,8,h,w) of the skeleton pictures, and "texts", states (B,L,D).
        latents: noisy (B,8,h,w).
        times: (B,) time steps.
    """
    made = module(torch.cat([latents, batch["skeleton"]], dim=1), times, batch["texts"]).sample
    channels = latents.shape[1]
    return made[:, :channels], made[:, channels:]


RECIPES = {
    "hands": HandRecipe,
    "hands_without_mask": partial(HandRecipe, "hands_without_mask", mask_weight=0.0),
}
"""The generator; and without its second task (lambda = 0), for the comparison."""
