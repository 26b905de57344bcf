"""Recipe complete_pose: the network that proposes hidden joints, a conditional flow on synthetic poses alone.

L = E||v(x_t, t | known) - (x_1 - x_0)||^2 over the missing joints, and cross-entropy for whether a camera
could tell them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from ...models.diffusion.checkpoint import config_to_metadata
from ...models.diffusion.sampling import draw_noise
from ...models.perception.pose_completion import (
    FILE_KIND,
    PRESENT,
    SPREAD,
    USUAL_SIZE,
    Known,
    PoseCompletion,
    frame_of,
    known_in,
    propose,
)
from ...people.skeleton import draw_skeleton
from ..data.people import open_split, sample_indices
from ..data.pose_patterns import Poses, boxes_of, hidden_joints, random_poses, read_poses
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

BOX_SHARE = 0.5
JOINT_JITTER = 0.006
EDGE_JITTER = 0.015
"""How far known joints and edges of the box are off, as shares of the person's longer side."""
PRESENCE_WEIGHT = 0.1
SHOWN_PX = 128


class CompletePoseRecipe(BaseRecipe):
    """Whole poses from parts of them."""

    name = "complete_pose"
    plan = TrainingPlan(
        minutes=4, batch_size=512, learning_rate=2e-3, weight_decay=0.01, ema_decay=0.998, device="cpu"
    )

    def __init__(self) -> None:
        self.statistics: tuple[torch.Tensor, torch.Tensor] | None = None

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Read the joints of both data sets."""
        train, held_out = open_split(data_root)
        poses = Split(read_poses(train, True), read_poses(held_out, False))
        self.statistics = pose_statistics(poses.train)
        return poses

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh network that knows the mean pose."""
        if self.statistics is None:
            raise ValueError(f"recipe {self.name} must prepare its data before the network is built")
        net = PoseCompletion()
        torch.nn.init.zeros_(net.velocity.weight)
        torch.nn.init.zeros_(net.velocity.bias)
        net.mean_pose.copy_(self.statistics[0])
        net.pair_squares.copy_(self.statistics[1])
        return net

    def batch(self, data: Poses, step: int, seed: int, batch_size: int) -> Batch:
        """In px: truth (B,18,3); what is known of it: points (B,18,2), joints (B,18), box (B,4), has_box
        (B,).
        """
        generator = random_generator(seed, step, 31)
        indices = sample_indices(len(data), step, seed, batch_size)
        truth, visible, boxes = random_poses(data, indices, generator)
        joints = ~hidden_joints(truth, visible, generator) & (truth[..., 2] > 0)
        has_box = torch.rand(batch_size, generator=generator) < BOX_SHARE
        has_box |= ~joints.any(1)
        longer = (boxes[:, 2:] - boxes[:, :2]).amax(1)
        off = torch.randn(batch_size, 18, 2, generator=generator) * JOINT_JITTER * longer[:, None, None]
        moved = torch.randn(batch_size, 4, generator=generator) * EDGE_JITTER * longer[:, None]
        return {
            "truth": truth, "points": truth[..., :2] + off, "joints": joints.float(), "box": boxes + moved,
            "has_box": has_box.float(),
        }  # fmt: skip

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The flow's loss in units of SPREAD, and that of the presence."""
        own: Any = getattr(module, "module", module)
        known, frame = known_of(own, batch)
        pose = frame.to_units(batch["truth"][..., :2])
        noise = torch.randn(pose.shape, generator=generator).to(pose)
        times = torch.rand(len(pose), generator=generator).to(pose)
        start = own.mean_pose + SPREAD * noise
        velocity, presence = module(torch.lerp(start, pose, times[:, None, None]), times, known)
        missing = 1.0 - known.joints
        error = ((velocity - (pose - start)) / SPREAD).square().sum(2)
        flow = (error * missing).sum() / missing.sum().clamp(min=1)
        there = F.binary_cross_entropy_with_logits(
            presence, (batch["truth"][..., 2] > 0).float(), reduction="none"
        )
        told = (there * missing).sum() / missing.sum().clamp(min=1)
        return flow + PRESENCE_WEIGHT * told, {"presence": told.detach()}

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """What is known, the middle of the proposals, two of them, and the truth."""
        known, frame = known_of(module, batch)
        noise = draw_noise(range(2 * len(known.joints)), (18, 2)).to(known.points).chunk(2)
        seen = torch.cat([batch["points"], batch["joints"][..., None]], dim=2)
        rows = [seen]
        for each in (torch.zeros_like(noise[0]), *noise):
            points, present = propose(module, known, each)
            shown = torch.maximum(known.joints, (present >= PRESENT).float())
            rows.append(torch.cat([frame.to_pixels(points), shown[..., None]], dim=2))
        rows.append(batch["truth"])
        return image_grid([draw_skeleton(row.cpu(), SHOWN_PX, SHOWN_PX) for row in rows])

    def evaluate(self, module: Any, held_out: Poses) -> dict[str, float]:
        """Errors on the held-out people's covered joints (training/pose_completion_evaluation.py)."""
        from ..evaluation.complete_pose import completion_scores

        boxes = boxes_of(held_out.joints, held_out.margins)
        scores = completion_scores(module, held_out.joints, held_out.visible, boxes, held_out.size)
        return {name: value for name, value in scores.items() if ".hidden_" not in name}

    def export(self, module: Any, held_out: Poses) -> Export:
        """The network with its configuration."""
        return Export(FILE_KIND, module.state_dict(), config_to_metadata(module.config), int8=True)


def known_of(net: PoseCompletion, batch: Batch) -> tuple[Known, Any]:
    """What is known in the person's own unit, and where that unit lies."""
    given = (batch["points"], batch["joints"], batch["box"], batch["has_box"])
    usual = torch.full_like(batch["has_box"], USUAL_SIZE * SHOWN_PX)
    frame = frame_of(net, *given, usual)
    return known_in(frame, *given), frame


def pose_statistics(poses: Poses) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean pose (18,2), and the mean squared distance of every two joints (18,18), in people's own units;
    of the people and their mirror images.
    """
    from ...people.keypoints import HFLIP_18

    boxes = boxes_of(poses.joints, poses.margins)
    middle, longer = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).amax(1)
    units = (poses.joints[..., :2] - middle[:, None]) / longer[:, None, None]
    mirrored = units[:, list(HFLIP_18)] * units.new_tensor([-1.0, 1.0])
    both = torch.cat([units, mirrored])
    squares = torch.stack(
        [(both - both[:, joint : joint + 1]).square().sum(2).mean(0) for joint in range(18)]
    )
    return both.mean(0), squares


RECIPES = {"complete_pose": CompletePoseRecipe}
