"""Boxes of the public DensePose network: anchors, proposals, detections, and features cut from boxes.

Boxes are (N,4): x0, y0, x1, y1 in pixels of the picture that the network sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

SMALLEST_ANCHOR, ASPECTS = 32, (0.5, 1.0, 2.0)
PROPOSALS, PROPOSAL_OVERLAP = 1000, 0.7
MOST_BOXES, BOX_OVERLAP = 100, 0.5
LARGEST_GROWTH = math.log(1000 / 16)
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
USUAL_SIDE, USUAL_LEVEL = 224, 2
"""A box of that side is cut from the map at 1/16, the third of the pyramid."""
SAMPLES = 2


def level_anchors(level: int, height: int, width: int) -> Tensor:
    """The anchors (height*width*3,4) of a map of the pyramid; level 0 is the map at 1/4."""
    stride, side = 4 * 2**level, SMALLEST_ANCHOR * 2**level
    shapes = [(side / math.sqrt(aspect), side * math.sqrt(aspect)) for aspect in ASPECTS]
    own = torch.tensor([[-w / 2, -h / 2, w / 2, h / 2] for w, h in shapes])
    y, x = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
    places = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (places + own).reshape(-1, 4)


def moved(boxes: Tensor, deltas: Tensor, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Boxes moved by deltas (N,4): of the middle in units of their size, of the size in logarithms."""
    deltas = deltas / torch.tensor(weights, device=deltas.device)
    size = boxes[:, 2:] - boxes[:, :2]
    middle = boxes[:, :2] + 0.5 * size + deltas[:, :2] * size
    size = size * deltas[:, 2:].clamp(max=LARGEST_GROWTH).exp()
    return torch.cat([middle - 0.5 * size, middle + 0.5 * size], dim=1)


def inside(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes cut off at the borders of a picture of (height, width)."""
    height, width = size
    limit = torch.tensor([width, height, width, height], device=boxes.device, dtype=boxes.dtype)
    return boxes.clamp(min=0).minimum(limit)


def best_boxes(levels: Sequence[tuple[Tensor, Tensor, Tensor]], size: tuple[int, int]) -> Tensor:
    """The proposals of a picture of (height, width), the likeliest first.

    levels: logits (A,), deltas (A,4) and anchors (A,4) of each map of the pyramid.
    """
    from torchvision.ops import batched_nms

    boxes, scores, numbers = [], [], []
    for number, (logits, deltas, anchors) in enumerate(levels):
        top, index = logits.topk(min(PROPOSALS, len(logits)))
        boxes.append(inside(moved(anchors[index], deltas[index]), size))
        scores.append(top)
        numbers.append(torch.full_like(index, number))
    every, score, level = torch.cat(boxes), torch.cat(scores), torch.cat(numbers)
    real = _real(every, score)
    every, score, level = every[real], score[real], level[real]
    return every[batched_nms(every, score, level, PROPOSAL_OVERLAP)[:PROPOSALS]]


def detections(
    proposals: Tensor, scores: Tensor, deltas: Tensor, size: tuple[int, int], least: float
) -> Tensor:
    """The boxes of people, the surest first.

    Args:
        proposals: (N,4).
        scores: (N,) in 0..1, how sure a person is in each.
        deltas: (N,4), where the person is from there.
        size: (height, width) of the picture.
        least: score of a box that counts.
    """
    from torchvision.ops import nms

    boxes = inside(moved(proposals, deltas, BOX_WEIGHTS), size)
    kept = _real(boxes, scores) & (scores > least)
    boxes, scores = boxes[kept], scores[kept]
    return boxes[nms(boxes, scores, BOX_OVERLAP)[:MOST_BOXES]]


def pooled(features: Tensor, boxes: Tensor, side: int, stride: int) -> Tensor:
    """What a map shows in each box.

    Args:
        features: the map, (1,C,h,w).
        boxes: (N,4).
        side: of what is cut from each.
        stride: the map is at 1/stride of the picture.

    Returns:
        (N,C,side,side).
    """
    from torchvision.ops import roi_align

    return roi_align(features, [boxes], (side, side), 1 / stride, SAMPLES, aligned=False)


def pooled_pyramid(maps: Sequence[Tensor], boxes: Tensor, side: int) -> Tensor:
    """The same, each box from the map of its size."""
    extent = boxes[:, 2:] - boxes[:, :2]
    area = (extent[:, 0] * extent[:, 1]).sqrt()
    level = (USUAL_LEVEL + (area / USUAL_SIDE + 1e-8).log2()).floor().clamp(0, len(maps) - 1)
    made = boxes.new_zeros(len(boxes), maps[0].shape[1], side, side)
    for number, features in enumerate(maps):
        own = level == number
        made[own] = pooled(features, boxes[own], side, 4 * 2**number)
    return made


def _real(boxes: Tensor, scores: Tensor) -> Tensor:
    """Which boxes are finite and hold a pixel."""
    finite = boxes.isfinite().all(dim=1) & scores.isfinite()
    return finite & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
