"""CFLD on pictures of any size: pose pictures, sources and targets made square and back, checks.

A person's picture is grown to the model's aspect (11 wide, 16 high as released) by repeating its edges, and
then squashed to a square, as the model was trained. Results are on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...people.boxes import Box
from ...people.crops import CropPlan, crop, points_to_crop, resampled
from ...people.keypoints import LIMBS, Pose
from ...people.naming import in_picture
from ...people.skeleton import LIMB_SHADE, PALETTE_18, Canvas, check_canvas
from ..diffusion.batches import chunks, in_chunks
from ..diffusion.compose import composite
from ..diffusion.sampling import Kept, OnStep, check_kept
from .config import CFLDConfig
from .networks import Appearance, CFLDModel
from .sampling import appearance_of, repose

STANDARD_SIZE = 256
LINE_HALF_WIDTH, JOINT_RADIUS, HEAT_SIGMA = 1.68, 3.5, 6.0
"""In pixels of a pose picture of STANDARD_SIZE; they scale with it. The released networks were trained with
OpenCV's antialiased lines of thickness 2 and discs of radius 3, which come out half a pixel larger."""
BLUR_PX, NARROWING = 0.42, 0.12
"""OpenCV softens a line along the pixel columns, or rows of a steep one. Across the line that is less, the
more it slants: its edge is a Gaussian's integral of sigma BLUR_PX cos^2 of its angle to the nearer axis, and
its half width shrinks by NARROWING (1 - cos). Fitted to what OpenCV draws, as the half width is."""


# The pose picture


def pose_image(joints: Tensor, size: int) -> Tensor:
    """What H_P reads, (B,21,size,size) in 0..1: a skeleton on black (RGB) and a heatmap of each joint.

    joints: (B,18,3) x_px, y_px in that picture, confidence; one of confidence 0 is not drawn and has an
    empty heatmap. As released: OpenCV's antialiased lines of thickness 2 in 0.6 of the OpenPose colours, its
    antialiased discs of radius 3, heatmaps exp(-d^2 / (2 6^2)), all round the middle of the joint's whole
    pixel and all for 256 px.
    """
    canvas = LineCanvas(torch.zeros(len(joints), 3, size, size, device=joints.device))
    scale, joints = size / STANDARD_SIZE, joints.float()
    middles = torch.cat([joints[..., :2].floor() + 0.5, joints[..., 2:]], dim=2)
    for colour, (start, end) in zip(PALETTE_18, LIMBS, strict=False):
        shaded = tuple(int(channel * LIMB_SHADE) / 255 for channel in colour)
        canvas.line(middles[:, start], middles[:, end], LINE_HALF_WIDTH * scale, shaded)  # type: ignore[arg-type]
    for index, (red, green, blue) in enumerate(PALETTE_18):
        canvas.spot(middles[:, index], JOINT_RADIUS * scale, (red / 255, green / 255, blue / 255))
    return torch.cat([canvas.pixels, heatmaps(joints, size, HEAT_SIGMA * scale)], dim=1)


def heatmaps(joints: Tensor, size: int, sigma: float) -> Tensor:
    """(B,18,size,size): a Gaussian round the pixel of each joint (B,18,3), 1 there; empty for absent ones."""
    pixels = torch.arange(size, device=joints.device)
    x, y = ((-((pixels - joints[..., axis, None].floor()) ** 2) / (2 * sigma**2)).exp() for axis in (0, 1))
    return y[..., :, None] * x[..., None, :] * (joints[..., 2] > 0)[..., None, None]


