"""Prompt pictures for public ControlNets, against OpenCV drawing them by controlnet_aux's rules."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
import torch
from figura.people.keypoints import HAND_EDGES, LIMBS
from figura.people.skeleton import PALETTE_18, draw_skeleton
from figura.people.skeleton_openpose import bold_half_width, draw_openpose, half_width

DIFFERENT, AT_MOST = 8, 0.01
"""As in docs/parity.md: a pixel differs when a channel is off by more than 8 of 255."""
SIZES = [(512, 512), (768, 512), (256, 256)]


def somebody(height: int, width: int, seed: int) -> np.ndarray:
    """Eighteen joints, a few of them missing, with limbs of a person's lengths."""
    drawn = np.random.default_rng(seed)
    joints = np.ones((18, 3), np.float32)
    joints[1, :2] = width / 2, height / 3
    for start, end in LIMBS:
        joints[end, :2] = joints[start, :2] + drawn.normal(0, min(height, width) / 10, 2)
    joints[drawn.random(18) < 0.1, 2] = 0
    return joints


def by_opencv(
    joints: np.ndarray, height: int, width: int, onto: np.ndarray | None = None, half: int = 4
) -> np.ndarray:
    """Polygons of ellipses of whole pixels and degrees, half as thick as 4 px; discs of 4 px on top."""
    cv2 = pytest.importorskip("cv2")
    canvas = np.zeros((height, width, 3), np.uint8) if onto is None else onto
    for colour, (first, second) in zip(PALETTE_18, LIMBS, strict=False):
        (x0, y0, known), (x1, y1, also) = joints[first].astype(float), joints[second].astype(float)
        if not (known and also):
            continue
        axes = int(math.hypot(x0 - x1, y0 - y1) / 2), half
        centre = int((x0 + x1) / 2), int((y0 + y1) / 2)
        turned = int(math.degrees(math.atan2(y0 - y1, x0 - x1)))
        outline = cv2.ellipse2Poly(centre, axes, turned, 0, 360, 1)
        cv2.fillConvexPoly(canvas, outline, [int(0.6 * value) for value in colour])
    for colour, (x, y, known) in zip(PALETTE_18, joints, strict=True):
        if known:
            cv2.circle(canvas, (int(x), int(y)), half, colour, -1)
    return canvas


def as_bytes(image: torch.Tensor) -> np.ndarray:
    return (image[0].permute(1, 2, 0) * 255).round().numpy().astype(int)


def share_of_different(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float((np.abs(ours - theirs.astype(int)).max(-1) > DIFFERENT).mean())


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_bodies_are_controlnet_auxs(height: int, width: int) -> None:
    ours, smooth, ink = [], [], []
    for seed in range(5):
        joints = somebody(height, width, seed)
        theirs, given = by_opencv(joints, height, width), torch.from_numpy(joints)[None]
        drawn = as_bytes(draw_openpose(given, height, width))
        ours.append(share_of_different(drawn, theirs))
        smooth.append(share_of_different(as_bytes(draw_skeleton(given, height, width)), theirs))
        ink.append((drawn.max(-1) > 0).sum() / (theirs.max(-1) > 0).sum())
    assert max(ours) <= AT_MOST and np.mean(ours) < np.mean(smooth) / 3
    assert np.mean(ink) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(("side", "ratio"), [(499, 1), (512, 2), (999, 2), (1000, 3), (1024, 3)])
def test_bold_bodies_are_those_that_sdxls_pose_controlnet_learnt(side: int, ratio: int) -> None:
    """As its author draws: by the longer side, times 1 below 500 px, 2 below 1000 and so on, at most 7."""
    joints = somebody(side, side // 2, 3)
    theirs = by_opencv(joints, side, side // 2, half=4 * ratio)
    ours = as_bytes(draw_openpose(torch.from_numpy(joints)[None], side, side // 2, bold=True))
    assert share_of_different(ours, theirs) <= AT_MOST
    assert (ours.max(-1) > 0).sum() == pytest.approx((theirs.max(-1) > 0).sum(), rel=0.04)
    assert [bold_half_width(1, longer) for longer in (1999, 2000, 4999, 5000, 9000)] == [12, 16, 24, 28, 28]


def hand_by_opencv(spots: np.ndarray, theirs: np.ndarray) -> None:
    """Lines of 2 px in the colours of a circle, and blue discs of 4 px on top, drawn onto a picture."""
    cv2 = pytest.importorskip("cv2")
    for number, (first, second) in enumerate(HAND_EDGES):
        colour = [255 * value for value in colorsys.hsv_to_rgb(number / len(HAND_EDGES), 1, 1)]
        ends = [tuple(int(value) for value in spots[end]) for end in (first, second)]
        cv2.line(theirs, *ends, colour, thickness=2)
    for spot in spots:
        cv2.circle(theirs, tuple(int(value) for value in spot), 4, (0, 0, 255), -1)


def test_hands_are_controlnet_auxs() -> None:
    spots = np.random.default_rng(0).uniform(200, 300, (21, 2)).astype(np.float32)
    theirs = np.zeros((512, 512, 3), np.uint8)
    hand_by_opencv(spots, theirs)
    hands = torch.zeros(1, 2, 21, 3)
    hands[0, 1] = torch.cat([torch.from_numpy(spots), torch.ones(21, 1)], dim=1)
    ours = as_bytes(draw_openpose(torch.zeros(1, 18, 3), 512, 512, hands))
    assert share_of_different(ours, theirs) <= AT_MOST / 5


def test_two_people_with_hands_are_controlnet_auxs() -> None:
    """As Body Outpaint draws them: each with both hands, the second over the first."""
    ours, theirs = torch.zeros(1, 3, 512, 512), np.zeros((512, 512, 3), np.uint8)
    for seed in range(2):
        joints = somebody(512, 512, seed)
        spots = np.random.default_rng(seed).uniform(100, 400, (2, 21, 2)).astype(np.float32)
        by_opencv(joints, 512, 512, onto=theirs)
        for hand in spots:
            hand_by_opencv(hand, theirs)
        hands = torch.cat([torch.from_numpy(spots), torch.ones(2, 21, 1)], dim=2)[None]
        ours = draw_openpose(torch.from_numpy(joints)[None], 512, 512, hands, onto=ours)
    assert share_of_different(as_bytes(ours), theirs) <= AT_MOST


def test_a_joint_is_a_disc_of_whole_pixels() -> None:
    joints = torch.zeros(1, 18, 3)
    joints[0, 0] = torch.tensor([20.9, 30.2, 1.0])
    image = as_bytes(draw_openpose(joints, 64, 64))
    rows, columns = np.nonzero(image.max(-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (26, 34, 16, 24)
    assert set(map(tuple, image[rows, columns].tolist())) == {PALETTE_18[0]}


def test_joints_outside_the_picture_and_absent_ones_are_no_error() -> None:
    joints = torch.full((2, 18, 3), -500.0)
    joints[1, :, :2] = 2000
    joints[1, :, 2] = 1
    assert not draw_openpose(joints, 64, 48).any()


def test_lines_grow_beyond_512_pixels() -> None:
    assert [half_width(side, side) for side in (128, 512, 768, 1024)] == [4, 4, 6, 8]
