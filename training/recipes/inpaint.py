"""Recipe inpaint: the 17-channel inpainting U-Net, started from the base U-Net with zero new input channels.

It is the coarse stage's backbone and stands in for SDXL inpainting in the refinement, so it sees both
their masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ...models.diffusion.networks import LATENT_CHANNELS, load_unet, widen_conv_in
from ..data.latents import LatentCache, random_target
from ..data.people import rows, sample_indices
from ..run.recipe import BF16_COPY, Batch, TrainingPlan, random_generator
from .latent import LatentRecipe, latents_of, target_caption

CASES = {"refine": 0.40, "visible": 0.35, "random": 0.20, "full": 0.05}


class InpaintRecipe(LatentRecipe):
    """Inpainting with masks of all kinds."""

    name = "inpaint"
    needs = ("vae", "text", "base")
    empty_text = 0.15
    condition = "condition"
    plan = TrainingPlan(steps=15_000, batch_size=32, learning_rate=6e-4, mixed_precision=BF16_COPY)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The base U-Net with 9 further input channels."""
        return widen_conv_in(load_unet(init["base"]), 2 * LATENT_CHANNELS + 1)

    def batch(self, data: LatentCache, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (B,8,h,w), condition (B,9,h,w) and texts (B,28,96)."""
        generator = random_generator(seed, step, 14)
        indices = sample_indices(len(data), step, seed, batch_size)
        chances = torch.tensor(list(CASES.values()))
        drawn = torch.multinomial(chances, batch_size, replacement=True, generator=generator)
        cases = [list(CASES)[int(number)] for number in drawn]
        targets = [case_target(case, int(index)) for case, index in zip(cases, indices, strict=True)]
        conditions = [
            case_condition(data, case, int(index)) for case, index in zip(cases, indices, strict=True)
        ]
        captions = [
            target_caption(data.people.captions[i], target)
            for i, target in zip(indices, targets, strict=True)
        ]
        return {
            "latents": latents_of(data, targets, indices),
            "condition": torch.stack(conditions),
            "texts": self.encode_texts(captions, generator),
        }

    def shown(self, batch: Batch) -> list[torch.Tensor]:
        """The targets and the masked pictures."""
        return [*super().shown(batch), self.decode(batch["condition"][:, 1:])]


def case_target(case: str, index: int) -> str:
    """The picture to be made: complete for the refinement, the cutout for the coarse stage, else any."""
    return {"refine": "complete", "visible": "cutout"}.get(case, random_target(index))


def case_condition(data: LatentCache, case: str, index: int) -> torch.Tensor:
    """Mask and latents of the masked picture (9,h,w) for one picture."""
    if case == "full":
        masked = torch.from_numpy(np.array(data.grey)).float()
        return torch.cat([torch.ones_like(masked[:1]), masked])
    mask, masked = getattr(data, f"{case}_mask")[index], getattr(data, f"{case}_masked")[index]
    return torch.from_numpy(np.concatenate([mask, masked])).float()


def visible_condition(data: LatentCache, indices: np.ndarray) -> torch.Tensor:
    """The coarse stage's condition (B,9,h,w): mask 1 - M_v and the latents of I_ic * M_v."""
    return torch.cat([rows(data.visible_mask, indices), rows(data.visible_masked, indices)], dim=1).float()


RECIPES = {"inpaint": InpaintRecipe}
