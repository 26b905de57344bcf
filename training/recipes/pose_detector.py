"""Recipe: the mini pose detector, heatmaps of 18 joints on synthetic people, hidden joints left empty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from ...models.perception.pose import (
    CONFIDENCE,
    KIND,
    PoseDetector,
    config_to_metadata,
    detect_joints,
    target_heatmaps,
)
from ...people.skeleton import draw_skeleton
from ..data.augmentation import ViewRange, exchange_sides, jitter_colours, move_joints, random_views
from ..data.people import PeopleDataset, open_split, rows, sample_indices
from ..run.progress import picture_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

SOURCES = ("occluded", "unoccluded", "complete", "cutout")
SHARES = (0.45, 0.15, 0.2, 0.2)
FILLS = 3
RANGES = ViewRange(stray=0.06)


class PoseData(NamedTuple):
    """A data set and whether its pictures are changed at random."""

    people: PeopleDataset
    augment: bool


class PoseRecipe(BaseRecipe):
    """Occluded, unoccluded, completed and cut-out pictures; in the first, covered joints do not count."""

    name = "pose_detector"
    plan = TrainingPlan(
        minutes=25,
        batch_size=32,
        learning_rate=2e-3,
        weight_decay=0.01,
        ema_decay=0.998,
        mixed_precision="bf16",
        device="cpu",
    )

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Open the rendered people."""
        train, held_out = open_split(data_root)
        return Split(PoseData(train, True), PoseData(held_out, False))

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh detector."""
        return PoseDetector()

    def batch(self, data: PoseData, step: int, seed: int, batch_size: int) -> Batch:
        """images (B,3,S,S), joints (B,18,3), present (B,18) 0/1."""
        indices = sample_indices(len(data.people), step, seed, batch_size)
        generator = random_generator(seed, step, 11)
        images, joints, present = draw_pictures(data.people, indices, generator)
        if not data.augment:
            return {"images": images, "joints": joints, "present": present}
        views = random_views(len(images), images.shape[-1], generator, RANGES)
        images = views.warp(images, random_fill(images, generator))
        moved = move_joints(views, joints)
        present = exchange_sides(views, present) * (moved[..., 2] > 0)
        return {"images": jitter_colours(images, generator), "joints": moved, "present": present}

    def loss(
        self, module: PoseDetector, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Cross-entropy against the Gaussians, summed over cells: the peak tends to the probability."""
        logits = module(batch["images"]).float()
        target = target_heatmaps(batch["joints"], batch["present"], batch["images"].shape[-1])
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=(2, 3)).mean()
        return loss, {}

    def sample(self, module: PoseDetector, batch: Batch) -> torch.Tensor:
        """Pictures, what was found, and the truth, as skeletons."""
        images = batch["images"][:8]
        found = detect_joints(module, images).cpu()
        truth = torch.cat([batch["joints"][:8, :, :2], batch["present"][:8, :, None]], dim=2).cpu()
        found[..., 2] = (found[..., 2] >= CONFIDENCE).float()
        size = images.shape[-1]
        return picture_grid([images, draw_skeleton(found, size, size), draw_skeleton(truth, size, size)])

    def evaluate(self, module: Any, held_out: PoseData) -> dict[str, float]:
        """Mean joint error as a fraction of the side, recall and false alarms, by kind of picture."""
        people = held_out.people
        everyone = np.arange(len(people))
        scores = {}
        for source in SOURCES:
            joints, present = joints_of(people, everyone, source)
            parts = [everyone[start : start + 64] for start in range(0, len(everyone), 64)]
            found = torch.cat([detect_joints(module, people.pictures(source, part)).cpu() for part in parts])
            error = (found[..., :2] - joints[..., :2]).norm(dim=2) / people.size
            there = present > 0
            scores[f"joint_err.{source}"] = float(error[there].mean())
            scores[f"within_5pc.{source}"] = float((error[there] < 0.05).float().mean())
            scores[f"recall.{source}"] = float((found[..., 2][there] >= CONFIDENCE).float().mean())
            if source == "occluded":
                hidden = (joints[..., 2] > 0) & ~there
                scores["false_alarm.occluded"] = float((found[..., 2][hidden] >= CONFIDENCE).float().mean())
        return scores

    def export(self, module: PoseDetector, held_out: PoseData) -> Export:
        """The detector with its configuration."""
        return Export(KIND, module.state_dict(), config_to_metadata(module.config), int8=True)


def joints_of(people: PeopleDataset, indices: np.ndarray, source: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints (B,18,3) and which of them count (B,18): in `occluded` pictures the uncovered ones, else all."""
    joints = rows(people.joints, indices).float()
    present = (joints[..., 2] > 0).float()
    if source == "occluded":
        present = present * rows(people.joint_visible, indices).float()
    return joints, present


def draw_pictures(
    people: PeopleDataset, indices: np.ndarray, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A kind of picture drawn for each index: images, joints, and which joints count."""
    shares = torch.tensor(SHARES)
    choice = torch.multinomial(shares, len(indices), replacement=True, generator=generator).numpy()
    joints, present = joints_of(people, indices, "complete")
    images = torch.empty(len(indices), 3, people.size, people.size)
    for number, source in enumerate(SOURCES):
        where = np.flatnonzero(choice == number)
        if len(where):
            images[where] = people.pictures(source, indices[where])
            present[where] = joints_of(people, indices[where], source)[1]
    return images, joints, present


def random_fill(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What lies outside a moved picture (B,3,1,1): its mean border colour, mid-grey, or a random colour."""
    sides = [images[..., 0], images[..., -1], images[..., 0, :], images[..., -1, :]]
    border = torch.cat(sides, dim=2).mean(dim=2)
    choice = torch.randint(FILLS, (len(images), 1), generator=generator)
    colours = torch.rand(len(images), 3, generator=generator)
    fill = torch.where(choice == 0, border, torch.where(choice == 1, 0.5, colours))
    return fill[:, :, None, None]


RECIPES = {"pose_detector": PoseRecipe}
