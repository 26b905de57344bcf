"""Recipe densepose: the mini DensePose estimator, labels of every pixel of synthetic people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ...models.diffusion.checkpoint import config_to_metadata
from ...models.perception.densepose import FILE_KIND, DensePoseNet, estimate_labels
from ...models.perception.pose import load_pose_detector
from ...people.densepose import LABELS, paint_labels
from ..data.people import PeopleDataset, rows, sample_indices
from ..data.perception import Framing, PerceptionData, draw_people
from ..run.progress import image_grid
from ..run.recipe import Batch, Export, random_generator
from .perception import PerceptionRecipe

MEASURED = ("unoccluded", "complete")
SHARES = (0.3, 0.4, 0.15, 0.15)
"""Of SOURCES: whole people mostly, whose labels the methods ask for."""
FRAMING = Framing(upper=0.15, distant=0.08)
AS_RENDERED, ONLY_FRAMED = 0.3, 0.5
"""Share of pictures as rendered, and of the others those that are frames of them."""


class DensePoseRecipe(PerceptionRecipe):
    """Whole people in front of anything; of occluded ones the part that can be seen."""

    name = "densepose"
    needs = ("pose_detector",)
    plan = replace(PerceptionRecipe.plan, minutes=20, weight_decay=0.01)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A network that begins with what the pose detector sees."""
        net = DensePoseNet()
        detector = load_pose_detector(init["pose_detector"])
        own = net.state_dict()
        shared = {n: v for n, v in detector.state_dict().items() if n in own and own[n].shape == v.shape}
        net.load_state_dict(shared, strict=False)
        return net

    def batch(self, data: PerceptionData, step: int, seed: int, batch_size: int) -> Batch:
        """images (B,3,S,S) and labels (B,S/2,S/2)."""
        indices = sample_indices(len(data.people), step, seed, batch_size)
        generator = random_generator(seed, step, 41)
        drawn = draw_people(
            data, indices, generator, FRAMING, SHARES, only_framed=ONLY_FRAMED, as_rendered=AS_RENDERED
        )
        labels = F.interpolate(drawn.labels, scale_factor=0.5, mode="nearest-exact")
        return {"images": drawn.images, "labels": labels[:, 0].long()}

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Cross-entropy; a label counts by the inverse root of its pixels, so that hands are learned, too."""
        logits = module(batch["images"]).float()
        pixels = torch.bincount(batch["labels"].flatten(), minlength=LABELS).float()
        return F.cross_entropy(logits, batch["labels"], (pixels + 1).rsqrt()), {}

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Pictures, the labels found, the true ones."""
        images = batch["images"][:8]
        found = estimate_labels(module, images)
        truth = batch["labels"][:8].repeat_interleave(2, 1).repeat_interleave(2, 2)
        return image_grid([images, paint_labels(found), paint_labels(truth)])

    def evaluate(self, module: Any, held_out: PerceptionData) -> dict[str, float]:
        """By kind of picture: share of the body's pixels rightly labelled, and mean IoU of the parts."""
        people = held_out.people
        everyone = np.arange(len(people))
        scores = {}
        for source in MEASURED:
            parts = [everyone[start : start + 32] for start in range(0, len(everyone), 32)]
            found = torch.cat([estimate_labels(module, people.images(source, part)).cpu() for part in parts])
            truth = labels_of(people, everyone, source)
            body = truth > 0
            scores[f"accuracy.{source}"] = float((found[body] == truth[body]).float().mean())
            scores[f"iou.{source}"] = mean_iou(found, truth)
        return scores

    def export(self, module: Any, held_out: PerceptionData) -> Export:
        """The network with its configuration."""
        return Export(FILE_KIND, module.state_dict(), config_to_metadata(module.config), int8=True)


def labels_of(people: PeopleDataset, indices: np.ndarray, source: str) -> torch.Tensor:
    """Labels (B,S,S) int64 of that kind of picture: in occluded ones what is covered is background."""
    labels = rows(people.densepose_i, indices).long()
    if source == "occluded":
        labels = labels * (people.images("visible_mask", indices)[:, 0] > 0.5)
    return labels


def mean_iou(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Intersection over union of every part that is there, averaged."""
    pairs = [(found == label, truth == label) for label in range(1, LABELS) if (truth == label).any()]
    return float(np.mean([float((a & b).sum() / (a | b).sum()) for a, b in pairs])) if pairs else 0.0


RECIPES = {"densepose": DensePoseRecipe}
