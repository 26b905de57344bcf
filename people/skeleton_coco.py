"""Skeleton pictures in the conventions of HumanSD's released code: COCO-17 joints, 16 limbs, hard edges."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import numpy as np
import torch

from .bands import Window, bands_along
from .keypoints import Person, Pose, coco17_from_body18
from .skeleton import check_canvas

LIMBS_17 = (
    (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7), (6, 8), (7, 9), (8, 10),
    (5, 11), (6, 12), (11, 13), (12, 14), (13, 15), (14, 16),
)  # fmt: skip
"""Ears are joined to shoulders; there is no limb between the shoulders, the hips, or at the neck."""
HUE_OFFSET, LIGHTNESS, SATURATION = 0.01, 0.6, 0.65
THICKNESS = 10
"""Of the lines, in pixels: the released code's, at any size."""
THICKNESS_SIDE = 512
"""Shorter side of its pictures. In smaller ones mini's lines are thinner."""
LEAST_THICKNESS = 4
"""An autoencoder's cells of 8 px lose thinner lines. Reached below a shorter side of 205 px."""
OUTLINE_PX = 0.5
"""OpenCV, which the released code draws with, also fills the pixels that the outline runs through."""
SCORE = 0.05
"""Joints of no higher score are not drawn, as in the released demo."""


def limb_colours() -> list[tuple[int, int, int]]:
    """RGB 0..255 of each limb: 16 equal steps round the hue circle."""
    count = len(LIMBS_17)
    hues = [(limb / count + HUE_OFFSET) % 1.0 for limb in range(count)]
    colours = [colorsys.hls_to_rgb(hue, LIGHTNESS, SATURATION) for hue in hues]
    return [(int(255 * red), int(255 * green), int(255 * blue)) for red, green, blue in colours]


def line_thickness(height: int, width: int) -> int:
    """Of the limbs, in pixels: 10 from a shorter side of 512 px on, below that scaled with it down to 4.

    >>> line_thickness(512, 768), line_thickness(1024, 1024), line_thickness(128, 128)
    (10, 10, 4)
    """
    scaled = round(THICKNESS * min(height, width) / THICKNESS_SIDE)
    return min(max(scaled, LEAST_THICKNESS), THICKNESS)


def draw_coco_pose(pose: Pose, score: float = SCORE, thickness: int | None = None) -> torch.Tensor:
    """Everybody in one picture on black, (3, pose.height, pose.width) float32 in 0..1.

    Limb after limb in the order of `LIMBS_17`, person after person; what comes later covers. A limb is drawn
    when both ends have a confidence above `score`. Edges are hard. Points may lie outside the picture.
    thickness: of the limbs in pixels; None is `line_thickness`.
    """
    check_canvas(pose.height, pose.width)
    canvas = np.zeros((pose.height, pose.width, 3), np.uint8)
    thickness = thickness or line_thickness(pose.height, pose.width)
    for person in pose.people:
        _draw_person(canvas, coco17_from_body18(person.body), thickness, score)
    return torch.from_numpy(canvas).permute(2, 0, 1).float() / 255


def draw_coco_poses(poses: Sequence[Pose], thickness: int | None = None) -> torch.Tensor:
    """Poses of one size as pictures (B,3,H,W), each as `draw_coco_pose`."""
    return torch.stack([draw_coco_pose(pose, thickness=thickness) for pose in poses])


def draw_coco_bodies(bodies: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """One person in each picture: bodies (B,18,3) in OpenPose-18 order -> (B,3,height,width) in 0..1."""
    people = [Person(body) for body in bodies.cpu().numpy()]
    return draw_coco_poses([Pose((person,), width, height) for person in people])


def drawn_limbs(person: Person) -> int:
    """How many limbs of a person are drawn."""
    known = coco17_from_body18(person.body)[:, 2] > SCORE
    return sum(bool(known[start] and known[end]) for start, end in LIMBS_17)


def _draw_person(canvas: np.ndarray, joints: np.ndarray, thickness: int, score: float) -> None:
    for colour, (start, end) in zip(limb_colours(), LIMBS_17, strict=True):
        if joints[start, 2] > score and joints[end, 2] > score:
            _draw_limb(canvas, np.floor(joints[start, :2]), np.floor(joints[end, :2]), thickness, colour)


def _draw_limb(
    canvas: np.ndarray, start: np.ndarray, end: np.ndarray, thickness: int, colour: Sequence[int]
) -> None:
    """Every pixel no farther from the line than half its thickness, outline and round ends included."""
    radius = thickness / 2 + OUTLINE_PX
    height, width = canvas.shape[:2]
    left, top = (max(math.ceil(low - radius), 0) for low in np.minimum(start, end))
    right, bottom = (math.floor(high + radius) + 1 for high in np.maximum(start, end))
    window = Window(top, min(bottom, height), left, min(right, width))
    along = end - start
    for part in bands_along((start[0], start[1]), (end[0], end[1]), radius, window):
        x = np.arange(part.left, part.right)[None, :] - start[0]
        y = np.arange(part.top, part.bottom)[:, None] - start[1]
        share = np.clip((x * along[0] + y * along[1]) / max(float(along @ along), 1e-9), 0, 1)
        distance = (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2
        canvas[part.top : part.bottom, part.left : part.right][distance <= radius**2] = colour
