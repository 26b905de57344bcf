"""What one knows of a partly hidden person: which joints, and the box; for training the pose completion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...people.keypoints import BODY_18, HFLIP_18
from .augmentation import ViewRange, exchange_sides, random_views
from .people import PeopleDataset

PATTERNS = {"occluder": 0.4, "limbs": 0.2, "lower": 0.2, "side": 0.1, "scattered": 0.1}
MISSED = 0.05
"""Share of the other joints that a detector misses."""
VIEWS = ViewRange(scale=(0.6, 1.3), degrees=20.0, shift=0.0, unchanged=0.2)
READ_AT_ONCE = 512


def _group(side: str, *names: str) -> tuple[int, ...]:
    return tuple(BODY_18.index(f"{side}_{name}") for name in names)


LIMB_GROUPS = (
    _group("right", "elbow", "wrist"), _group("left", "elbow", "wrist"),
    _group("right", "shoulder", "elbow", "wrist"), _group("left", "shoulder", "elbow", "wrist"),
    _group("right", "knee", "ankle"), _group("left", "knee", "ankle"),
    _group("right", "hip", "knee", "ankle"), _group("left", "hip", "knee", "ankle"),
    (0, 14, 15, 16, 17),
)  # fmt: skip


@dataclass(frozen=True)
class Poses:
    """The bodies of a data set: joints (N,18,3) px, which of them are not covered (N,18) bool, and how far
    the person's box (left, top, right, bottom) reaches beyond the joints (N,4) px. size: of the pictures.
    """

    joints: Tensor
    visible: Tensor
    margins: Tensor
    size: int
    augment: bool

    def __len__(self) -> int:
        return len(self.joints)


def read_poses(people: PeopleDataset, augment: bool) -> Poses:
    """All bodies of a data set, in memory."""
    joints = torch.from_numpy(np.array(people.joints)).float()
    visible = torch.from_numpy(np.array(people.joint_visible)).bool()
    starts = range(0, len(people), READ_AT_ONCE)
    boxes = np.concatenate([mask_boxes(people.amodal_mask[at : at + READ_AT_ONCE, 0]) for at in starts])
    return Poses(
        joints, visible, torch.from_numpy(boxes).float() * _OUTWARD - _extents(joints), people.size, augment
    )


def mask_boxes(masks: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 (N,4) round uint8 masks (N,H,W); the whole picture for an empty one."""
    inside = masks > 127
    columns, rows = np.asarray(inside.any(1)), np.asarray(inside.any(2))
    (x0, x1), (y0, y1) = (
        (line.argmax(1), line.shape[1] - line[:, ::-1].argmax(1)) for line in (columns, rows)
    )
    return np.stack([x0, y0, x1, y1], axis=1)


_OUTWARD = torch.tensor([-1.0, -1.0, 1.0, 1.0])


def _extents(joints: Tensor) -> Tensor:
    """Left, top, right and bottom ends of the joints (N,4), signed outward."""
    xy = joints[..., :2]
    return torch.cat([-xy.amin(1), xy.amax(1)], dim=1)


def boxes_of(joints: Tensor, margins: Tensor) -> Tensor:
    """x0, y0, x1, y1 (N,4) px of people from their joints and margins."""
    return (_extents(joints) + margins) * _OUTWARD


def random_poses(
    poses: Poses, indices: np.ndarray, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Joints (B,18,3), which are not covered (B,18), and boxes (B,4) px, turned and mirrored at random."""
    joints, visible, margins = poses.joints[indices], poses.visible[indices], poses.margins[indices]
    if not poses.augment:
        return joints, visible, boxes_of(joints, margins)
    views = random_views(len(indices), poses.size, generator, VIEWS)
    scale = torch.linalg.det(views.matrix).abs().sqrt()
    swapped = torch.where(views.flipped[:, None, None], joints[:, list(HFLIP_18)], joints)
    moved = torch.cat([views.move(swapped[..., :2]), swapped[..., 2:]], dim=2)
    margins = torch.where(views.flipped[:, None], margins[:, [2, 1, 0, 3]], margins) * scale[:, None]
    return moved, exchange_sides(views, visible), boxes_of(moved, margins)


def hidden_joints(joints: Tensor, visible: Tensor, generator: torch.Generator) -> Tensor:
    """Which joints (B,18) bool one does not know, as it happens: covered by something, whole limbs, all below
    or beside a line, or here and there; and a few that a detector missed.
    """
    count = len(joints)
    drawn = {
        "occluder": ~visible,
        "limbs": _limbs(count, generator),
        "lower": _beyond_a_line(joints, 0.3, generator),
        "side": _beyond_a_line(joints, torch.pi, generator),
        "scattered": torch.rand(count, 18, generator=generator)
        < 0.7 * torch.rand(count, 1, generator=generator),
    }
    chances = torch.tensor([PATTERNS[name] for name in drawn])
    choice = torch.multinomial(chances, count, replacement=True, generator=generator)
    hidden = torch.stack(list(drawn.values()))[choice, torch.arange(count)]
    return hidden | (torch.rand(count, 18, generator=generator) < MISSED)


def _limbs(count: int, generator: torch.Generator) -> Tensor:
    """One to three of the limbs and the head."""
    groups = torch.zeros(len(LIMB_GROUPS), 18)
    for number, group in enumerate(LIMB_GROUPS):
        groups[number, list(group)] = 1.0
    order = torch.rand(count, len(LIMB_GROUPS), generator=generator).argsort(1)
    chosen = order < torch.randint(1, 4, (count, 1), generator=generator)
    return chosen.float() @ groups > 0


def _beyond_a_line(joints: Tensor, turn: Tensor | float, generator: torch.Generator) -> Tensor:
    """All joints beyond a line across the person, mostly below it; `turn`: how far it may tilt, radians."""
    draw = torch.rand(len(joints), 2, generator=generator)
    angle = torch.pi / 2 + (draw[:, 0] * 2 - 1) * turn
    along = joints[..., 0] * angle.cos()[:, None] + joints[..., 1] * angle.sin()[:, None]
    low, high = along.amin(1, keepdim=True), along.amax(1, keepdim=True)
    return along > low + (high - low) * (0.1 + 0.85 * draw[:, 1:])
