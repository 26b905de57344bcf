"""Skeleton pictures in the look of the OpenPose ControlNets (v1.1), drawn in torch for whole batches."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import torch

from .bands import SMALL_PX, Window, bands_along
from .keypoints import HAND_EDGES, LIMBS, Pose

PALETTE_18 = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
HAND_JOINT_COLOUR = (0, 0, 255)
LIMB_SHADE = 0.6
# Stated for a shorter side of 512 pixels: half the thickness of a limb (and the radius of a joint) in pixels.
RADIUS_AT_512 = 4.0
HAND_EDGE_RADIUS_AT_512 = 1.0
MIN_RADIUS_PX = 1.5
MIN_HAND_RADIUS_PX = 0.5
SHORTEST_LIMB_PX = 1e-3
LARGEST_CANVAS = 64_000_000

Colour: TypeAlias = tuple[float, float, float]


def draw_skeleton(
    joints: torch.Tensor,
    height: int,
    width: int,
    *,
    hands: torch.Tensor | None = None,
    onto: torch.Tensor | None = None,
) -> torch.Tensor:
    """Draw one person per picture.

    Limbs are filled ellipses in 0.6 of the colour, joints discs of the full colour on top. The half-width is
    4 px for a shorter side of 512 px and scales with it, but is never below 1.5 px; edges are antialiased by
    coverage.

    Args:
        joints: (B, 18, 3) x_px, y_px, confidence in OpenPose-18 order; a joint of confidence <= 0 is not
            drawn, and neither is a limb with such an end. Points may lie outside the picture.
        height, width: of the picture in pixels.
        hands: (B, 2, 21, 3), left and right, the same way.
        onto: (B, 3, height, width) to draw on a copy of; None is black.

    Returns:
        (B, 3, height, width) float32 in 0..1, on the joints' device.
    """
    if onto is None:
        onto = torch.zeros(joints.shape[0], 3, height, width, device=joints.device)
    else:
        onto = onto.to(joints.device, torch.float32, copy=True, memory_format=torch.contiguous_format)
    canvas = Canvas(onto)
    _draw_body(canvas, joints.to(torch.float32), line_radius(height, width))
    if hands is not None:
        for side in hands.to(torch.float32).unbind(1):
            _draw_hand(canvas, side, min(height, width) / 512)
    return canvas.pixels


def draw_poses(poses: Sequence[Pose]) -> torch.Tensor:
    """The bodies of everybody in each picture on black, (B, 3, height, width) of the largest canvas of the
    poses.
    """
    height, width = max(pose.height for pose in poses), max(pose.width for pose in poses)
    check_canvas(height, width)
    images = torch.zeros(len(poses), 3, height, width)
    for image, pose in zip(images, poses, strict=True):
        for person in pose.people:
            body = torch.from_numpy(person.body)[None].float()
            _draw_body(Canvas(image[None]), body, line_radius(height, width))
    return images


def check_canvas(height: int, width: int) -> None:
    """ValueError for a size that a pose says, and that no picture has: all its pixels would be made."""
    if height * width > LARGEST_CANVAS:
        raise ValueError(
            f"the pose says that its picture has {width} x {height} pixels, which is more than is drawn "
            f"({LARGEST_CANVAS // 10**6} million): correct canvas_width and canvas_height"
        )


def draw_hand(joints: torch.Tensor, height: int, width: int, thickness: float = 1.0) -> torch.Tensor:
    """Draw one hand per picture on black.

    Args:
        joints: (B, 21, 3) x_px, y_px, confidence; drawn as in `draw_skeleton`.
        height, width: of the picture in pixels.
        thickness: factor on the half-width of edges (1 px for a shorter side of 512 px) and the radius of
            joints (4 px).

    Returns:
        (B, 3, height, width) float32 in 0..1, on the joints' device.
    """
    canvas = Canvas(torch.zeros(joints.shape[0], 3, height, width, device=joints.device))
    _draw_hand(canvas, joints.to(torch.float32), min(height, width) / 512, thickness)
    return canvas.pixels


def line_radius(height: int, width: int) -> float:
    """Half the thickness of the lines of a prompt picture of this size, in pixels."""
    return max(RADIUS_AT_512 * min(height, width) / 512, MIN_RADIUS_PX)


def _draw_body(canvas: Canvas, joints: torch.Tensor, radius: float) -> None:
    for colour, (start, end) in zip(PALETTE_18, LIMBS, strict=False):
        canvas.ellipse(joints[:, start], joints[:, end], radius, _rgb(colour, LIMB_SHADE))
    for index, colour in enumerate(PALETTE_18):
        canvas.disc(joints[:, index], radius, _rgb(colour))


def _draw_hand(canvas: Canvas, hand: torch.Tensor, scale: float, thickness: float = 1.0) -> None:
    edge_radius = thickness * max(HAND_EDGE_RADIUS_AT_512 * scale, MIN_HAND_RADIUS_PX)
    joint_radius = thickness * max(RADIUS_AT_512 * scale, MIN_HAND_RADIUS_PX)
    for number, (start, end) in enumerate(HAND_EDGES):
        colour = colorsys.hsv_to_rgb(number / len(HAND_EDGES), 1.0, 1.0)
        canvas.ellipse(hand[:, start], hand[:, end], edge_radius, colour)
    for index in range(hand.shape[1]):
        canvas.disc(hand[:, index], joint_radius, _rgb(HAND_JOINT_COLOUR))


def _rgb(colour: tuple[int, int, int], shade: float = 1.0) -> Colour:
    red, green, blue = (int(channel * shade) / 255.0 for channel in colour)
    return red, green, blue


class Canvas:
    """Pictures (B, 3, H, W) on which antialiased shapes are painted in place, one shape in each at a time."""

    def __init__(self, pixels: torch.Tensor) -> None:
        self.pixels = pixels

    def disc(self, centre: torch.Tensor, radius: float, colour: Colour) -> None:
        """Paint a disc at centre (B, 3) x_px, y_px, confidence."""
        reach = torch.full_like(centre[:, 0], radius)
        rightwards = torch.tensor([1.0, 0.0], device=centre.device).expand(len(centre), 2)
        self._paint(centre[:, :2], reach, reach, centre[:, 2] > 0, rightwards, colour)

    def ellipse(self, start: torch.Tensor, end: torch.Tensor, half_width: float, colour: Colour) -> None:
        """Paint the ellipse whose long axis runs from start to end.

        Args:
            start, end: (B,3) x_px, y_px, confidence; nothing is painted where one has confidence 0.
            half_width: half its short axis, in pixels.
            colour: of the canvas's pixels.
        """
        along = end[:, :2] - start[:, :2]
        length = along.norm(dim=1)
        present = (start[:, 2] > 0) & (end[:, 2] > 0) & (length > SHORTEST_LIMB_PX)
        half_length = 0.5 * length.clamp_min(2 * half_width)
        direction = along / length.clamp_min(SHORTEST_LIMB_PX)[:, None]
        centre = 0.5 * (start[:, :2] + end[:, :2])
        short = torch.full_like(length, half_width)
        self._paint(centre, half_length, short, present, direction, colour)

    def _paint(
        self,
        centre: torch.Tensor,
        half_length: torch.Tensor,
        half_width: torch.Tensor,
        present: torch.Tensor,
        direction: torch.Tensor,
        colour: Colour,
    ) -> None:
        places = self._window(centre, half_length, present)
        if places is None:
            return
        rows, columns = places
        if rows.shape[1] * columns.shape[1] <= SMALL_PX:
            coverage = _ellipse_coverage(rows, columns, centre, half_length, half_width, direction)
            self._blend(rows, columns, coverage * present[:, None, None], colour)
            return
        for index in present.nonzero().flatten().tolist():
            one = slice(index, index + 1)
            (top, bottom), (left, right) = rows[index, [0, -1]].tolist(), columns[index, [0, -1]].tolist()
            window = Window(top, bottom + 1, left, right + 1)
            ellipse = centre[one], half_length[one], half_width[one], direction[one]
            Canvas(self.pixels[one])._paint_bands(_reached(*ellipse, window), ellipse, colour)

    def _paint_bands(
        self, parts: Iterable[Window], ellipse: tuple[torch.Tensor, ...], colour: Colour
    ) -> None:
        device = self.pixels.device
        for part in parts:
            rows = torch.arange(part.top, part.bottom, device=device)[None]
            columns = torch.arange(part.left, part.right, device=device)[None]
            self._blend(rows, columns, _ellipse_coverage(rows, columns, *ellipse), colour)

    def _blend(
        self, rows: torch.Tensor, columns: torch.Tensor, coverage: torch.Tensor, colour: Colour
    ) -> None:
        batch, channels, _, width = self.pixels.shape
        flat = self.pixels.view(batch, channels, -1)
        index = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, -1).expand(-1, channels, -1)
        paint = torch.tensor(colour, device=flat.device)[None, :, None]
        below = flat.gather(2, index)
        flat.scatter_(2, index, below + coverage.view(batch, 1, -1) * (paint - below))

    def _window(
        self, centre: torch.Tensor, reach: torch.Tensor, present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Rows (B, h) and columns (B, w) of a window per picture, of one common size, that holds its shape.

        None when no shape reaches the picture.
        """
        size = torch.tensor([self.pixels.shape[3], self.pixels.shape[2]], device=centre.device)
        margin = reach[:, None] + 1.0
        low = (centre - margin).floor().clamp_min(0.0).minimum(size)
        high = (centre + margin).ceil().clamp_min(0.0).minimum(size)
        extent = torch.where(present[:, None], high - low, 0.0).amax(0)
        if not bool((extent > 0).all()):
            return None
        start = low.minimum(size - extent).long()
        width, height = extent.int().tolist()
        columns = start[:, 0, None] + torch.arange(width, device=centre.device)
        rows = start[:, 1, None] + torch.arange(height, device=centre.device)
        return rows, columns


