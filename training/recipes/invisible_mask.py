"""Recipe invisible_mask: U_iv of Promptable Human Amodal Completion, on coarse outputs drawn before.

L = BCE + 0.5 Dice; the target is the amodal person and not its visible part, nor what the given mask takes
for visible. Each step draws one of the N coarse outputs of every picture at random (methods 1.2). Our choice
beyond the paper: it sees the prompt picture too, of any kind, blank or with few joints, and what Amodal Mask
makes of that prompt and the given mask; a share of coarse pictures shows the person as it is, grounds are of
all kinds, and visible masks are Segment Anything's own or have any segmenter's faults, so that U_iv serves
any generator and any segmenter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.phac.amodal_mask import AmodalMaskNet, hidden_guess, load_amodal_mask
from ...models.phac.ground import split_ground
from ...models.phac.losses import bce_dice_loss
from ...models.phac.networks import NOT_SAID, InvisibleMaskUNet
from ...models.phac.sampling import exact_invisible_mask, predict_invisible
from ...people.prompt_kinds import POSE, PROMPT_KINDS
from ...people.prompts import PointPrompt, draw_prompt, nobody
from ..data.augmentation import ViewRange, jitter_colours, move_joints, random_views
from ..data.backgrounds import Backgrounds, open_backgrounds
from ..data.coarse_outputs import NEEDS, CoarseOutputs, open_outputs
from ..data.grounds import on_grounds
from ..data.masks import as_segmented, disturbed
from ..data.people import rows, sample_indices
from ..data.prompt_images import box_prompts, pose_prompts
from ..data.segmented import segmented_masks
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

WIDTHS = 16, 32, 64, 64, 128
SEGMENTER_REACH_PX, SPILL_PX = 3, 12
VIEWS = ViewRange(scale=(0.7, 1.5), degrees=10.0, shift=0.1, unchanged=0.4)
TRUE_PERSON = 0.25
"""Share of coarse pictures that show the true person, as a perfect generator would."""
KIND_SHARES = tuple(0.15 if kind.boxes else 0.4 for kind in PROMPT_KINDS.values())
FEW_JOINTS, WITHHELD = 0.25, 0.1
"""Share of prompts of which any number of joints may lack; share that say nothing, beside the blank ones of
`prompt_images`.
"""
NO_GUESS = 0.1
"""Share of pictures of which silhouettes say nothing."""
SEGMENTED, SAME_PERSON = 0.5, 0.5
"""Share of visible masks that are Segment Anything's; the IoU above which these show who is meant."""
SEEN = ("occluded", "coarse", "visible", "prompt", "guess")
HIDDEN_PART = 0.02
WHITE = 1.0


