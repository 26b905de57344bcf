"""The canvas of the second stage: hands cut out and laid where the bodies' skeletons want them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...people.hands import FEWEST_JOINTS, Hand, Similarity, fit_similarity
from ...people.naming import in_picture

GREY = 0.5
BACKGROUNDS = {"grey": GREY, "black": 0.0, "white": 1.0}
LARGEST_SCALE = 1.0
SCALE_TOLERANCE = 1e-3
# Along one side of a pixel of the canvas; a hand that shrinks even more is smaller than a pixel anyway.
SAMPLES_AT_MOST = 64


@dataclass(frozen=True, eq=False)
class Placement:
    """Where one hand belongs. image: the body's picture, from 0. close_up, target: the hand's joints in
    the pixels of its close-up and of the body's picture. count: how many pictures there are, for messages.
    """

    image: int
    close_up: Hand
    target: Hand
    count: int = 1

    @property
    def name(self) -> str:
        """How errors name the hand."""
        return in_picture(f"the {self.target.side} hand", self.image, self.count)


def make_canvas(
    images: Tensor,
    masks: Tensor,
    placements: Sequence[Placement],
    count: int,
    height: int,
    width: int,
    background: float = GREY,
) -> tuple[Tensor, Tensor]:
    """The canvases I_c: hands in their places on a plain background.

    A hand may reach out of the picture as long as at least 3 of its joints lie inside.

    Args:
        images: hand close-ups (n,3,h,w) in 0..1.
        masks: (n,1,h,w), the hand is where they are above 0.5.
        placements: one for each close-up; of overlapping hands the later one lies in front.
        count: how many canvases.
        height, width: of a canvas in pixels.
        background: 0..1, the one brightness of everything else.

    Returns:
        Canvases (count,3,height,width) in 0..1, and the masks of what is known on them,
        (count,1,height,width): the share of each pixel that hands cover.

    Raises:
        ValueError: naming the hand, for an empty or full mask, fewer than 3 joints present in both frames, a
            hand that would be enlarged, and one outside the picture.
    """
    if not len(images) == len(masks) == len(placements):
        raise ValueError(
            f"{len(images)} hand pictures, {len(masks)} masks and {len(placements)} places came: one "
            "of each is needed for every hand"
        )
    canvas = images.new_full((count, 3, height, width), background)
    known = images.new_zeros(count, 1, height, width)
    for image, mask, placement in zip(images, masks, placements):
        cutout = _cut_out(image, mask, placement)
        _lay(cutout, alignment(placement, height, width), canvas[placement.image], known[placement.image])
    return canvas, known


def alignment(placement: Placement, height: int, width: int) -> Similarity:
    """The similarity from the close-up to the body's picture of height x width pixels, by the joints that are
    present in both. Raises ValueError as `make_canvas` does.
    """
    shared = placement.close_up.present & placement.target.present
    if shared.sum() < FEWEST_JOINTS:
        raise ValueError(
            f"{placement.name} shares {int(shared.sum())} joints with its close-up; at least {FEWEST_JOINTS} "
            "are needed. Add joints to that hand in pose_keypoint."
        )
    _check_inside(placement, height, width)
    source, target = placement.close_up.joints[shared, :2], placement.target.joints[shared, :2]
    try:
        similarity = fit_similarity(source, target)
    except ValueError as error:
        raise ValueError(f"{placement.name} cannot be aligned with its close-up: {error}") from error
    if similarity.scale > LARGEST_SCALE + SCALE_TOLERANCE:
        raise ValueError(
            f"{placement.name} would be enlarged {similarity.scale:.2f} times: make the hand's close-up "
            "larger or the body's picture smaller."
        )
    return similarity


def _check_inside(placement: Placement, height: int, width: int) -> None:
    inside = placement.target.inside(height, width)
    if inside.sum() < FEWEST_JOINTS:
        raise ValueError(
            f"{placement.name} lies outside: {int(inside.sum())} of its joints are inside the picture of "
            f"{width} x {height} pixels, at least {FEWEST_JOINTS} are needed. Move the hand in "
            "pose_keypoint, or leave it out."
        )


def _cut_out(image: Tensor, mask: Tensor, placement: Placement) -> Tensor:
    """(4,h,w): colours multiplied by the hard mask, and the mask. So nothing of the background mixes in."""
    hand = (mask > 0.5).to(image.dtype)
    if not bool(hand.any()):
        raise ValueError(
            f"the mask of {placement.name} is empty. Lower the threshold, or draw the hand again."
        )
    if bool(hand.all()):
        raise ValueError(
            f"the mask of {placement.name} covers its whole close-up, so its background cannot be removed. "
            "Raise the threshold, or draw the hand again."
        )
    return torch.cat([image * hand, hand])


def _lay(cutout: Tensor, similarity: Similarity, canvas: Tensor, known: Tensor) -> None:
    """Put a cut-out hand onto canvas (3,H,W) and known (1,H,W), in place."""
    left, top, right, bottom = _reach(cutout, similarity, canvas)
    if left >= right or top >= bottom:
        return
    warped = _warped(cutout, similarity, (left, top, right, bottom))
    colours, covered = warped[:3], warped[3:]
    part, known_part = canvas[:, top:bottom, left:right], known[:, top:bottom, left:right]
    # A pixel that the hand covers by half or more shows the hand alone: what is pasted later by the mask
    # brings no background with it. Below that it fades into the background.
    colours = colours / covered.clamp_min(1e-6)
    part.copy_(torch.lerp(part, colours.clamp(0, 1), (2 * covered).clamp(0, 1)))
    known_part.copy_(covered + known_part * (1 - covered))


def _reach(cutout: Tensor, similarity: Similarity, canvas: Tensor) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the canvas's part that the cut-out can reach, in whole pixels."""
    rows, columns = cutout[3].any(1).nonzero(), cutout[3].any(0).nonzero()
    x, y = (int(columns[0]), int(columns[-1]) + 1), (int(rows[0]), int(rows[-1]) + 1)
    corners = similarity.apply(np.array([(u, v) for u in x for v in y]))
    height, width = canvas.shape[-2:]
    low, high = corners.min(axis=0) - 1, corners.max(axis=0) + 1
    return (
        max(math.floor(low[0]), 0),
        max(math.floor(low[1]), 0),
        min(math.ceil(high[0]), width),
        min(math.ceil(high[1]), height),
    )


def _warped(cutout: Tensor, similarity: Similarity, box: tuple[int, int, int, int]) -> Tensor:
    """The part `box` of the canvas as the cut-out's picture fills it, (4, bottom-top, right-left).

    Every pixel is the mean of n x n bilinear samples, n the number of close-up pixels that it spans: the area
    it covers, so that thin fingers do not break when the hand shrinks.
    """
    left, top, right, bottom = box
    samples = min(math.ceil(1 / similarity.scale - SCALE_TOLERANCE), SAMPLES_AT_MOST)
    x = left + (torch.arange((right - left) * samples, dtype=torch.float64) + 0.5) / samples
    y = top + (torch.arange((bottom - top) * samples, dtype=torch.float64) + 0.5) / samples
    back = similarity.inverse()
    (a, b), (c, d) = back.matrix
    height, width = cutout.shape[-2:]
    u = (a * x[None, :] + b * y[:, None] + back.shift_px[0]) * (2 / width) - 1
    v = (c * x[None, :] + d * y[:, None] + back.shift_px[1]) * (2 / height) - 1
    grid = torch.stack([u, v], dim=-1)[None].to(cutout)
    sampled = F.grid_sample(cutout[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return F.avg_pool2d(sampled, samples)[0].clamp_min(0)
