"""Recipe invisible_mask: U_iv of Promptable Human Amodal Completion, on coarse outputs drawn before.

L = BCE + 0.5 Dice; the target is the amodal person and not its visible part, nor what the given mask takes
for visible. Each step draws one of the N coarse outputs of every picture at random (methods 1.2). Our choice
beyond the paper: a share of coarse pictures shows the person as it is, grounds are of all kinds, and visible
masks have a segmenter's faults, so that U_iv serves other people's generators and masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.phac.ground import split_ground
from ...models.phac.losses import bce_dice_loss
from ...models.phac.networks import InvisibleMaskUNet
from ...models.phac.sampling import exact_invisible_mask, predict_invisible
from ..data.augmentation import ViewRange, jitter_colours, random_views
from ..data.backgrounds import Backgrounds, open_backgrounds
from ..data.coarse_outputs import NEEDS, CoarseOutputs, open_outputs
from ..data.grounds import on_grounds
from ..data.masks import as_segmented, disturbed
from ..data.people import sample_indices
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

BASE = 8
SEGMENTER_REACH_PX, SPILL_PX = 3, 12
VIEWS = ViewRange(scale=(0.7, 1.5), degrees=10.0, shift=0.1, unchanged=0.4)
TRUE_PERSON = 0.25
"""Share of coarse pictures that show the true person, as a perfect generator would."""
HIDDEN_PART = 0.02
WHITE = 1.0


class InvisibleMaskRecipe(BaseRecipe):
    """Learn which pixels of the person are hidden."""

    name = "invisible_mask"
    needs = NEEDS
    plan = TrainingPlan(
        steps=4000, batch_size=16, learning_rate=2e-3, mixed_precision="bf16", weight_decay=0.01
    )

    def __init__(self) -> None:
        self.size = 128
        self.photographs: Backgrounds | None = None

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """The coarse outputs of the model in `init`, made by `figura train coarse_outputs`; photographs."""
        self.photographs = open_backgrounds(data_root)
        data = open_outputs(data_root, init)
        self.size = data.train.people.size
        return data

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh mask network of 0.5 M parameters."""
        return InvisibleMaskUNet(base=BASE, size=self.size)

    def batch(self, data: CoarseOutputs, step: int, seed: int, batch_size: int) -> Batch:
        """I_ic, I_cc and the target, moved and mirrored alike; M_v as imprecise as a segmenter's."""
        generator = random_generator(seed, step, 17)
        indices = sample_indices(len(data), step, seed, batch_size)
        draws = torch.randint(data.images.shape[1], (batch_size,), generator=generator).numpy()
        values = stage_inputs(data, indices, draws)
        values["coarse"] = self._coarse(data, indices, values, generator)
        views = random_views(batch_size, data.people.size, generator, VIEWS)
        fills: dict[str, torch.Tensor | float]
        fills = {"occluded": values["occluded"].mean(dim=(2, 3), keepdim=True), "coarse": WHITE}
        moved = {name: views.warp(value, fills.get(name, 0.0)) for name, value in values.items()}
        visible = (moved["visible"] > 0.5).float()
        amodal = torch.maximum((moved["amodal"] > 0.5).float(), visible)
        seen = as_segmented(visible, generator, SEGMENTER_REACH_PX, SPILL_PX)
        return {
            "occluded": jitter_colours(moved["occluded"].clamp(0, 1), generator),
            "coarse": moved["coarse"].clamp(0, 1),
            "visible": seen,
            "target": (amodal - visible) * (1 - seen),
        }

    def _coarse(
        self,
        data: CoarseOutputs,
        indices: np.ndarray,
        values: Mapping[str, torch.Tensor],
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Coarse pictures (B,3,S,S): drawn or true ones, on grounds of all kinds."""
        true = torch.rand(len(indices), 1, 1, 1, generator=generator) < TRUE_PERSON
        coarse = torch.where(true, data.people.images("cutout", data.first + indices), values["coarse"])
        person = torch.where(true, values["amodal"], split_ground(values["coarse"]).person)
        return on_grounds(coarse, person, values["occluded"], self.photographs, generator)

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """BCE + 0.5 Dice, and the IoU at a threshold of 0.5."""
        logits = module(batch["occluded"], batch["coarse"], batch["visible"]).float()
        return bce_dice_loss(logits, batch["target"]), {"iou": mask_iou(logits > 0, batch["target"]).mean()}

    def sample(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """I_ic, I_cc, M_v, the target and the probabilities."""
        made = module(batch["occluded"], batch["coarse"], batch["visible"]).sigmoid()
        masks = [mask.expand(-1, 3, -1, -1) for mask in (batch["visible"], batch["target"], made)]
        return image_grid([batch["occluded"], batch["coarse"], *masks])

    def evaluate(self, module: Any, held_out: CoarseOutputs) -> dict[str, float]:
        """Mean IoU of the invisible mask on held-out people with at least 2 % of the picture hidden."""
        generator, overlaps = random_generator(22), []
        device = next(module.parameters()).device
        for draw in range(held_out.images.shape[1]):
            for index in range(len(held_out)):
                values = stage_inputs(held_out, np.array([index]), np.array([draw]))
                hidden = values["amodal"] * (1 - values["visible"])
                seen = disturbed(values["visible"], generator, SEGMENTER_REACH_PX)
                if hidden.mean() >= HIDDEN_PART:
                    inputs = (x.to(device) for x in (values["occluded"], values["coarse"], seen))
                    mask = exact_invisible_mask(predict_invisible(module, *inputs))
                    overlaps.append(float(mask_iou(mask.cpu(), hidden)))
        return {
            "invisible_iou": float(np.mean(overlaps)) if overlaps else 0.0,
            "evaluated": float(len(overlaps)),
        }

    def export(self, module: Any, held_out: CoarseOutputs) -> Export:
        """The mask network."""
        return Export("invisible_mask", module.state_dict(), module.config, int8=True)


def stage_inputs(data: CoarseOutputs, indices: np.ndarray, draws: np.ndarray) -> dict[str, torch.Tensor]:
    """occluded, coarse (B,3,S,S); visible, amodal (B,1,S,S) float 0 or 1, of people `indices` of the
    outputs.
    """
    people, where = data.people, data.first + indices
    return {
        "occluded": people.images("occluded", where),
        "coarse": data.drawn(indices, draws),
        "visible": (people.images("visible_mask", where) > 0.5).float(),
        "amodal": (people.images("amodal_mask", where) > 0.5).float(),
    }


def mask_iou(mask: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Intersection over union (B,) of masks (B,1,H,W); 1 where both are empty."""
    mask, target = (value.flatten(1) > 0.5 for value in (mask, target))
    joined = (mask | target).sum(dim=1)
    return torch.where(joined == 0, 1.0, (mask & target).sum(dim=1) / joined.clamp(min=1))


RECIPES = {"invisible_mask": InvisibleMaskRecipe}
