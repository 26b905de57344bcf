"""Recipe: the mini pose detector, heatmaps of 18 joints on synthetic people, hidden joints left empty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ...models.diffusion.checkpoint import config_to_metadata
from ...models.diffusion.networks import decode_latents, encode_image, load_vae
from ...models.perception.pose import (
    CONFIDENCE,
    FILE_KIND,
    PoseDetector,
    detect_joints,
    target_heatmaps,
)
from ...people.densepose import LABELS
from ...people.skeleton import draw_skeleton
from ..data.people import PeopleDataset, rows, sample_indices
from ..data.perception import SOURCES, PerceptionData, draw_people
from ..run.progress import image_grid
from ..run.recipe import Batch, Export, Split, random_generator
from .perception import PerceptionRecipe

STRIDE = 4
DECODED = 0.125
"""Share of the pictures that are shown as the autoencoder leaves them, as all that the methods draw is."""
PARTS_WEIGHT = 4.0
SHARES = (0.25, 0.15, 0.45, 0.15)
"""Of SOURCES: most often complete people among things that hid them, as the methods' results show them."""
AS_RENDERED = 0.5
"""Share of the pictures that are shown as they were rendered: in such the detector judges the methods."""
ONLY_FRAMED = 0.3
"""Share of the others that are frames of what was rendered and no more."""


class PoseTraining(PoseDetector):
    """The detector and, from the same features, DensePose labels at 1/4 of the side (B,25,S/4,S/4).

    Labels say something of every pixel, joints only of a few: with both the features are learned sooner.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts = torch.nn.Conv2d(self.config.channels[1], LABELS, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Logits of the joints and of the labels."""
        features = F.silu(self.norm(self.features(images)[1]))
        return self.head(features), self.parts(features)

    def detector(self) -> PoseDetector:
        """The detector alone, with copies of the weights."""
        net = PoseDetector(self.config)
        net.load_state_dict(
            {n: value for n, value in self.state_dict().items() if not n.startswith("parts.")}
        )
        return net.to(self.head.weight.device)


class PoseRecipe(PerceptionRecipe):
    """Pictures of every kind that `draw_people` makes; joints that cannot be seen have empty heatmaps."""

    name = "pose_detector"
    needs = ("vae",)

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Open people and photographs; the autoencoder is mini's."""
        self.vae = load_vae(init["vae"])
        return super().prepare(data_root, init)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh detector."""
        return PoseTraining()

    def batch(self, data: PerceptionData, step: int, seed: int, batch_size: int) -> Batch:
        """images (B,3,S,S), joints (B,18,3), present (B,18) 0/1, labels (B,S/4,S/4)."""
        indices = sample_indices(len(data.people), step, seed, batch_size)
        generator = random_generator(seed, step, 11)
        drawn = draw_people(
            data, indices, generator, shares=SHARES, only_framed=ONLY_FRAMED, as_rendered=AS_RENDERED
        )
        decoded = round(DECODED * batch_size) if data.augment else 0
        if decoded:
            drawn.images[:decoded] = self.decoded(drawn.images[:decoded])
        return {
            "images": drawn.images, "joints": drawn.joints, "present": drawn.present,
            "labels": drawn.labels[:, 0, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].long(),
        }  # fmt: skip

    @torch.no_grad()
    def decoded(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures (B,3,S,S) in 0..1 through the autoencoder and back."""
        with torch.autocast("cpu", torch.bfloat16):
            return decode_latents(self.vae, encode_image(self.vae, images)).float()

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Cross-entropy against the Gaussians, summed over cells: the peak tends to the probability. And that
        of the labels.
        """
        logits, parts = module(batch["images"])
        target = target_heatmaps(batch["joints"], batch["present"], batch["images"].shape[-1])
        error = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
        joints = error.sum(dim=(2, 3)).mean()
        labels = F.cross_entropy(parts.float(), batch["labels"])
        return joints + PARTS_WEIGHT * labels, {"joints": joints.detach(), "labels": labels.detach()}

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Pictures, what was found, and the truth, as skeletons."""
        images = batch["images"][:8]
        found = detect_joints(module.detector(), images).cpu()
        truth = torch.cat([batch["joints"][:8, :, :2], batch["present"][:8, :, None]], dim=2).cpu()
        found[..., 2] = (found[..., 2] >= CONFIDENCE).float()
        size = images.shape[-1]
        return image_grid([images, draw_skeleton(found, size, size), draw_skeleton(truth, size, size)])

    def evaluate(self, module: Any, held_out: PerceptionData) -> dict[str, float]:
        """Mean joint error as a fraction of the side, recall and false alarms, by kind of picture; "decoded":
        complete people as the autoencoder leaves them.
        """
        people, net = held_out.people, module.detector()
        everyone = np.arange(len(people))
        scores = {}
        for source in (*SOURCES, "decoded"):
            joints, present = joints_of(people, everyone, source)
            found = torch.cat(
                [
                    detect_joints(net, self.shown(people, everyone[start : start + 64], source)).cpu()
                    for start in range(0, len(everyone), 64)
                ]
            )
            error = (found[..., :2] - joints[..., :2]).norm(dim=2) / people.size
            there = present > 0
            scores[f"joint_err.{source}"] = float(error[there].mean())
            scores[f"within_5pc.{source}"] = float((error[there] < 0.05).float().mean())
            scores[f"recall.{source}"] = float((found[..., 2][there] >= CONFIDENCE).float().mean())
            if source == "occluded":
                hidden = (joints[..., 2] > 0) & ~there
                scores["false_alarm.occluded"] = float((found[..., 2][hidden] >= CONFIDENCE).float().mean())
        return scores

    def shown(self, people: PeopleDataset, indices: np.ndarray, source: str) -> torch.Tensor:
        """Pictures (B,3,S,S) of one kind."""
        if source == "decoded":
            return self.decoded(people.images("complete", indices))
        return people.images(source, indices)

    def export(self, module: Any, held_out: PerceptionData) -> Export:
        """The detector with its configuration."""
        return Export(FILE_KIND, module.detector().state_dict(), config_to_metadata(module.config), int8=True)


def joints_of(people: PeopleDataset, indices: np.ndarray, source: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints (B,18,3) and which of them count (B,18): in `occluded` pictures the uncovered ones, else all."""
    joints = rows(people.joints, indices).float()
    present = (joints[..., 2] > 0).float()
    if source == "occluded":
        present = present * rows(people.joint_visible, indices).float()
    return joints, present


RECIPES = {"pose_detector": PoseRecipe}