class LineCanvas(Canvas):
    """Pictures on which lines of even width, and discs with an edge of one pixel, can be painted as well, as
    OpenCV antialiases them.
    """

    def spot(self, centre: Tensor, radius: float, colour: tuple[float, float, float]) -> None:
        """Paint a disc round centre (B,3) x_px, y_px, confidence; its edge is half covered at `radius` px."""
        present = centre[:, 2] > 0
        index = self._window(centre[:, :2], torch.full_like(centre[:, 0], radius + 0.5), present)
        if index is None:
            return
        rows, columns = index
        x = (columns + 0.5 - centre[:, 0, None])[:, None, :]
        y = (rows + 0.5 - centre[:, 1, None])[:, :, None]
        coverage = (radius + 0.5 - torch.hypot(x, y)).clamp(0, 1) * present[:, None, None]
        self._blend(rows, columns, coverage, colour)

    def line(self, start: Tensor, end: Tensor, half_width: float, colour: tuple[float, float, float]) -> None:
        """Paint a line with round ends.

        Args:
            start, end: (B,3) x_px, y_px, confidence; nothing is painted where one has confidence 0.
            half_width: in pixels.
            colour: red, green, blue in 0..1.
        """
        along = end[:, :2] - start[:, :2]
        present = (start[:, 2] > 0) & (end[:, 2] > 0)
        centre, reach = 0.5 * (start + end)[:, :2], 0.5 * along.norm(dim=1) + half_width + 2 * BLUR_PX
        index = self._window(centre, reach, present)
        if index is None:
            return
        rows, columns = index
        x = (columns + 0.5 - start[:, 0, None])[:, None, :]
        y = (rows + 0.5 - start[:, 1, None])[:, :, None]
        dx, dy = along[:, 0, None, None], along[:, 1, None, None]
        length = torch.hypot(dx, dy).clamp_min(1e-9)
        share = ((x * dx + y * dy) / length**2).clamp(0, 1)
        distance = torch.hypot(x - share * dx, y - share * dy)
        cosine = (torch.maximum(dx.abs(), dy.abs()) / length).clamp_min(0.5)  # of no length: any
        edge = half_width * (1 - NARROWING * (1 - cosine))
        coverage = torch.special.ndtr((edge - distance) / (BLUR_PX * cosine**2))
        coverage = (255 * coverage).round() / 255  # bytes; so the edge ends within any window
        self._blend(rows, columns, coverage * present[:, None, None], colour)


# Square and back


def frame(height: int, width: int, aspect: tuple[int, int], side: int) -> CropPlan:
    """How a picture becomes a square: the smallest frame of an aspect round it, in its middle, squashed.

    Args:
        height, width: of the picture in pixels.
        aspect: (width, height) of the frame, in any unit.
        side: of the square in pixels.

    Returns:
        The plan of the crop.
    """
    across, down = aspect
    frame_width, frame_height = (
        max(width, round(height * across / down)),
        max(height, round(width * down / across)),
    )
    left, top = (width - frame_width) // 2, (height - frame_height) // 2
    return CropPlan(width, height, Box(left, top, left + frame_width, top + frame_height), side, side)


def squared(images: Tensor, aspect: tuple[int, int], side: int) -> Tensor:
    """Pictures or masks (B,C,H,W) in 0..1 as squares (B,C,side,side), their edges repeated in what is
    outside.
    """
    return crop(images, frame(images.shape[-2], images.shape[-1], aspect, side), "bicubic").clamp(0, 1)


