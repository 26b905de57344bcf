"""Keeping arms out of the trunk: how deep a point lies inside it, and by how much an arm has to move away."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .asset import BodyAsset
from .poses import Pose, limited
from .rotations import Array

_SLICES = 12
_STEP, _MOST_STEPS = 6.0, 7
DEEP = 0.8
"""A point whose squared distance from the trunk's middle, in half widths, is below this is inside."""


@dataclass(frozen=True)
class Trunk:
    """Ellipses (12, 4) round the trunk at rest: half width, half depth, middle depth; and its heights."""

    rows: Tensor
    low: float
    high: float

    @classmethod
    def of(cls, asset: BodyAsset, rest: Tensor) -> Trunk:
        """The trunk and the tops of the thighs of a body at rest (V,3)."""
        span = asset.ranges["tights"]
        points = rest[span][asset.part[span] <= 2].cpu()
        low, high = float(points[:, 1].amin()), float(points[:, 1].amax()) - 0.1
        number = ((points[:, 1] - low) / (high - low) * _SLICES).long()
        within = (number < _SLICES).nonzero()[:, 0]
        wide = torch.stack([points[:, 0].abs(), points[:, 2], -points[:, 2]], 1)[within]
        index = number[within, None].expand(-1, 3)
        most = torch.full((_SLICES, 3), -1.0).scatter_reduce_(0, index, wide, "amax").T
        rows = torch.stack([most[0], (most[1] + most[2]) / 2, (most[1] - most[2]) / 2], 1)
        return cls(rows, low, high)

    def closeness(self, points: Tensor, radius: float) -> Tensor:
        """(n,): squared distance of points (n,3), at rest, from the middle line, in half widths."""
        place = (points[:, 1] - self.low) / (self.high - self.low) * _SLICES
        row = self.rows[place.long().clamp(0, _SLICES - 1)]
        value = (points[:, 0] / (row[:, 0] + radius)) ** 2 + (
            (points[:, 2] - row[:, 2]) / (row[:, 1] + radius)
        ) ** 2
        return torch.where((place >= 0) & (place < _SLICES), value, torch.inf)


def arm_points(place: dict[str, Array], letter: str) -> Array:
    """(6,3) along forearm and hand, from the places of the bones."""
    elbow, wrist, knuckle = (place[f"{bone}.{letter}"] for bone in ("lowerarm01", "wrist", "finger3-1"))
    tip = place[f"finger3-3.{letter}"]
    return np.stack(
        [elbow, elbow + (wrist - elbow) / 3, elbow + (wrist - elbow) * 2 / 3, wrist, knuckle, tip]
    )


def moved_away(pose: Pose, side: int) -> Pose:
    """The pose with that arm a step further out and forwards."""
    name = "rl"[side]
    flexion, abduction = f"{name}_arm_flexion", f"{name}_arm_abduction"
    ahead = 0.6 * _STEP if pose.angles[flexion] > 12 else -0.3 * _STEP if pose.angles[flexion] < -12 else 0.0
    angles = pose.angles | {
        abduction: limited(abduction, pose.angles[abduction] + _STEP),
        flexion: limited(flexion, pose.angles[flexion] + ahead),
    }
    return replace(pose, angles=angles)


def steps() -> range:
    """How often an arm is moved at most."""
    return range(_MOST_STEPS)
