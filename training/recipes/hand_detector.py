"""Recipe: the mini hand detector, heatmaps of 21 joints in a square round a hand of known place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from ...models.diffusion.checkpoint import config_to_metadata
from ...models.diffusion.networks import decode_latents, load_vae
from ...models.hands.sampling import skeleton_image
from ...models.perception.hand_pose import (
    FILE_KIND,
    HAND_CONFIG,
    MARGIN,
    detect_hands,
    hand_frames,
    joint_boxes,
    look_at,
    to_view,
)
from ...models.perception.pose import PoseDetector, decode_heatmaps, target_heatmaps
from ..data.hands import CloseUps, Gestures, HandsData, open_hands
from ..data.people import rows, sample_indices
from ..data.photographic import photographed
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

GESTURE_SHARE, DECODED_SHARE = 0.5, 0.35
MARGINS, TURN, SHIFT = (1.3, 2.0), 0.35, 0.08
COARSEST = 34


class Data(NamedTuple):
    """Hands, and whether the views are changed at random."""

    hands: HandsData
    augment: bool


class HandDetectorRecipe(BaseRecipe):
    """Hands close up and in pictures of people, sharp and as the autoencoder leaves them."""

    name = "hand_detector"
    needs = ("vae",)
    plan = TrainingPlan(
        minutes=12, batch_size=32, learning_rate=2e-3, weight_decay=0.01, ema_decay=0.998,
        mixed_precision="bf16",
    )  # fmt: skip

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Open the rendered hands."""
        self.vae = load_vae(init["vae"])
        train, held_out = open_hands(data_root, init["vae"])
        return Split(Data(train, True), Data(held_out, False))

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh detector."""
        return PoseDetector(HAND_CONFIG)

    def batch(self, data: Data, step: int, seed: int, batch_size: int) -> Batch:
        """images (B,3,S,S), joints (B,21,3) in the view's pixels."""
        generator = random_generator(seed, step, 31)
        count = round(GESTURE_SHARE * batch_size)
        people, close_ups = data.hands.gestures.showing, data.hands.close_ups
        parts = [
            self._of_gestures(data.hands.gestures, people[sample_indices(len(people), step, seed, count)],
                              generator),
            _of_close_ups(close_ups, sample_indices(len(close_ups), step, seed, batch_size - count)),
        ]  # fmt: skip
        images, joints, left = (torch.cat(pair) for pair in zip(*parts, strict=True))
        frames = random_frames(joints, left, generator) if data.augment else plain_frames(joints, left)
        size = HAND_CONFIG.image_size
        views = look_at(images, frames, size)
        points = torch.cat([to_view(frames, joints[..., :2]), joints[..., 2:]], dim=2)
        if data.augment:
            views = photographed(coarsened(views, generator), generator)
        return {"images": views, "joints": points}

    @torch.no_grad()
    def _of_gestures(
        self, data: Gestures, indices: np.ndarray, generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        """Pictures, joints and sides of a shown hand of each person; some as the autoencoder leaves them."""
        hands = rows(data.hands, indices)
        shown = hands[..., 2].amax(2) > 0
        drawn = torch.rand(shown.shape, generator=generator) * shown
        side = drawn.argmax(1)
        images = rows(data.unoccluded, indices).float() / 255
        decoded = round(DECODED_SHARE * len(indices))
        with torch.autocast("cpu", torch.bfloat16):
            latents = rows(data.latents, indices[:decoded]).float()
            images[:decoded] = decode_latents(self.vae, latents).float()
        return images, hands[torch.arange(len(side)), side], side == 1

    def loss(
        self, module: PoseDetector, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Cross-entropy against the Gaussians, summed over cells."""
        logits = module(batch["images"]).float()
        inside = ((batch["joints"][..., :2] >= 0) & (batch["joints"][..., :2] < logits.shape[-1] * 4)).all(2)
        present = batch["joints"][..., 2] * inside
        target = target_heatmaps(batch["joints"], present, batch["images"].shape[-1])
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=(2, 3)).mean()
        return loss, {}

    def sample(self, module: PoseDetector, batch: Batch) -> torch.Tensor:
        """Views, what was found, and the truth."""
        images = batch["images"][:8]
        found, size = decode_heatmaps(module(images)).cpu(), images.shape[-1]
        truth = batch["joints"][:8].cpu()
        return image_grid([images, skeleton_image(found, size), skeleton_image(truth, size)])

    def evaluate(self, module: Any, held_out: Data) -> dict[str, float]:
        """Mean error as a fraction of the longer side of the joints' box; sharp and decoded pictures."""
        gestures = held_out.hands.gestures
        scores = {}
        for name in ("sharp", "decoded"):
            errors = []
            for start in range(0, len(gestures), 32):
                where = np.arange(start, min(start + 32, len(gestures)))
                images = rows(gestures.unoccluded, where).float() / 255
                if name == "decoded":
                    with torch.no_grad():
                        images = decode_latents(self.vae, rows(gestures.latents, where).float())
                for side in (0, 1):
                    truth = rows(gestures.hands, where)[:, side]
                    shown = truth[..., 2].amin(1) > 0
                    boxes = joint_boxes(truth[shown])
                    found = detect_hands(
                        module, images[shown], boxes, torch.full((len(boxes),), side == 1)
                    ).cpu()
                    span = (boxes[:, 2:] - boxes[:, :2]).amax(1)
                    distance = (found[..., :2] - truth[shown][..., :2]).norm(dim=2).mean(1)
                    errors.append(distance / span)
            scores[f"hand_joint_err.{name}"] = float(torch.cat(errors).mean())
        return scores

    def export(self, module: PoseDetector, held_out: Data) -> Export:
        """The detector with its configuration."""
        return Export(FILE_KIND, module.state_dict(), config_to_metadata(module.config), int8=True)


def _of_close_ups(data: CloseUps, indices: np.ndarray) -> tuple[torch.Tensor, ...]:
    return rows(data.images, indices).float() / 255, rows(data.joints, indices), rows(data.left, indices)


def plain_frames(joints: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    """The views of `detect_hands`."""
    return hand_frames(joint_boxes(joints), left, HAND_CONFIG.image_size, MARGIN)


def random_frames(joints: torch.Tensor, left: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Views that are wider or closer, turned and moved."""
    size = HAND_CONFIG.image_size
    draw = torch.rand(len(joints), 4, generator=generator)
    frames = hand_frames(joint_boxes(joints), left, size, MARGINS[0] + (MARGINS[1] - MARGINS[0]) * draw[:, 0])
    cos, sin = ((2 * draw[:, 1] - 1) * TURN).cos(), ((2 * draw[:, 1] - 1) * TURN).sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    middle = frames.new_full((2, 1), size / 2)
    shift = ((2 * draw[:, 2:] - 1) * SHIFT * size)[:, :, None]
    # From a point of the view: turned round the middle, moved, and then where the plain view shows it.
    offset = frames[:, :, :2] @ (middle + shift - turn @ middle) + frames[:, :, 2:]
    return torch.cat([frames[:, :, :2] @ turn, offset], 2)


def coarsened(views: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Half of the views reduced to as little as 34 px and enlarged again: so are hands in whole pictures."""
    size = views.shape[-1]
    made = []
    for view in views.split(4):
        draw = torch.rand(2, generator=generator)
        small = COARSEST + int(float(draw[0]) * (size - COARSEST))
        if float(draw[1]) < 0.5:
            reduced = F.interpolate(view, (small, small), mode="bilinear", antialias=True)
            view = F.interpolate(reduced, (size, size), mode="bilinear", align_corners=False)
        made.append(view)
    return torch.cat(made)


RECIPES = {"hand_detector": HandDetectorRecipe}
