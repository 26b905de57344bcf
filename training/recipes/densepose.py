"""Recipe densepose: the mini DensePose estimator, labels of every pixel of synthetic people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ...models.perception.densepose import KIND, DensePoseNet, config_to_metadata, estimate_labels
from ...people.densepose import LABELS, MIRRORED, paint_labels
from ..data.augmentation import jitter_colours
from ..data.people import PeopleDataset, open_split, rows, sample_indices
from ..run.progress import picture_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

SOURCES = ("unoccluded", "complete", "cutout", "occluded")
BODY_WEIGHT = 2.0
"""What a pixel of the body counts, against one of the background, of which there are more."""


class DensePoseRecipe(BaseRecipe):
    """Whole people in front of anything; of occluded ones the part that can be seen."""

    name = "densepose"
    plan = TrainingPlan(
        minutes=20, batch_size=32, learning_rate=2e-3, weight_decay=0.01, ema_decay=0.998,
        mixed_precision="bf16", device="cpu",
    )  # fmt: skip

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Open the rendered people."""
        return open_split(data_root)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh network."""
        return DensePoseNet()

    def batch(self, data: PeopleDataset, step: int, seed: int, batch_size: int) -> Batch:
        """images (B,3,S,S) and labels (B,S,S); half of them mirrored, with left and right exchanged."""
        generator = random_generator(seed, step, 41)
        indices = sample_indices(len(data), step, seed, batch_size)
        kinds = torch.randint(len(SOURCES), (batch_size,), generator=generator).numpy()
        images = torch.empty(batch_size, 3, data.size, data.size)
        labels = torch.empty(batch_size, data.size, data.size, dtype=torch.long)
        for number, source in enumerate(SOURCES):
            where = np.flatnonzero(kinds == number)
            if len(where):
                images[where] = data.pictures(source, indices[where])
                labels[where] = labels_of(data, indices[where], source)
        flip = torch.rand(batch_size, generator=generator) < 0.5
        images[flip] = images[flip].flip(-1)
        labels[flip] = torch.tensor(MIRRORED)[labels[flip]].flip(-1)
        return {"images": jitter_colours(images, generator), "labels": labels}

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Cross-entropy, the body counting more."""
        logits = module(batch["images"]).float()
        weight = torch.full((LABELS,), BODY_WEIGHT, device=logits.device)
        weight[0] = 1.0
        return F.cross_entropy(logits, batch["labels"], weight), {}

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Pictures, the labels found, the true ones."""
        images = batch["images"][:8]
        found = estimate_labels(module, images)
        return picture_grid([images, paint_labels(found), paint_labels(batch["labels"][:8])])

    def evaluate(self, module: Any, held_out: PeopleDataset) -> dict[str, float]:
        """By kind of picture: share of the body's pixels rightly labelled, and mean IoU of the parts."""
        everyone = np.arange(len(held_out))
        scores = {}
        for source in SOURCES[:2]:
            parts = [everyone[start : start + 32] for start in range(0, len(everyone), 32)]
            found = torch.cat(
                [estimate_labels(module, held_out.pictures(source, part)).cpu() for part in parts]
            )
            truth = labels_of(held_out, everyone, source)
            body = truth > 0
            scores[f"accuracy.{source}"] = float((found[body] == truth[body]).float().mean())
            scores[f"iou.{source}"] = mean_iou(found, truth)
        return scores

    def export(self, module: Any, held_out: PeopleDataset) -> Export:
        """The network with its configuration."""
        return Export(KIND, module.state_dict(), config_to_metadata(module.config), int8=True)


def labels_of(people: PeopleDataset, indices: np.ndarray, source: str) -> torch.Tensor:
    """Labels (B,S,S) int64 of that kind of picture: in occluded ones what is covered is background."""
    labels = rows(people.densepose_i, indices).long()
    if source == "occluded":
        labels = labels * (people.pictures("visible_mask", indices)[:, 0] > 0.5)
    return labels


def mean_iou(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Intersection over union of every part that is there, averaged."""
    pairs = [(found == label, truth == label) for label in range(1, LABELS) if (truth == label).any()]
    return float(np.mean([float((a & b).sum() / (a | b).sum()) for a, b in pairs])) if pairs else 0.0


RECIPES = {"densepose": DensePoseRecipe}
