"""Hands for public hand ControlNets, against OpenCV drawing them by MediaPipe's rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from figura.people.skeleton_mediapipe import draw_mediapipe_hand

PALM = {(0, 1), (0, 5), (9, 13), (13, 17), (5, 9), (0, 17)}
FINGERS = {1: (180, 229, 255), 5: (128, 64, 128), 9: (0, 204, 255), 13: (48, 255, 48), 17: (192, 101, 21)}


def hand(seed: int, size: int) -> np.ndarray:
    """21 joints of an open hand, fingers in all directions from the wrist."""
    drawn = np.random.default_rng(seed)
    joints = np.ones((21, 3), np.float32)
    wrist = np.array([0.5, 0.8]) * size
    joints[0, :2] = wrist
    for finger in range(5):
        angle = math.radians(-150 + 30 * finger) + drawn.normal(0, 0.1)
        away = np.array([math.cos(angle), math.sin(angle)])
        for joint in range(4):
            joints[1 + 4 * finger + joint, :2] = wrist + size * (0.25 + 0.09 * joint) * away
    return joints


def by_opencv(joints: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lines of 3 px in the palm and 2 px in the fingers; discs of 5 px on pale ones of 6 px."""
    cv2 = pytest.importorskip("cv2")
    canvas = np.zeros((height, width, 3), np.uint8)
    spots = {
        index: (min(math.floor(x), width - 1), min(math.floor(y), height - 1))
        for index, (x, y, known) in enumerate(joints)
        if known and 0 <= x <= width and 0 <= y <= height
    }
    edges = {edge: ((128, 128, 128), 3) for edge in sorted(PALM)}
    for first, colour in FINGERS.items():
        edges |= {(joint, joint + 1): (colour, 2) for joint in range(first, first + 3)}
    for (start, end), (colour, thickness) in edges.items():
        if start in spots and end in spots:
            cv2.line(canvas, spots[start], spots[end], colour, thickness)
    for index, spot in spots.items():
        cv2.circle(canvas, spot, 6, (224, 224, 224), -1)
        palm = index == 0 or index in FINGERS
        cv2.circle(canvas, spot, 5, (48, 48, 255) if palm else FINGERS[1 + 4 * ((index - 1) // 4)], -1)
    return canvas


@pytest.mark.parametrize(("height", "width"), [(512, 512), (256, 384)])
def test_hands_are_mediapipes(height: int, width: int) -> None:
    for seed in range(4):
        joints = hand(seed, min(height, width))
        joints[seed + 2, 2] = 0  # and one that nobody found
        drawn = draw_mediapipe_hand(torch.from_numpy(joints)[None], height, width)
        ours = (drawn[0].permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
        theirs = by_opencv(joints, height, width)
        inked = (theirs.max(-1) > 0).sum()
        assert (ours != theirs).any(-1).sum() < 0.08 * inked, "but for the edges of slanting lines"
        assert (ours.max(-1) > 0).sum() == pytest.approx(inked, rel=0.03)


def test_joints_outside_the_picture_are_not_drawn_nor_what_leads_to_them() -> None:
    joints = torch.from_numpy(hand(0, 128))[None].repeat(2, 1, 1)
    joints[0, :, :2] -= 500
    joints[1, 1:, :2] = 200
    drawn = draw_mediapipe_hand(joints, 128, 128)
    assert not drawn[0].any()
    x, y = joints[1, 0, :2].long().tolist()
    assert (drawn[1, :, y, x] * 255).round().tolist() == [48, 48, 255]
    assert int((drawn[1].amax(0) > 0).sum()) == sum(
        i * i + j * j <= 36 for i in range(-6, 7) for j in range(-6, 7)
    )
