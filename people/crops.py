"""Crop round a person at a model's size, and stitch the result back without touching any other pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch.nn import functional as F

from .boxes import Box

Points = TypeVar("Points", np.ndarray, torch.Tensor)
CROP_MODES = ("bilinear", "bicubic", "nearest")
LARGEST_SIDE = 8192
"""Pixels of a picture that a crop may be long and wide; of larger pictures twice their own longer side."""
AT_ONCE = 1 << 24
"""Numbers that are made at once, 64 MiB: a square crop of a panorama has many times the panorama's pixels."""


@dataclass(frozen=True)
class CropPlan:
    """Which part of a picture is looked at, and at what size.

    The picture has source_width x source_height pixels. `box` has whole numbers, may reach outside the
    picture, and is resampled to model_width x model_height pixels.
    """

    source_width: int
    source_height: int
    box: Box
    model_width: int
    model_height: int

    @property
    def resamples(self) -> bool:
        """False when the box has the model's size, so that pixels are only copied."""
        return (self.box.width, self.box.height) != (self.model_width, self.model_height)

    @property
    def scale(self) -> tuple[float, float]:
        """Model pixels per source pixel, (x, y)."""
        return self.model_width / self.box.width, self.model_height / self.box.height


def same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether pictures of two sizes (height, width) in pixels can show one view: as high for their width, but
    for what rounding to whole pixels changes.

    >>> same_shape((67, 101), (2001, 3000)), same_shape((64, 128), (128, 128))
    (True, False)
    """
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(*size, *other)


def plan_crop(
    box: Box,
    source_size: tuple[int, int],
    model_size: tuple[int, int],
    margin: float = 0.15,
    whole_at_model_size: bool = True,
) -> CropPlan:
    """Plan a crop that holds a box, in the model's aspect ratio.

    The crop is moved inside the picture where it fits and still holds the box; the rest reaches outside.

    Args:
        box: pixels of the picture; an empty one means the whole picture.
        source_size: (height, width) of the picture.
        model_size: (height, width) of the crop at the model.
        margin: free space on every side, as a fraction of the box's longer side; it does not reach outside
            the picture.
        whole_at_model_size: a picture that has the model's size already, and holds the box, is taken whole.

    Raises:
        ValueError: for a box that is too large or too far outside the picture (LARGEST_SIDE).
    """
    height, width = source_size
    image = Box(0, 0, width, height)
    wanted = image if box.is_empty else box.outward()
    _check_reach(wanted, image)
    if whole_at_model_size and source_size == model_size and wanted.union(image) == image:
        return CropPlan(width, height, image, width, height)
    roomy = wanted.expand(margin * max(wanted.width, wanted.height)).intersect(image)
    wanted = wanted.union(roomy).outward()
    whole = _to_aspect(wanted, image, model_size)
    _check_reach(whole, image)
    return CropPlan(width, height, whole, model_size[1], model_size[0])


def _check_reach(wanted: Box, image: Box) -> None:
    # Of a crop far larger than its picture nothing could be seen: a stray point is told instead.
    whole = wanted.union(image)
    if max(whole.width, whole.height) > max(LARGEST_SIDE, 2 * image.width, 2 * image.height):
        raise ValueError(
            f"a box or a point lies too far outside: x {wanted.x0:g} to {wanted.x1:g}, y {wanted.y0:g} to "
            f"{wanted.y1:g} are to be held in a crop of a picture of {image.width:g} x {image.height:g} "
            "pixels. Correct prompt, pose_keypoint or bounding_box, or the size that it is given for"
        )


def _to_aspect(wanted: Box, image: Box, model_size: tuple[int, int]) -> Box:
    scale = max(wanted.width / model_size[1], wanted.height / model_size[0])
    # The model's own sides first, then rounding: a hair's breadth above a whole number must not add a pixel.
    width = max(math.ceil(model_size[1] * scale - 1e-6), int(wanted.width))
    height = max(math.ceil(model_size[0] * scale - 1e-6), int(wanted.height))
    x0 = _place(wanted.x0, wanted.x1, width, int(image.x1))
    y0 = _place(wanted.y0, wanted.y1, height, int(image.y1))
    return Box(x0, y0, x0 + width, y0 + height)


def _place(low: float, high: float, length: int, limit: int) -> int:
    """Where a span of `length` starts that holds [low, high] and lies inside [0, limit] if it can."""
    start = math.floor((low + high - length) / 2)
    start = min(max(start, 0), limit - length) if length <= limit else (limit - length) // 2
    return int(min(max(start, high - length), low))


def crop(
    image: torch.Tensor, plan: CropPlan, mode: str = "bilinear", fill: float | None = None
) -> torch.Tensor:
    """The planned part of pictures.

    Args:
        image: (B, C, source_height, source_width).
        plan: what to cut out, and to what size.
        mode: "bilinear" or "bicubic" (antialiased), or "nearest" (labels). Bicubic oversteps 0..1 at edges.
        fill: the value outside a picture without alpha; None repeats the picture's edge.

    Returns:
        (B, C, model_height, model_width).

    Raises:
        ValueError: when the picture is not of the plan's size.
    """
    _check_size(image, "image", plan.source_height, plan.source_width)
    if mode not in CROP_MODES:
        raise ValueError(f"crop mode must be one of {', '.join(CROP_MODES)}; got {mode!r}.")
    blends = plan.resamples and mode != "nearest"
    part = _alpha_multiplied(image) if blends else image
    for axis, (low, high), limit, length in (
        (3, plan.box[0::2], plan.source_width, plan.model_width),
        (2, plan.box[1::2], plan.source_height, plan.model_height),
    ):
        places = torch.arange(int(low), int(high), device=image.device)
        span = partial(_span, axis=axis, places=places, limit=limit, length=length, mode=mode, fill=fill)
        part = _in_strips(part, axis, len(places), span)
    return _alpha_divided(part) if blends else part


def _span(
    image: torch.Tensor,
    axis: int,
    places: torch.Tensor,
    limit: int,
    length: int,
    mode: str,
    fill: float | None,
) -> torch.Tensor:
    """Rows or columns (axis 2 or 3) at ascending `places`, made `length`; outside [0, limit) the edge is
    repeated, unless there is a `fill`.
    """
    held = places.clamp(0, limit - 1)
    first, last = int(held[0]), int(held[-1])
    part = image.narrow(axis, first, last - first + 1)
    if last - first + 1 < len(places):
        part = part.index_select(axis, held - first)
    if fill is not None and (int(places[0]) < first or int(places[-1]) > last):
        outside = ((places < 0) | (places >= limit)).reshape(-1, *[1] * (3 - axis))
        part = part.masked_fill(outside, fill)
    return _interpolated(part, axis, length, mode)


def _in_strips(
    image: torch.Tensor, axis: int, longest: int, change: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """What `change` makes along one axis of at most `longest` lines, AT_ONCE numbers at a time."""
    strips = image.split(max(1, AT_ONCE // (longest * image.shape[0] * image.shape[1])), dim=5 - axis)
    if len(strips) == 1:
        return change(strips[0])
    start, made = 0, torch.empty(0)
    for strip in map(change, strips):
        if start == 0:  # the order of an IMAGE in memory
            size = list(strip.shape)
            size[5 - axis] = image.shape[5 - axis]
            made = strip.new_empty(size[0], *size[2:], size[1]).permute(0, 3, 1, 2)
        made.narrow(5 - axis, start, strip.shape[5 - axis]).copy_(strip)
        start += strip.shape[5 - axis]
    return made


@torch.no_grad()
def stitch(
    image: torch.Tensor, patch: torch.Tensor, mask: torch.Tensor, plan: CropPlan
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put a finished crop back; every pixel outside the mask is the input's, bit for bit.

    Args:
        image: (B, C, source_height, source_width).
        patch: (B, C, model_height, model_width); that of one picture serves the batch.
        mask: (B, 1, model_height, model_width) in 0..1, the region to change; values between 0 and 1 blend,
            in RGBA as much as is to be seen of either. A crop that was resampled resamples its mask too, so
            that the seam is as soft as one pixel of the model.
        plan: of the crop.

    Returns:
        The picture, and the mask at the picture's size, (B, 1, source_height, source_width).
    """
    _check_size(image, "image", plan.source_height, plan.source_width)
    _check_size(patch, "patch", plan.model_height, plan.model_width)
    _check_size(mask, "mask", plan.model_height, plan.model_width)
    rows, columns, *kept = _overlap(plan)
    size = int(plan.box.height), int(plan.box.width)
    inside = image[:, :, rows, columns]
    amount = resampled(mask, size, kept=kept).clamp(0, 1).to(image.dtype)
    new = resampled(patch, size, kept=kept).to(image.dtype).expand_as(inside)
    blended = _blended(inside, new, amount)
    torch.where(amount >= 1, new, blended, out=blended)
    stitched, full_mask = image.clone(), torch.zeros_like(image[:, :1])
    torch.where(amount > 0, blended, inside, out=stitched[:, :, rows, columns])
    full_mask[:, :, rows, columns] = amount
    return stitched, full_mask