class InvisibleMaskRecipe(BaseRecipe):
    """Learn which pixels of the person are hidden."""

    name = "invisible_mask"
    needs = (*NEEDS, "amodal_mask", "sam")
    plan = TrainingPlan(
        steps=4000, batch_size=16, learning_rate=2e-3, mixed_precision="bf16", weight_decay=0.01
    )

    def __init__(self) -> None:
        self.size = 128
        self.photographs: Backgrounds | None = None
        self.amodal_net: AmodalMaskNet | None = None

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """The coarse outputs of the model in `init`, made by `figura train coarse_outputs`; photographs.

        What Segment Anything makes of the training people is segmented once.
        """
        self.photographs = open_backgrounds(data_root)
        self.amodal_net = load_amodal_mask(init["amodal_mask"])
        data = open_outputs(data_root, init)
        self.size = data.train.people.size
        segmented = segmented_masks(data_root / "train", init, len(data.train))
        return Split(replace(data.train, segmented=segmented), data.held_out)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh mask network of 0.7 M parameters, which sees prompt picture and guess."""
        return InvisibleMaskUNet(size=self.size, prompt=True, widths=WIDTHS, guess=True)

    def batch(self, data: CoarseOutputs, step: int, seed: int, batch_size: int) -> Batch:
        """I_ic, I_cc, I_p and the target, moved and mirrored alike; M_v as imprecise as a segmenter's, and
        what silhouettes say of it.
        """
        generator = random_generator(seed, step, 17)
        indices = sample_indices(len(data), step, seed, batch_size)
        draws = torch.randint(data.images.shape[1], (batch_size,), generator=generator).numpy()
        values = stage_inputs(data, indices, draws)
        values["coarse"] = self._coarse(data, indices, values, generator)
        values["segmented"] = segmented_or_true(data, indices, values["visible"])
        views = random_views(batch_size, data.people.size, generator, VIEWS)
        fills: dict[str, torch.Tensor | float]
        fills = {"occluded": values["occluded"].mean(dim=(2, 3), keepdim=True), "coarse": WHITE}
        moved = {name: views.warp(value, fills.get(name, 0.0)) for name, value in values.items()}
        visible = (moved["visible"] > 0.5).float()
        amodal = torch.maximum((moved["amodal"] > 0.5).float(), visible)
        faulty = as_segmented(visible, generator, SEGMENTER_REACH_PX, SPILL_PX)
        theirs = torch.rand(batch_size, 1, 1, 1, generator=generator) < SEGMENTED
        seen = torch.where(theirs, (moved["segmented"] > 0.5).float(), faulty)
        joints = move_joints(views, rows(data.people.joints, data.first + indices))
        prompts = random_prompts(joints, amodal, visible, generator)
        with torch.autocast("cpu", torch.bfloat16):
            guess = hidden_guess(self.silhouettes(), seen, prompts)
        silent = torch.rand(batch_size, 1, 1, 1, generator=generator) < NO_GUESS
        return {
            "occluded": jitter_colours(moved["occluded"].clamp(0, 1), generator),
            "coarse": moved["coarse"].clamp(0, 1),
            "visible": seen,
            "prompt": draw_prompt(prompts, self.size, self.size),
            "guess": torch.where(silent, NOT_SAID, guess),
            "target": (amodal - visible) * (1 - seen),
        }

    def silhouettes(self) -> AmodalMaskNet:
        """The network of Amodal Mask."""
        if self.amodal_net is None:
            raise ValueError("recipe invisible_mask must prepare its data before batches are drawn")
        return self.amodal_net

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
        logits = module(*(batch[name] for name in SEEN)).float()
        return bce_dice_loss(logits, batch["target"]), {"iou": mask_iou(logits > 0, batch["target"]).mean()}

    def sample(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """I_ic, I_cc, I_p, M_v, what silhouettes say, the target and the probabilities."""
        made = module(*(batch[name] for name in SEEN)).sigmoid()
        masks = [batch["visible"], batch["guess"], batch["target"], made]
        masks = [mask.expand(-1, 3, -1, -1) for mask in masks]
        return image_grid([batch["occluded"], batch["coarse"], batch["prompt"], *masks])

    def evaluate(self, module: Any, held_out: CoarseOutputs) -> dict[str, float]:
        """Mean IoU of the invisible mask on held-out people with at least 2 % of the picture hidden, from all
        joints and without a prompt.
        """
        generator, device = random_generator(22), next(module.parameters()).device
        overlaps: dict[str, list[float]] = {"invisible_iou": [], "invisible_iou.none": []}
        for draw in range(held_out.images.shape[1]):
            for index in range(len(held_out)):
                values = stage_inputs(held_out, np.array([index]), np.array([draw]))
                hidden = values["amodal"] * (1 - values["visible"])
                seen = disturbed(values["visible"], generator, SEGMENTER_REACH_PX)
                if hidden.mean() < HIDDEN_PART:
                    continue
                occluded, coarse, given = (x.to(device) for x in (values["occluded"], values["coarse"], seen))
                joints = rows(held_out.people.joints, np.array([held_out.first + index])).numpy()[0]
                pose = PointPrompt(POSE, self.size, self.size, joints, np.zeros(len(joints), bool))
                for name, prompt in zip(overlaps, (pose, nobody(self.size, self.size)), strict=True):
                    shown = draw_prompt([prompt], self.size, self.size).to(device)
                    guess = hidden_guess(self.silhouettes(), seen, [prompt]).to(device)
                    found = predict_invisible(module, occluded, coarse, given, shown, guess)
                    overlaps[name].append(float(mask_iou(exact_invisible_mask(found).cpu(), hidden)))
        means = {name: float(np.mean(each)) if each else 0.0 for name, each in overlaps.items()}
        return {**means, "evaluated": float(len(overlaps["invisible_iou"]))}

    def export(self, module: Any, held_out: CoarseOutputs) -> Export:
        """The mask network."""
        return Export("invisible_mask", module.state_dict(), module.config, int8=True)


def random_prompts(
    joints: torch.Tensor,
    amodal_masks: torch.Tensor,
    visible_masks: torch.Tensor,
    generator: torch.Generator,
) -> list[PointPrompt]:
    """B prompts of all kinds, as imprecise as users' are; some are blank.

    Args:
        joints: (B,18,3) px.
        amodal_masks, visible_masks: (B,1,S,S), 1 on the person.
        generator: where the random numbers come from.
    """
    few = torch.rand(len(joints), 1, generator=generator) < FEW_JOINTS
    kept = torch.rand(joints.shape[:2], generator=generator) < torch.rand(len(joints), 1, generator=generator)
    joints = torch.cat([joints[..., :2], (joints[..., 2] * (kept | ~few))[..., None]], dim=2)
    said = torch.rand(len(joints), generator=generator) >= WITHHELD
    shares = torch.tensor(KIND_SHARES)
    chosen = torch.multinomial(shares, len(joints), replacement=True, generator=generator)
    size = amodal_masks.shape[-1]
    prompts = [nobody(size, size)] * len(joints)
    for number, kind in enumerate(PROMPT_KINDS.values()):
        where = torch.nonzero(chosen == number)[:, 0]
        if kind.boxes:
            amodal, visible = amodal_masks[where], visible_masks[where]
            drawn = box_prompts(kind.name, joints[where], amodal, visible, generator)
        else:
            drawn = pose_prompts(joints[where], size, generator)
        for row, prompt in zip(where.tolist(), drawn, strict=True):
            if said[row]:
                prompts[row] = prompt
    return prompts


def segmented_or_true(data: CoarseOutputs, indices: np.ndarray, visible: torch.Tensor) -> torch.Tensor:
    """Segment Anything's masks (B,1,S,S) of people `indices` of the outputs; the true visible ones where
    there are none, or where these show somebody or something else.
    """
    if data.segmented is None:
        return visible
    made = rows(data.segmented, indices).float() / 255
    same = mask_iou(made, visible) > SAME_PERSON
    return torch.where(same[:, None, None, None], made, visible)


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
