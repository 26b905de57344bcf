"""What the amodal mask network learns from: silhouettes, hidden further, and points or a box of them."""

from __future__ import annotations

import torch
from torch import Tensor

from ...models.phac.amodal_mask import CLOSE_MARGIN, GRID, MANY_JOINTS, MARGIN, Known
from ...people.keypoints import HFLIP_18
from .augmentation import ViewRange, move_joints, random_views, sampled
from .masks import blobs, dilate_square, disturbed, random_masks

VIEWS = ViewRange(scale=(0.7, 1.3), degrees=12.0, shift=0.12, unchanged=0.3)
HIDE_MORE = 0.6
"""Share of the people who are hidden by something more than what hid them in their picture."""
LEAST_LEFT = 0.08
"""As much of the person must stay visible, or nothing more is hidden."""
SEGMENTER_REACH_PX = 2
BROKEN = 0.3
"""Share of the visible masks with holes, or spilling over what hides the person."""
BOX_SHARE = 0.35
JOINT_JITTER, EDGE_JITTER = 0.008, 0.02
"""How far given joints and edges of the box are off, as shares of the person's longer side."""
FEW = 8


def hidden_further(visible: Tensor, amodal: Tensor, generator: torch.Generator) -> Tensor:
    """Visible masks (B,1,S,S) of which more is hidden: by shapes, half the picture, or other people."""
    count, size = len(visible), visible.shape[-1]
    shapes = random_masks(count, size, generator)
    others = _rolled(amodal.roll(1, 0), generator)
    draw = torch.rand(count, 4, generator=generator)
    axis = (torch.arange(size) + 0.5) / size
    angle = 2 * torch.pi * draw[:, 0, None, None]
    offset = (draw[:, 1, None, None] - 0.5) * 0.6
    along = angle.cos() * (axis - 0.5)[None, None, :] + angle.sin() * (axis - 0.5)[None, :, None]
    halves = (along > offset).float()[:, None]
    drawn = draw[:, 2, None, None, None]
    cover = torch.where(drawn < 0.4, shapes, torch.where(drawn < 0.7, halves, others))
    left = visible * (1 - cover)
    enough = left.sum(dim=(1, 2, 3)) >= LEAST_LEFT * amodal.sum(dim=(1, 2, 3))
    chosen = enough & (draw[:, 3] < HIDE_MORE)
    return torch.where(chosen[:, None, None, None], left, visible)


