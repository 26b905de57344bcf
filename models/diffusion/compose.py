"""Putting pictures together by masks, so that pixels outside a mask stay bit for bit what they were."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

DILATION_SHARE = 0.03
SMALLEST_DILATION_PX = 2
_ROUNDING = 1e-9


def composite(outside: Tensor, inside: Tensor, mask: Tensor) -> Tensor:
    """`inside` where the mask is 1, `outside` where it is 0, a blend between; (B,C,H,W) like the pictures.

    mask: (B,1,H,W) float 0..1. Where it is exactly 0 (or 1) the result has the very bits of `outside`
    (`inside`), and whatever the other picture holds there, NaN included, has no influence.
    """
    blend = outside + mask * (inside - outside)
    return torch.where(mask <= 0.0, outside, torch.where(mask >= 1.0, inside, blend))


def default_dilation(height: int, width: int) -> int:
    """Pixels by which an invisible mask grows: 3 % of the shorter side (15 at 512, 4 at 128), at least 2."""
    return max(SMALLEST_DILATION_PX, round(DILATION_SHARE * min(height, width)))


def dilate(mask: Tensor, radius_px: float | tuple[float, float]) -> Tensor:
    """The mask grown by an ellipse: 1 where (dy/r_y)^2 + (dx/r_x)^2 <= 1 for some pixel of the mask.

    mask: (B,1,H,W), inside above 0.5. radius_px: one radius, or (vertical, horizontal); 0 changes nothing.
    Gives float 0 or 1. The cost does not depend on the radius.
    """
    radii = _radii(radius_px)
    return _each_mask(mask, lambda inside: _within(inside, radii))


def erode(mask: Tensor, radius_px: float | tuple[float, float]) -> Tensor:
    """What is left of the mask when its outside grows by an ellipse. Beyond the picture counts as mask."""
    radii = _radii(radius_px)
    return _each_mask(mask, lambda inside: in_box(inside, (1, 1), lambda part: ~_within(~part, radii)))


def close_gaps(mask: Tensor, radius_px: float) -> Tensor:
    """The mask with gaps and cracks up to twice the radius wide filled (dilation, then erosion)."""
    return torch.maximum(erode(dilate(mask, radius_px), radius_px), (mask > 0.5).float())


def boundary_band(mask: Tensor, width_px: float) -> Tensor:
    """The pixels within `width_px` of the mask's boundary, on both sides; (B,1,H,W) float 0 or 1."""
    return dilate(mask, width_px) * (1.0 - erode(mask, width_px))


def feather_inside(mask: Tensor, width_px: float) -> Tensor:
    """A soft version of the mask, (B,1,H,W) float 0..1, that is 0 everywhere outside of it.

    It rises over `width_px` pixels from the boundary inwards; width 0 gives the hard mask.
    """
    if width_px <= 0:
        return (mask > 0.5).float()

    def soft(inside: np.ndarray) -> np.ndarray:
        return np.clip(_depth(inside) / (width_px + 1.0), 0.0, 1.0)

    return _each_mask(mask, lambda inside: in_box(inside, (1, 1), soft))


def cover(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """The mask at the latent size (h,w): 1 for every cell that holds at least one pixel of the mask."""
    return F.adaptive_max_pool2d((mask > 0.5).float(), size)


def said_of_empty(mask: Tensor) -> str:
    """What is to be said of a mask without a value above 0.5, which is where masks begin."""
    largest = float(mask.max())
    return f"is nowhere above 0.5 (its largest value is {largest:.2f})" if largest > 0 else "is empty"


def in_box(
    inside: np.ndarray, room: tuple[int, int], change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """What `change` makes of the box round the pixels of `inside` (H,W) bool, with so much room on both sides
    (vertical, horizontal) as the picture has; 0 elsewhere, for an empty mask everywhere.

    Of a whole photograph SciPy's distances take half a minute and most of a gigabyte.
    """
    if not inside.any():
        return inside
    places = [np.flatnonzero(inside.any(axis)) for axis in (1, 0)]
    box = tuple(slice(max(0, p[0] - more), p[-1] + 1 + more) for p, more in zip(places, room, strict=True))
    part = change(inside[box])
    whole = np.zeros(inside.shape, part.dtype)
    whole[box] = part
    return whole


def _each_mask(mask: Tensor, change: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise ValueError(f"a mask of shape {tuple(mask.shape)} came; (B,1,H,W) is needed")
    inside = (mask.detach() > 0.5).cpu().numpy()
    rows = [change(image[0]).astype(np.float32) for image in inside]
    return torch.from_numpy(np.stack(rows)[:, None]).to(mask.device)


def _radii(radius_px: float | tuple[float, float]) -> tuple[float, float]:
    vertical, horizontal = radius_px if isinstance(radius_px, tuple) else (radius_px, radius_px)
    if not (np.isfinite(vertical) and np.isfinite(horizontal)) or min(vertical, horizontal) < 0:
        raise ValueError(f"dilation radius {radius_px}: numbers of pixels from 0 up are needed")
    return vertical, horizontal


def _within(inside: np.ndarray, radii: tuple[float, float]) -> np.ndarray:
    """Where the elliptic distance to the nearest pixel of `inside` is at most 1."""
    if min(radii) == 0:
        return inside
    from scipy.ndimage import distance_transform_edt

    sampling = (1 / radii[0], 1 / radii[1])
    room = (math.ceil(radii[0]), math.ceil(radii[1]))
    return in_box(
        inside, room, lambda part: distance_transform_edt(~part, sampling=sampling) <= 1 + _ROUNDING
    )


def _depth(inside: np.ndarray) -> np.ndarray:
    """Distance in pixels to the nearest pixel outside; beyond the picture counts as inside."""
    if inside.all():
        return np.full(inside.shape, np.inf)
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(inside)