def _blended(old: torch.Tensor, new: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """Between two pictures (B,C,H,W), of the new one as `amount` (B,1,H,W) says; what is transparent lends no
    colour.
    """
    blended = torch.lerp(old, new, amount)
    if old.shape[1] == 4:
        alpha = blended[:, 3:]
        share = torch.where(alpha > 0, amount * new[:, 3:] / alpha.clamp_min(1e-6), amount)
        blended[:, :3] = torch.lerp(old[:, :3], new[:, :3], share.clamp(0, 1))
    return blended


def joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """One batch of several; a single one as it is, without a copy."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def crop_all(pictures: torch.Tensor, plans: Sequence[CropPlan], fill: float | None = None) -> torch.Tensor:
    """Every picture by its own plan, (B,C,S,S); see `crop`. The crops have one size."""
    return torch.cat(
        [crop(image[None], plan, fill=fill) for image, plan in zip(pictures, plans, strict=True)]
    )


def stitch_all(
    pictures: torch.Tensor, patches: torch.Tensor, masks: torch.Tensor, plans: Sequence[CropPlan]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every patch into its picture; see `stitch`.

    Args:
        pictures: (B,C,H,W).
        patches: (B,C,S,S).
        masks: (B,1,S,S) in 0..1, where the patches count.
        plans: one for each picture.

    Returns:
        Pictures (B,C,H,W) and masks (B,1,H,W).
    """
    rows = zip(pictures, patches.cpu(), masks.cpu(), plans, strict=True)
    done = [stitch(image[None], patch[None], mask[None], plan) for image, patch, mask, plan in rows]
    return joined([image for image, _ in done]), joined([mask for _, mask in done])


def _overlap(plan: CropPlan) -> tuple[slice, slice, slice, slice]:
    """Rows and columns of the part of the box inside the picture, counted in the picture and in the box."""
    x0, y0, x1, y1 = (int(value) for value in plan.box.clip(plan.source_height, plan.source_width))
    left, top = int(plan.box.x0), int(plan.box.y0)
    if x0 == x1:
        left, top = 0, 0
    return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)


