"""The mask of a hand for generators that predict none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..perception.sam import POSITIVE, visible_mask

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

TOLERANCE = 0.1
"""By how much a channel (0..1) has to differ from the background's colour."""


def region_before_plain(images: Tensor) -> Tensor:
    """What stands before a plain background: the largest region that differs from the border's median colour,
    its holes filled. (B,3,H,W) in 0..1 -> (B,1,H,W) float 0 or 1, empty where nothing differs.
    """
    rows = [torch.from_numpy(_region(image)) for image in images.detach().float().cpu().numpy()]
    return torch.stack(rows)[:, None].to(images.device)


def _region(image: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_fill_holes, label

    sides = (image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1])
    background = np.median(np.concatenate(sides, axis=1), axis=1)
    differs = (np.abs(image - background[:, None, None]) > TOLERANCE).any(axis=0)
    regions, count = label(differs)
    if count == 0:
        return np.zeros(differs.shape, np.float32)
    largest = np.bincount(regions.ravel())[1:].argmax() + 1
    return np.asarray(binary_fill_holes(regions == largest), dtype=np.float32)


def segmented(sam: Sam, images: Tensor, joints: Tensor) -> Tensor:
    """What Segment Anything finds at a hand's joints: (B,3,H,W) and (B,21,3) x_px, y_px, confidence ->
    (B,1,H,W) float 0 or 1. Joints outside their picture are left out; ValueError when none is inside.
    """
    height, width = images.shape[-2:]
    inside = (joints[..., 2] > 0) & (joints[..., :2] >= 0).all(dim=-1)
    inside &= (joints[..., 0] < width) & (joints[..., 1] < height)
    rows = []
    for image, points, there in zip(images, joints[..., :2], inside, strict=True):
        labels = torch.full((int(there.sum()),), POSITIVE)
        rows.append(visible_mask(sam, image, points[there], labels)[0])
    return torch.stack(rows)[:, None].to(images.device)