def unsquared(squares: Tensor, aspect: tuple[int, int], height: int, width: int) -> Tensor:
    """The inverse of `squared`, but for what resizing blurs.

    Args:
        squares: (B,3,S,S).
        aspect: (width, height) of the frame that was squashed.
        height, width: of the pictures in pixels.

    Returns:
        Pictures (B,3,height,width).
    """
    plan = frame(height, width, aspect, squares.shape[-1])
    left, top = -int(plan.box.x0), -int(plan.box.y0)
    size = int(plan.box.height), int(plan.box.width)
    kept = slice(top, top + height), slice(left, left + width)
    return resampled(squares, size, kept, "bicubic").clamp(0, 1)


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Pictures (B,C,h,w) in 0..1 at that size, bicubic; untouched at their own."""
    if tuple(images.shape[-2:]) == (height, width):
        return images
    size = (height, width)
    return F.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def pose_images(poses: Sequence[Pose], config: CFLDConfig) -> Tensor:
    """The pose pictures (B,21,P,P) of one person in each pose: the one with the most joints.

    Raises ValueError for a pose without joints, naming the picture.
    """
    bodies = []
    for index, pose in enumerate(poses):
        body = max(
            (person.body for person in pose.people), key=_joints, default=np.zeros((18, 3), np.float32)
        )
        if not _joints(body):
            which = in_picture("pose_keypoint", index, len(poses))
            raise ValueError(
                f"{which} has no joints: connect the pose of a person (Detect Pose, Point Prompt, Example "
                "Person)"
            )
        plan = frame(pose.height, pose.width, config.aspect, config.pose_size)
        bodies.append(torch.from_numpy(points_to_crop(np.asarray(body, np.float32), plan)))
    return pose_image(torch.stack(bodies), config.pose_size)


def _joints(body: np.ndarray) -> int:
    return int((body[:, 2] > 0).sum())


# Together


class Given(NamedTuple):
    """What pictures are made from, all of one batch. source, second: (B,3,H',W') 0..1. mix: 0..1, the second
    one's share. reference (B,3,H,W) and mask (B,1,H,W), 1 where the picture changes: of the poses' size.
    """

    poses: list[Pose]
    source: Tensor
    second: Tensor | None = None
    mix: float | None = None
    reference: Tensor | None = None
    mask: Tensor | None = None


def repose_images(
    model: CFLDModel, given: Given, *, seed: int = 0, on_step: OnStep | None = None, **settings: Any
) -> tuple[Tensor, Tensor]:
    """People in other poses, in pictures of any size.

    Args:
        model: CFLD with a U-Net.
        given: what the pictures are made from, all of one batch of B.
        seed: picture i is made with seed + i.
        on_step: called after every prediction; may raise, which ends the sampling.
        settings: weights, scheduler and steps of `sampling.repose`.

    Returns:
        Pictures (B,3,H,W) in 0..1 of the size of the poses, and the pose pictures (B,21,P,P). With a
            reference, pixels where the mask is 0 are its own, bit for bit.

    Raises:
        ValueError: as `check_given` and `pose_images`.
    """
    check_given(given)
    drawn = pose_images(given.poses, model.networks.config)

    def work(rows: slice, step: OnStep | None) -> tuple[Tensor, ...]:
        cut = {
            name: value[rows] for name, value in given._asdict().items() if isinstance(value, Tensor | list)
        }
        part = given._replace(**cut)  # type: ignore[arg-type]
        return (_repose(model, part, drawn[rows], seed + rows.start, step, settings),)

    (made,) = in_chunks(chunks(len(drawn)), work, on_step)
    return made, drawn


def _repose(
    model: CFLDModel, given: Given, pose: Tensor, seed: int, on_step: OnStep | None, settings: dict[str, Any]
) -> Tensor:
    aspect, kept = model.networks.config.aspect, None
    height, width = given.poses[0].height, given.poses[0].width
    if given.reference is not None and given.mask is not None:
        kept = Kept(*(squared(each, aspect, model.size) for each in (given.reference, given.mask)))
    made = repose(model, looks(model, given), pose, kept=kept, seed=seed, on_step=on_step, **settings).cpu()
    image = unsquared(made, aspect, height, width)
    if given.reference is None or given.mask is None:
        return image
    return composite(given.reference, image, given.mask)


def looks(model: CFLDModel, given: Given) -> Appearance:
    """The appearance of the given sources."""
    config = model.networks.config
    sources = [
        None if each is None else squared(each, config.aspect, config.source_size)
        for each in (given.source, given.second)
    ]
    if sources[0] is None:
        raise ValueError("source is missing: connect the picture of the person")
    return appearance_of(model, sources[0], sources[1], given.mix or 0.0)


def check_given(given: Given) -> None:
    """ValueError, naming the inputs, for a second source without mix or the reverse, a mask without reference
    or the reverse, an empty mask, sizes that do not match, and poses of a size that no picture has.
    """
    check_mix(given.second, given.mix)
    check_kept(given.reference, given.mask, "editing")
    sizes = {(pose.height, pose.width) for pose in given.poses}
    if len(sizes) > 1:
        raise ValueError(
            f"pose_keypoint has pictures of {len(sizes)} sizes: give those of one size at a time"
        )
    ((height, width),) = sizes
    check_canvas(height, width)
    for name, value in (("reference", given.reference), ("mask", given.mask)):
        if value is not None and tuple(value.shape[-2:]) != (height, width):
            raise ValueError(
                f"{name} has {value.shape[-1]} x {value.shape[-2]} pixels but pose_keypoint is of {width} x "
                f"{height}: connect the pose of the person in the reference picture"
            )


def check_mix(second: Tensor | None, mix: float | None) -> None:
    """ValueError for a second source without mix, a mix without second source, and one outside 0..1."""
    if (second is None) != (mix is None):
        missing, there = ("mix", "second_source") if mix is None else ("second_source", "mix")
        raise ValueError(
            f"{there} came without {missing}: to go between two people, connect second_source and set mix "
            "to its share, 0 to 1; otherwise neither (mix -1)"
        )
    if mix is not None and (math.isnan(mix) or not 0.0 <= mix <= 1.0):
        raise ValueError(f"mix is {mix}; it is the share of second_source, 0 to 1")
