"""DensePose labels: which part of the body's surface each pixel shows, and where on that part.

Labels: 0 background, 1 and 2 torso, 3 and 4 right and left hand, 5 and 6 left and right foot, 7 to 10 thighs,
11 to 14 shins, 15 to 18 upper arms, 19 to 22 lower arms, 23 and 24 head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .naming import in_picture

LABELS = 25
MIRRORED = (
    0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21, 24, 23,
)  # fmt: skip
"""The label of each part in the mirror image. The two halves of the head change places."""
WHOLE_BODY = "whole body"
PARTS = {
    WHOLE_BODY: tuple(range(1, LABELS)), "clothes": (1, 2, *range(7, 23)),
    "upper body": (1, 2, *range(15, 23)), "lower body": tuple(range(7, 15)), "torso": (1, 2),
    "head": (23, 24), "hands": (3, 4), "feet": (5, 6),
}  # fmt: skip
"""Labels by what one may want a mask of. Clothes: torso, arms and legs, without hands, feet and head."""

VIRIDIS, PARULA = "viridis", "parula"
COLOUR_MAPS = {
    VIRIDIS: (
        (68, 1, 84), (71, 16, 99), (72, 31, 112), (71, 44, 122), (68, 57, 131), (64, 70, 136), (59, 81, 139),
        (54, 93, 141), (49, 104, 142), (44, 113, 142), (40, 124, 142), (37, 133, 142), (33, 144, 141),
        (31, 154, 138), (32, 163, 134), (39, 173, 129), (53, 183, 121), (70, 192, 111), (92, 200, 99),
        (115, 208, 86), (142, 214, 69), (170, 220, 50), (197, 224, 33), (226, 228, 24), (253, 231, 37),
    ),
    PARULA: (
        (0, 0, 0), (37, 60, 163), (20, 80, 194), (4, 97, 223), (8, 110, 221), (14, 122, 216), (20, 132, 212),
        (15, 144, 208), (11, 156, 203), (6, 166, 198), (22, 173, 185), (38, 179, 172), (55, 185, 159),
        (86, 187, 144), (114, 189, 130), (145, 191, 116), (170, 189, 105), (192, 188, 96), (216, 186, 86),
        (228, 192, 74), (240, 199, 60), (252, 206, 46), (251, 220, 36), (250, 235, 25), (249, 251, 14),
    ),
}  # fmt: skip
"""Colours 0..255 of the labels as the DensePose preprocessors paint them."""
COLOUR_TOLERANCE = 16
"""Levels of 255 by which a channel may differ from its colour, as after a JPEG."""
COLOURED_SHARE = 0.9
"""Share of the pixels that have to be of the map; edges that were resized are of none."""
BODY_SHARE = 1 / 3
"""The same of what is not background: much of a small person is edge, a skeleton has other colours."""
AT_ONCE = 1 << 20
"""Pixels that are compared with all colours at once: 100 MB."""


@dataclass(frozen=True)
class DensePose:
    """The FIGURA_DENSEPOSE value of B pictures.

    labels: (B, H, W) uint8, 0 background and 1..24 the parts in DensePose order. uv: (B, 2, H, W) in
    0..1, or None where only labels are known.
    """

    labels: Tensor
    uv: Tensor | None = None


def read_densepose(value: Any, name: str = "densepose") -> Tensor:
    """The labels (B,H,W) uint8 of a FIGURA_DENSEPOSE value.

    Raises TypeError for another type, and ValueError, naming the input, for other shapes, NaN, numbers that
    are no labels, and a picture that is background alone.
    """
    if not isinstance(value, DensePose):
        raise TypeError(
            f"{name} must be a FIGURA_DENSEPOSE; got {type(value).__name__}. Use DensePose (Figura)"
        )
    labels = value.labels
    if labels.ndim != 3 or labels.numel() == 0:
        raise ValueError(
            f"{name} has labels of shape {tuple(labels.shape)}; (batch, height, width) is needed"
        )
    check_labels(labels, name)
    empty = (labels == 0).flatten(1).all(1).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"{in_picture(name, empty[0], len(labels))} is only background: no body was found there. Use a "
            "picture of a person, or another estimator"
        )
    return labels.to(torch.uint8)


def check_labels(labels: Tensor, name: str = "densepose") -> None:
    """ValueError, naming the input, unless all are whole numbers 0..24."""
    whole = not labels.is_floating_point()
    if not whole and not bool(torch.isfinite(labels).all()):
        raise ValueError(f"{name} holds NaN or infinite labels; labels are whole numbers from 0 to 24")
    low, high = float(labels.min()), float(labels.max())
    if low < 0 or high >= LABELS or not (whole or bool((labels == labels.round()).all())):
        raise ValueError(
            f"{name} has labels from {low:g} to {high:g}; DensePose labels are whole numbers from 0 "
            "(background) to 24. Is a UV map, or a picture of labels times a factor, connected?"
        )


def mirrored(densepose: DensePose) -> DensePose:
    """The labels of the mirror image: flipped, with left and right parts exchanged. UV is left out."""
    table = torch.tensor(MIRRORED, dtype=densepose.labels.dtype, device=densepose.labels.device)
    return DensePose(table[densepose.labels.long()].flip(-1))


def part_mask(labels: Tensor, parts: str) -> Tensor:
    """1 where labels (B,H,W) are of these PARTS, (B,1,H,W) float 0 or 1; ValueError for unknown ones."""
    if parts not in PARTS:
        raise ValueError(f"parts is {parts!r}; it is one of {', '.join(PARTS)}")
    wanted = torch.tensor(PARTS[parts], dtype=labels.dtype, device=labels.device)
    return torch.isin(labels, wanted).float()[:, None]


def paint_labels(labels: Tensor, colours: str = VIRIDIS) -> Tensor:
    """Labels (B,H,W) as a colour map (B,3,H,W) in 0..1, as the DensePose preprocessors draw it."""
    table = torch.tensor(COLOUR_MAPS[colours], device=labels.device) / 255
    return table[labels.long()].permute(0, 3, 1, 2)


def labels_from_colours(images: Tensor, name: str = "image") -> Tensor:
    """Labels (B,H,W) uint8 of colour maps (B,3,H,W) in 0..1, viridis or parula, by the nearest colour.

    One map for each picture. Raises ValueError, naming the input, for a picture that is of neither map.
    """
    names = [in_picture(name, index, len(images)) for index in range(len(images))]
    return torch.stack([_labels_of(*each) for each in zip(images, names, strict=True)])


def _labels_of(image: Tensor, name: str) -> Tensor:
    told = []
    for colours, table in COLOUR_MAPS.items():
        labels, near = _nearest(image, torch.tensor(table, device=image.device, dtype=image.dtype))
        share, body_share = float(near.float().mean()), _body_share(labels, near)
        if share >= COLOURED_SHARE and body_share >= BODY_SHARE:
            return labels
        told.append(f"{100 * share:.0f} % {colours} ({100 * body_share:.0f} % of what is not background)")
    raise ValueError(
        f"{name} is no DensePose colour map: its pixels are {', '.join(told)}, and at least "
        f"{100 * COLOURED_SHARE:.0f} % ({100 * BODY_SHARE:.0f} %) are needed. Connect the picture of a "
        "DensePose preprocessor in viridis or parula, not resized, or choose an estimator for a photo"
    )


def _body_share(labels: Tensor, near: Tensor) -> float:
    """Share of the pixels beside the background whose colour is of the map; 1 where there are none."""
    body = ~((labels == 0) & near)
    return float(near[body].float().mean()) if bool(body.any()) else 1.0


def _nearest(image: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Number of the nearest colour, (H,W) uint8, and whether it is near enough, (H,W) bool.

    image: (3,H,W) in 0..1. table: (N,3), colours in 0..255.
    """
    size = image.shape[1:]
    labels, near = (
        torch.empty(size.numel(), dtype=kind, device=image.device) for kind in (torch.uint8, torch.bool)
    )
    for start in range(0, len(labels), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        levels = 255 * image.flatten(1)[:, part].T
        number = torch.cdist(levels, table).argmin(1)
        labels[part] = number
        near[part] = (levels - table[number]).abs().amax(1) <= COLOUR_TOLERANCE
    return labels.view(size), near.view(size)