def _reached(
    centre: torch.Tensor,
    half_length: torch.Tensor,
    half_width: torch.Tensor,
    direction: torch.Tensor,
    window: Window,
) -> Iterator[Window]:
    """The parts of a window that an ellipse, the only one of its batch, covers by `_ellipse_coverage`."""
    (x, y), (cos, sin) = centre[0].tolist(), direction[0].tolist()
    long, short = float(half_length), float(half_width)
    # The estimated distance is never less than that many half-widths: beyond half a pixel nothing is covered.
    grown = 1 + 0.5 / short
    rounding = 1e-6 * (long + abs(x) + abs(y))
    along = long * grown * cos, long * grown * sin
    ends = (x - along[0], y - along[1]), (x + along[0], y + along[1])
    return bands_along(*ends, short * grown + rounding, window)


def _ellipse_coverage(
    rows: torch.Tensor,
    columns: torch.Tensor,
    centre: torch.Tensor,
    half_length: torch.Tensor,
    half_width: torch.Tensor,
    direction: torch.Tensor,
) -> torch.Tensor:
    """How much of each pixel of rows (B, h) and columns (B, w) an ellipse covers: (B, h, w).

    The signed distance to the edge is taken to first order, f / |grad f| of f = |p / half-axes| - 1, and a
    pixel counts as covered in proportion to that distance over one pixel.
    """
    x = columns + 0.5 - centre[:, 0, None]
    y = rows + 0.5 - centre[:, 1, None]
    cos, sin = direction[:, 0, None], direction[:, 1, None]
    long, short = half_length[:, None], half_width[:, None]
    u = (x * (cos / long))[:, None, :] + (y * (sin / long))[:, :, None]
    v = (y * (cos / short))[:, :, None] - (x * (sin / short))[:, None, :]
    radius = torch.sqrt(u * u + v * v)
    slope = torch.sqrt((u / half_length[:, None, None]) ** 2 + (v / half_width[:, None, None]) ** 2)
    # At the very centre both vanish; there the distance to the edge is the half-width.
    scale = (radius + 1e-6) / (slope + 1e-6 / short[:, :, None])
    distance = (radius - 1.0) * scale
    return (0.5 - distance).clamp_(0.0, 1.0)
