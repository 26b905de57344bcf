"""Recipe humansd_controlnet: HumanSD's two-branch peer, a ControlNet on the same base, for the comparison.

It sees the same people, texts and skeleton pictures as the recipe humansd, batch by batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...models.diffusion.networks import load_unet
from ..controlled import ControlledUNet
from ..humansd_data import PosedPeople
from ..plan import BF16_COPY, Batch, Export, TrainingPlan
from ..progress import picture_grid
from .humansd import BATCH_SIZE, STEPS, PosedRecipe


class HumanSDControlNetRecipe(PosedRecipe):
    """Learn to draw people as skeletons ask, with a branch of its own for the skeleton."""

    name = "humansd_controlnet"
    plan = TrainingPlan(steps=STEPS, batch_size=BATCH_SIZE, learning_rate=1e-4, mixed_precision=BF16_COPY)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The base U-Net, frozen but for its cross-attention, and a ControlNet that starts from it."""
        return ControlledUNet(load_unet(init["base"]))

    def parameter_groups(self, module: Any, learning_rate: float) -> list[dict[str, Any]]:
        """Cross-attention at the rate, ControlNet at ten times the rate."""
        return module.parameter_groups(learning_rate)

    def batch(self, data: PosedPeople, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (B,8,h,w), texts, and skeleton pictures (B,3,8h,8w)."""
        drawn = self.draw(data, step, seed, batch_size)
        prompt = data.draw(drawn.indices) * drawn.posed
        return {"latents": drawn.latents, "texts": drawn.texts, "prompt": prompt}

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

    def export(self, module: Any, held_out: PosedPeople) -> Export:
        """The trained cross-attention and the ControlNet."""
        tensors, config = module.change("base")
        return Export("humansd_controlnet", tensors, config, int8=True)


def recipe() -> HumanSDControlNetRecipe:
    """This file's recipe."""
    return HumanSDControlNetRecipe()
