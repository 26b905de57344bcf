"""Skeleton pictures as public OpenPose ControlNets were trained with: hard edges on whole pixels.

The look of controlnet_aux's drawing: limbs are ellipses of whole pixels and whole degrees in 0.6 of their
colour, joints discs of the full colour. Mini was trained with the smooth edges of skeleton.py instead.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterator

import numpy as np
import torch

from .bands import Window, bands_along
from .keypoints import HAND_EDGES, LIMBS
from .skeleton import HAND_JOINT_COLOUR, LIMB_SHADE, PALETTE_18

HALF_WIDTH_PX, SIDE_PX = 4, 512
"""Half the thickness of limbs and the radius of joints, up to a shorter side of 512 pixels; scaled beyond."""
HAND_EDGE_PX = 1.45
EDGE_PX = 0.5
"""OpenCV fills the pixels, too, that an outline runs through."""


def draw_openpose(
    joints: torch.Tensor,
    height: int,
    width: int,
    hands: torch.Tensor | None = None,
    onto: torch.Tensor | None = None,
    bold: bool = False,
) -> torch.Tensor:
    """One person in each picture.

    Args:
        joints: (B,18,3) x_px, y_px, confidence in OpenPose-18 order; nothing is drawn of confidence <= 0.
        height, width: of the pictures in pixels.
        hands: (B,2,21,3), left and right, the same way.
        onto: drawings (B,3,height,width) of others; None is black.
        bold: bodies as thick as of `bold_half_width`.

    Returns:
        (B,3,height,width) float32 in 0..1, on the CPU.
    """
    canvases = np.zeros((len(joints), height, width, 3), np.uint8)
    if onto is not None:
        canvases[:] = (onto * 255).round().permute(0, 2, 3, 1).cpu().numpy()
    radius = (bold_half_width if bold else half_width)(height, width)
    for index, canvas in enumerate(canvases):
        _draw_body(canvas, joints[index].cpu().numpy(), radius)
        for hand in () if hands is None else hands[index].cpu().numpy():
            _draw_hand(canvas, hand)
    return torch.from_numpy(canvases).permute(0, 3, 1, 2).float() / 255


def half_width(height: int, width: int) -> int:
    """Half the thickness of limbs in a picture of that size, in pixels.

    >>> half_width(512, 768), half_width(256, 256), half_width(1024, 1024)
    (4, 4, 8)
    """
    return max(HALF_WIDTH_PX, round(HALF_WIDTH_PX * min(height, width) / SIDE_PX))


def bold_half_width(height: int, width: int) -> int:
    """The same for SDXL's pose ControlNet, controlnet-openpose-sdxl-1.0, which was trained with thicker limbs
    and larger joints; by steps of the longer side, as its author draws.

    >>> bold_half_width(1024, 1024), bold_half_width(768, 512), bold_half_width(2048, 1024)
    (12, 8, 16)
    """
    longest = max(height, width)
    return HALF_WIDTH_PX * (1 if longest < 500 else min(2 + longest // 1000, 7))


def _draw_body(canvas: np.ndarray, joints: np.ndarray, radius: int) -> None:
    for colour, (start, end) in zip(PALETTE_18, LIMBS, strict=False):
        if joints[start, 2] > 0 and joints[end, 2] > 0:
            shade = tuple(int(channel * LIMB_SHADE) for channel in colour)
            _limb(canvas, joints[start, :2], joints[end, :2], radius, shade)
    for colour, joint in zip(PALETTE_18, joints, strict=True):
        if joint[2] > 0:
            disc(canvas, np.trunc(joint[:2]), radius, colour)


def _draw_hand(canvas: np.ndarray, hand: np.ndarray) -> None:
    scale = half_width(*canvas.shape[:2]) / HALF_WIDTH_PX
    for number, (start, end) in enumerate(HAND_EDGES):
        if hand[start, 2] > 0 and hand[end, 2] > 0:
            hue = colorsys.hsv_to_rgb(number / len(HAND_EDGES), 1.0, 1.0)
            colour = tuple(round(255 * channel) for channel in hue)
            line(canvas, np.trunc(hand[start, :2]), np.trunc(hand[end, :2]), HAND_EDGE_PX * scale, colour)
    for joint in hand:
        if joint[2] > 0:
            disc(canvas, np.trunc(joint[:2]), round(HALF_WIDTH_PX * scale), HAND_JOINT_COLOUR)


def _limb(
    canvas: np.ndarray, start: np.ndarray, end: np.ndarray, radius: int, colour: tuple[int, ...]
) -> None:
    """An ellipse whose axes are whole pixels, at a whole angle, round a whole pixel."""
    centre, along = np.trunc((start + end) / 2), start - end
    half_length = int(math.hypot(*along) / 2)
    angle = math.radians(int(math.degrees(math.atan2(along[1], along[0]))))
    cos, sin = math.cos(angle), math.sin(angle)
    window = _window(canvas, centre, centre, max(half_length, radius) + 1)
    half = (half_length + EDGE_PX) * np.array([cos, sin])
    for part in _bands(centre - half, centre + half, radius + EDGE_PX, window):
        x, y = _places(part, centre)
        u, v = x * cos + y * sin, y * cos - x * sin
        inside = (u / (half_length + EDGE_PX)) ** 2 + (v / (radius + EDGE_PX)) ** 2 <= 1
        canvas[part.top : part.bottom, part.left : part.right][inside] = colour


def disc(canvas: np.ndarray, centre: np.ndarray, radius: int, colour: tuple[int, ...]) -> None:
    """Paint a disc on a canvas (H,W,3) of bytes, in place.

    Args:
        canvas: the picture.
        centre: x and y of a pixel, whole numbers.
        radius: in pixels.
        colour: of the canvas's channels, 0..255.
    """
    window = _window(canvas, centre, centre, radius + 1)
    x, y = _places(window, centre)
    canvas[window.top : window.bottom, window.left : window.right][x**2 + y**2 <= radius**2] = colour


def line(
    canvas: np.ndarray, start: np.ndarray, end: np.ndarray, half: float, colour: tuple[int, ...]
) -> None:
    """Paint a line with round ends on a canvas (H,W,3) of bytes, in place.

    Args:
        canvas: the picture.
        start, end: x and y of pixels, whole numbers.
        half: half its thickness in pixels.
        colour: of the canvas's channels, 0..255.
    """
    along = end - start
    for part in _bands(start, end, half, _window(canvas, start, end, math.ceil(half) + 1)):
        x, y = _places(part, start)
        share = np.clip((x * along[0] + y * along[1]) / max(float(along @ along), 1e-9), 0, 1)
        distance = (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2
        canvas[part.top : part.bottom, part.left : part.right][distance <= half**2] = colour


def _window(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, reach: int) -> Window:
    """The part of the canvas up to `reach` beyond two pixels."""
    height, width = canvas.shape[:2]
    left, top = (max(0, int(low) - reach) for low in np.minimum(start, end))
    right, bottom = (int(high) + reach + 1 for high in np.maximum(start, end))
    return Window(top, max(top, min(bottom, height)), left, max(left, min(right, width)))


def _bands(start: np.ndarray, end: np.ndarray, reach: float, window: Window) -> Iterator[Window]:
    return bands_along((float(start[0]), float(start[1])), (float(end[0]), float(end[1])), reach, window)


def _places(window: Window, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of a window's pixels (1,w) and (h,1), as seen from one."""
    x = np.arange(window.left, window.right)[None, :] - origin[0]
    y = np.arange(window.top, window.bottom)[:, None] - origin[1]
    return x, y
