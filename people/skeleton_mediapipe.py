"""Hands as public hand ControlNets were trained with: MediaPipe's own drawing of the 21 joints.

controlnet-hands and controlnet-encoded-hands learnt from it. MediaPipe names its colours as blue, green, red;
the training pictures were stored with these numbers as red, green, blue, and so they are here.
"""

from __future__ import annotations

import numpy as np
import torch

from .skeleton_openpose import HAND_EDGE_PX, disc, line

PALM_JOINTS = (0, 1, 5, 9, 13, 17)
PALM_EDGES = ((0, 1), (0, 5), (9, 13), (13, 17), (5, 9), (0, 17))
"""The wrist is joined to thumb, index and little finger alone, and the fingers with one another."""
PALM_JOINT_COLOUR, PALM_EDGE_COLOUR, RIM_COLOUR = (48, 48, 255), (128, 128, 128), (224, 224, 224)
FINGER_COLOURS = ((180, 229, 255), (128, 64, 128), (0, 204, 255), (48, 255, 48), (192, 101, 21))
"""RGB, thumb first."""
JOINT_PX, RIM_PX = 5, 6
"""Radius of a joint, and of the pale disc below it; the same in pictures of any size."""
PALM_EDGE_PX = 2.5
"""Half the thickness of OpenCV's lines of 3 px."""


def draw_mediapipe_hand(joints: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """One hand in each picture, on black.

    Args:
        joints: (B,21,3) x_px, y_px, confidence; of confidence 0 or outside the picture nothing is drawn.
        height, width: of the pictures in pixels.

    Returns:
        (B,3,height,width) float32 in 0..1, on the CPU.
    """
    canvases = np.zeros((len(joints), height, width, 3), np.uint8)
    for canvas, hand in zip(canvases, joints.cpu().numpy(), strict=True):
        _draw(canvas, hand)
    return torch.from_numpy(canvases).permute(0, 3, 1, 2).float() / 255


def _draw(canvas: np.ndarray, hand: np.ndarray) -> None:
    height, width = canvas.shape[:2]
    present = (hand[:, 2] > 0) & (hand[:, :2] >= 0).all(1) & (hand[:, :2] <= (width, height)).all(1)
    places = np.minimum(np.floor(hand[:, :2]), (width - 1, height - 1))
    edges = [(*edge, PALM_EDGE_PX, PALM_EDGE_COLOUR) for edge in PALM_EDGES]
    for finger, colour in enumerate(FINGER_COLOURS):
        first = 1 + 4 * finger
        edges += [(joint, joint + 1, HAND_EDGE_PX, colour) for joint in range(first, first + 3)]
    for start, end, half, colour in edges:
        if present[start] and present[end]:
            line(canvas, places[start], places[end], half, colour)
    for joint in present.nonzero()[0]:
        colour = PALM_JOINT_COLOUR if joint in PALM_JOINTS else FINGER_COLOURS[(joint - 1) // 4]
        disc(canvas, places[joint], RIM_PX, RIM_COLOUR)
        disc(canvas, places[joint], JOINT_PX, colour)