def _rolled(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Each mask moved by up to a quarter of the side."""
    reach = masks.shape[-1] // 4
    shifts = torch.randint(-reach, reach + 1, (len(masks), 2), generator=generator)
    rows = [mask.roll(tuple(shift.tolist()), (1, 2)) for mask, shift in zip(masks, shifts, strict=True)]
    return torch.stack(rows)


def as_segmented(visible: Tensor, generator: torch.Generator) -> Tensor:
    """Visible masks as a segmenter gives them: grown or shrunk, some with holes, some spilling."""
    size = visible.shape[-1]
    rough = disturbed(visible, generator, SEGMENTER_REACH_PX)
    draw = torch.rand(len(visible), 2, generator=generator)
    for row in torch.nonzero(draw[:, 0] < BROKEN).flatten().tolist():
        patches = blobs(size, generator)
        if draw[row, 1] < 0.5:
            holes = (
                patches
                * (torch.rand(1, size // 4, size // 4, generator=generator) < 0.25).float()[
                    :, torch.arange(size) // 4
                ][:, :, torch.arange(size) // 4]
            )
            rough[row] = rough[row] * (1 - holes)
        else:
            spill = dilate_square(rough[row][None], 5)[0] * patches
            rough[row] = torch.maximum(rough[row], spill)
    return rough


def given_joints(joints: Tensor, seen: Tensor, generator: torch.Generator) -> Tensor:
    """Which joints (B,18) 0 or 1 are given: all, the hidden or the seen ones, a few of all or of the hidden,
    none.
    """
    there = (joints[..., 2] > 0).float()
    hidden = there * (1 - seen)
    draw = torch.rand(len(joints), 2, generator=generator)
    rank = torch.rand(joints.shape[:2], generator=generator)
    few = 1 + (draw[:, 1:] * FEW).floor()
    some = _lowest(rank + 9 * (1 - there), few) * there
    some_hidden = _lowest(rank + 9 * (1 - hidden), few) * hidden
    choices = (there, hidden, there * seen, some, some_hidden, torch.zeros_like(there))
    edges = torch.tensor([0.3, 0.45, 0.55, 0.7, 0.9])
    choice = torch.bucketize(draw[:, 0].contiguous(), edges)
    return torch.stack(choices)[choice, torch.arange(len(joints))]


def _lowest(rank: Tensor, count: Tensor) -> Tensor:
    """1 for the `count` (B,1) lowest of each row."""
    order = rank.argsort(dim=1).argsort(dim=1)
    return (order < count).float()


def mask_edges(masks: Tensor) -> Tensor:
    """Boxes (B,4) round masks (B,1,S,S) in px; a mask of nothing has zeros."""
    inside = masks[:, 0] > 0.5
    columns, rows = inside.any(1), inside.any(2)
    size = masks.shape[-1]
    low = [side.float().argmax(1) for side in (columns, rows)]
    high = [size - side.flip(1).float().argmax(1) for side in (columns, rows)]
    boxes = torch.stack([*low, *high], dim=1).float()
    return boxes * inside.flatten(1).any(1, keepdim=True)


def draw_silhouettes(
    visible: Tensor, amodal: Tensor, joints: Tensor, joint_visible: Tensor, generator: torch.Generator
) -> tuple[Known, Tensor, Tensor]:
    """A training batch.

    Args:
        visible, amodal: (B,1,S,S) of 0 and 1.
        joints: (B,18,3) px and presence.
        joint_visible: (B,18), 1 for those that nothing covers.
        generator: where the random numbers come from.

    Returns:
        What is known, the amodal masks (B,1,G,G) in 0..1, and the true visible masks (B,1,G,G), which no
        segmenter has touched.
    """
    size = visible.shape[-1]
    views = random_views(len(visible), size, generator, VIEWS)
    planes = torch.cat([visible, amodal, torch.ones_like(visible)], dim=1)
    visible, amodal, inside = views.warp(planes).gt(0.5).float().split(1, dim=1)
    moved = move_joints(views, joints)
    flipped = views.flipped[:, None]
    seen = torch.where(flipped, joint_visible[:, list(HFLIP_18)], joint_visible).float()
    visible = hidden_further(torch.minimum(visible, amodal), amodal, generator)
    seen = seen * _at(visible, moved)
    given = given_joints(moved, seen, generator)
    boxed = (torch.rand(len(visible), generator=generator) < BOX_SHARE).float()
    whole = mask_edges(amodal)
    longer = (whole[:, 2:] - whole[:, :2]).amax(1).clamp(min=1)
    off = torch.randn(moved[..., :2].shape, generator=generator) * JOINT_JITTER * longer[:, None, None]
    points = torch.cat([moved[..., :2] + off, given[..., None]], dim=2)
    boxes = whole + torch.randn(whole.shape, generator=generator) * EDGE_JITTER * longer[:, None]
    rough = as_segmented(visible, generator)
    grid, corner, scale = _crops(rough, points, boxes, boxed, size, generator)
    planes = sampled(torch.cat([rough, inside, amodal, visible], dim=1), grid)
    shown, inside, target, clean = planes.split(1, dim=1)
    points[..., :2] = (points[..., :2] - corner[:, None]) * scale[:, None, None]
    boxes = ((boxes.view(-1, 2, 2) - corner[:, None]) * scale[:, None, None]).flatten(1) * boxed[:, None]
    return Known(shown, inside, points, boxes, boxed), target, clean


def _at(masks: Tensor, joints: Tensor) -> Tensor:
    """Values (B,18) of masks (B,1,S,S) at joints in px; 0 outside."""
    size = masks.shape[-1]
    where = joints[..., :2].floor().long().clamp(0, size - 1)
    flat = masks.flatten(1).gather(1, where[..., 1] * size + where[..., 0])
    return flat * (joints[..., 2] > 0)


def _crops(
    visible: Tensor, points: Tensor, boxes: Tensor, boxed: Tensor, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Square crops round what is known: sampling grid (B,G,G,2), corner (B,2) px, cells per px (B,)."""
    far = torch.tensor(1e6)
    there = points[..., 2:] > 0
    low = torch.where(there, points[..., :2], far).amin(1)
    high = torch.where(there, points[..., :2], -far).amax(1)
    edges, any_mask = mask_edges(visible), visible.flatten(1).any(1, keepdim=True)
    low = torch.minimum(low, torch.where(any_mask, edges[:, :2], far))
    high = torch.maximum(high, torch.where(any_mask, edges[:, 2:], -far))
    has_box = boxed[:, None] > 0
    low = torch.where(has_box, torch.minimum(low, boxes[:, :2]), low).clamp(-size, 2 * size)
    high = torch.where(has_box, torch.maximum(high, boxes[:, 2:]), high).clamp(-size, 2 * size)
    longer = (high - low).amax(1).clamp(min=8.0)
    told = (boxed > 0) | (points[..., 2].sum(1) >= MANY_JOINTS)
    margin = torch.where(told, CLOSE_MARGIN, MARGIN)
    draw = torch.rand(len(visible), 3, generator=generator)
    side = longer * (1 + 2 * margin * (0.8 + 0.4 * draw[:, 0]))
    corner = (low + high) / 2 + (draw[:, 1:] - 0.5) * 0.15 * side[:, None] - side[:, None] / 2
    cells = (torch.arange(GRID) + 0.5) / GRID
    place = corner[:, None] + cells[:, None] * side[:, None, None]
    unit = place * 2 / size - 1
    x, y = unit[:, None, :, 0].expand(-1, GRID, -1), unit[:, :, None, 1].expand(-1, -1, GRID)
    return torch.stack([x, y], dim=-1), corner, GRID / side
