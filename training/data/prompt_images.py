"""Prompts and their pictures to train on, as imprecise as a user's points and boxes are."""

from __future__ import annotations

import numpy as np
import torch

from ...people.boxes import Box
from ...people.prompt_kinds import FULL_BOX, POSE, PROMPT_KINDS, ROI_BOX
from ...people.prompts import PointPrompt, draw_prompt
from .people import PeopleDataset, rows

BLANK_PROMPT = 0.15
DROPPED_JOINT = 0.05
JOINT_JITTER_PX = 1.0
EDGE_JITTER_PX = 2.0
ROI_MARGIN_PX = 8.0
"""Most that the box of the region of interest is wider than the hidden part, to every side."""
SMALLEST_BOX_PX = 2.0


def prompt_images(
    kind: str, people: PeopleDataset, indices: np.ndarray, generator: torch.Generator
) -> torch.Tensor:
    """Prompts of one kind (B,3,S,S) for people of a data set; some are blank.

    Args:
        kind: of the table `PROMPT_KINDS`.
        people: the data set.
        indices: (B,) which of them.
        generator: where the random numbers come from.
    """
    joints = rows(people.joints, indices)
    if not PROMPT_KINDS[kind].boxes:
        return pose_prompt_images(joints, people.size, generator)
    amodal, visible = (people.images(name, indices) for name in ("amodal_mask", "visible_mask"))
    return draw_prompt(box_prompts(kind, joints, amodal, visible, generator), people.size, people.size)


def box_prompts(
    kind: str,
    joints: torch.Tensor,
    amodal_masks: torch.Tensor,
    visible_masks: torch.Tensor,
    generator: torch.Generator,
) -> list[PointPrompt]:
    """B prompts of a kind with a box, as imprecise as a user's; some are blank.

    Args:
        kind: of the table `PROMPT_KINDS`.
        joints: (B,18,3) px.
        amodal_masks, visible_masks: (B,1,S,S), 1 on the person.
        generator: where the random numbers come from.
    """
    size = amodal_masks.shape[-1]
    joints = user_joints(joints, generator)
    boxes = {
        name: user_boxes(name, amodal_masks, visible_masks, generator) for name in PROMPT_KINDS[kind].boxes
    }
    blank = (torch.rand(len(joints), generator=generator) < BLANK_PROMPT).tolist()
    return [
        _prompt(kind, joints[row], {name: each[row] for name, each in boxes.items()}, size, empty)
        for row, empty in enumerate(blank)
    ]


def pose_prompts(joints: torch.Tensor, size: int, generator: torch.Generator) -> list[PointPrompt]:
    """B prompts of joints (B,18,3), as imprecise as a user's points; some joints lack, some all."""
    joints = user_joints(joints, generator)
    joints[..., 2] *= torch.rand(len(joints), 1, generator=generator) >= BLANK_PROMPT
    return [_prompt(POSE, each, {}, size, False) for each in joints]


def pose_prompt_images(joints: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """Skeletons (B,3,S,S) of `pose_prompts`."""
    return draw_prompt(pose_prompts(joints, size, generator), size, size)


def user_joints(joints: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Joints (B,18,3) a pixel or so off; some are left out."""
    joints = joints.clone()
    joints[..., :2] += JOINT_JITTER_PX * torch.randn(joints[..., :2].shape, generator=generator)
    joints[..., 2] *= torch.rand(joints.shape[:2], generator=generator) >= DROPPED_JOINT
    return joints


def user_boxes(
    name: str, amodal_masks: torch.Tensor, visible_masks: torch.Tensor, generator: torch.Generator
) -> list[Box | None]:
    """Boxes as users draw them, edges a few pixels off; None for a person of whom nothing is hidden.

    Args:
        name: roi_box, with some margin round the hidden part, or full_box, round the whole person.
        amodal_masks, visible_masks: (B,1,S,S), 1 on the person.
        generator: where the random numbers come from.
    """
    masks = amodal_masks > 0.5
    margins = torch.zeros(len(masks))
    if name == ROI_BOX:
        masks = masks & ~(visible_masks > 0.5)
        margins = ROI_MARGIN_PX * torch.rand(len(masks), generator=generator)
    offsets = EDGE_JITTER_PX * torch.randn(len(masks), 4, generator=generator)
    moved = [
        moved_edges(Box.around_mask(mask[0].float()), margin, shifts, masks.shape[-1])
        for mask, margin, shifts in zip(masks, margins.tolist(), offsets.tolist(), strict=True)
    ]
    return [None if box.is_empty else box for box in moved]


def moved_edges(box: Box, margin: float, shifts: list[float], size: int) -> Box:
    """The box moved as a hand would, inside a square picture and not too small to see; an empty one stays so.

    Args:
        box: in pixels.
        margin: by how many pixels it grows on every side first.
        shifts: then of the edges x0, y0, x1, y1, in pixels.
        size: side of the picture in pixels.
    """
    if box.is_empty:
        return box
    x0, y0, x1, y1 = (edge + shift for edge, shift in zip(box.expand(margin), shifts, strict=True))
    thin_x, thin_y = (max(0.0, SMALLEST_BOX_PX - side) / 2 for side in (x1 - x0, y1 - y0))
    return Box(x0 - thin_x, y0 - thin_y, x1 + thin_x, y1 + thin_y).clip(size, size)


def _prompt(
    kind: str, joints: torch.Tensor, boxes: dict[str, Box | None], size: int, blank: bool
) -> PointPrompt:
    points = joints.numpy() * np.array([1.0, 1.0, float(not blank)], np.float32)
    roi, full = (None if blank else boxes.get(name) for name in (ROI_BOX, FULL_BOX))
    return PointPrompt(kind, size, size, points, np.zeros(18, bool), roi_box=roi, full_box=full)