def resampled(
    image: torch.Tensor,
    size: tuple[int, int],
    kept: Sequence[slice] = (slice(None), slice(None)),
    mode: str = "bilinear",
) -> torch.Tensor:
    """Pictures or masks of another size; in RGBA what is transparent lends no colour.

    Args:
        image: (B,C,H,W).
        size: (height, width) in pixels.
        kept: which rows and columns of the result are given, two slices.
        mode: as of `crop`.
    """
    if tuple(image.shape[2:]) == size:
        return image[:, :, kept[0], kept[1]]
    made = _alpha_multiplied(image)
    made = _in_strips(made, 3, size[1], lambda strip: _interpolated(strip, 3, size[1], mode)[..., kept[1]])
    made = _in_strips(made, 2, size[0], lambda strip: _interpolated(strip, 2, size[0], mode)[:, :, kept[0]])
    return _alpha_divided(made)


def _interpolated(image: torch.Tensor, axis: int, length: int, mode: str = "bilinear") -> torch.Tensor:
    """(B,C,H,W) of another height or width (axis 2 or 3)."""
    if image.shape[axis] == length or image.numel() == 0:
        return image
    size = (length, image.shape[3]) if axis == 2 else (image.shape[2], length)
    if mode == "nearest":
        return F.interpolate(image, size, mode="nearest-exact")
    if image.shape[3] == 1 and axis == 2:  # torch's antialiased resizing reads wrong numbers of one column
        return _interpolated(image.repeat(1, 1, 1, 2), axis, length, mode)[..., :1]
    # Antialiased where it grows, too, though that is slower: only so masks of 1 stay 1, bit for bit.
    return F.interpolate(image, size, mode=mode, antialias=True, align_corners=False)


def _alpha_multiplied(image: torch.Tensor) -> torch.Tensor:
    """RGBA (B,4,H,W) with its colours times alpha; pictures without alpha as they are."""
    if image.shape[1] != 4:
        return image
    return torch.cat([image[:, :3] * image[:, 3:], image[:, 3:]], dim=1)


def _alpha_divided(image: torch.Tensor) -> torch.Tensor:
    """The inverse of `_alpha_multiplied`; changes the picture."""
    if image.shape[1] == 4:
        image[:, :3] /= image[:, 3:].clamp_min(1e-6)
    return image


def points_to_crop(points: Points, plan: CropPlan) -> Points:
    """Points (..., 2) or (..., 3 with confidence) of the picture, in the crop's pixels.

    >>> plan = plan_crop(Box(100, 50, 200, 150), source_size=(400, 600), model_size=(50, 50), margin=0.0)
    >>> points_to_crop(np.array([150.0, 100.0]), plan).tolist()
    [25.0, 25.0]
    """
    scale_x, scale_y = plan.scale
    moved = points.copy() if isinstance(points, np.ndarray) else points.clone()
    moved[..., 0] = moved[..., 0] * scale_x - plan.box.x0 * scale_x
    moved[..., 1] = moved[..., 1] * scale_y - plan.box.y0 * scale_y
    if moved.shape[-1] == 3:
        # An absent point stays (0, 0, 0).
        moved[moved[..., 2] <= 0] = 0
    return moved


def box_to_crop(box: Box, plan: CropPlan) -> Box:
    """A box of the picture, in the crop's pixels."""
    return box.shifted(-plan.box.x0, -plan.box.y0).scaled(*plan.scale)


def _check_size(tensor: torch.Tensor, name: str, height: int, width: int) -> None:
    if tensor.ndim != 4 or tuple(tensor.shape[2:]) != (height, width):
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}, but this crop needs (batch, channels, {height}, "
            f"{width}). Use the crop data that came with this picture."
        )
