"""Recipe body: stage 2 of Giving a Hand, a ControlNet for skeletons with hands on the base model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...models.diffusion.networks import load_unet
from ...people.skeleton import draw_skeleton
from ..controlled import ControlledUNet
from ..data import rows, sample_indices
from ..hands_data import Gestures, open_hands
from ..plan import BF16_COPY, Batch, Export, Split, TrainingPlan, random_generator
from ..progress import picture_grid
from .base import LatentRecipe

NO_PROMPT, NO_HANDS = 0.1, 0.08
"""Shares of black prompt pictures, which the guidance needs, and of skeletons without hands."""


class BodyRecipe(LatentRecipe):
    """Learn to draw people who show their hands as skeletons ask."""

    name = "body"
    needs = ("vae", "text", "base")
    empty_text = 0.12
    plan = TrainingPlan(steps=15_000, batch_size=32, learning_rate=1e-4, mixed_precision=BF16_COPY)

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode the people once for this autoencoder."""
        self.prepare_networks(init)
        train, held_out = open_hands(data_root, init["vae"])
        return Split(train.gestures, held_out.gestures)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The base U-Net, frozen but for its cross-attention, and a ControlNet that starts from it."""
        return ControlledUNet(load_unet(init["base"]))

    def parameter_groups(self, module: Any, learning_rate: float) -> list[dict[str, Any]]:
        """Cross-attention at the rate, ControlNet at ten times the rate."""
        return module.parameter_groups(learning_rate)

    def batch(self, data: Gestures, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (B,8,h,w), texts, and skeleton pictures (B,3,8h,8w)."""
        generator = random_generator(seed, step, 35)
        indices = sample_indices(len(data), step, seed, batch_size)
        drop = torch.rand(2, batch_size, 1, 1, 1, generator=generator)
        hands = rows(data.hands, indices)
        hands[..., 2:] *= (drop[1] > NO_HANDS).float()
        prompt = draw_skeleton(rows(data.joints, indices), data.size, data.size, hands=hands)
        return {
            "latents": rows(data.latents, indices).float(),
            "texts": self.encode_texts([data.captions[index] for index in indices], generator),
            "prompt": prompt * (drop[0] > NO_PROMPT).float(),
        }

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The noise loss."""
        return self.noise_loss(
            lambda z, t: module(z, t, batch["texts"], batch["prompt"]), batch["latents"], generator
        ), {}

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Pictures of the data, skeletons, and pictures made."""
        made = self.generate(lambda z, t: module(z, t, batch["texts"], batch["prompt"]), batch["latents"])
        return picture_grid([self.decode(batch["latents"]), batch["prompt"], made])

    def export(self, module: Any, held_out: Gestures) -> Export:
        """The trained cross-attention and the ControlNet."""
        tensors, config = module.change("base")
        return Export("body", tensors, config, int8=True)


def recipe() -> BodyRecipe:
    """This file's recipe."""
    return BodyRecipe()
