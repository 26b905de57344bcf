"""Axis-aligned boxes in continuous pixel coordinates: pixel i covers [i, i + 1)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch


class Box(NamedTuple):
    """A box from (x0, y0) to (x1, y1) in pixels; it is empty when it has no area.

    >>> Box(0, 0, 4, 3).intersect(Box(2, 1, 9, 9))
    Box(x0=2, y0=1, x1=4, y1=3)
    >>> Box(1.5, 2.5, 3.0, 3.2).outward()
    Box(x0=1, y0=2, x1=3, y1=4)
    """

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return max(self.x1 - self.x0, 0.0)

    @property
    def height(self) -> float:
        return max(self.y1 - self.y0, 0.0)

    @property
    def centre(self) -> tuple[float, float]:
        return 0.5 * (self.x0 + self.x1), 0.5 * (self.y0 + self.y1)

    @property
    def is_empty(self) -> bool:
        return self.width <= 0 or self.height <= 0

    def with_area(self) -> Box:
        """The box, at least a pixel wide and high where it was a point or a line; EMPTY stays."""
        if self == EMPTY:
            return self
        return Box(self.x0, self.y0, max(self.x1, self.x0 + 1), max(self.y1, self.y0 + 1))

    def union(self, other: Box) -> Box:
        """The smallest box that holds both; an empty box adds nothing."""
        if other.is_empty:
            return self
        if self.is_empty:
            return other
        low, high = map(min, self[:2], other[:2]), map(max, self[2:], other[2:])
        return Box(*low, *high)

    def intersect(self, other: Box) -> Box:
        """The common part, EMPTY when there is none."""
        low, high = map(max, self[:2], other[:2]), map(min, self[2:], other[2:])
        common = Box(*low, *high)
        return EMPTY if common.is_empty else common

    def clip(self, height: int, width: int) -> Box:
        """The part inside a picture of height x width pixels."""
        return self.intersect(Box(0.0, 0.0, float(width), float(height)))

    def expand(self, distance_px: float) -> Box:
        """The box with every side moved outward by `distance_px`."""
        return Box(self.x0 - distance_px, self.y0 - distance_px, self.x1 + distance_px, self.y1 + distance_px)

    def scaled(self, scale_x: float, scale_y: float) -> Box:
        """The box in a picture whose sides are multiplied by the two factors."""
        return Box(self.x0 * scale_x, self.y0 * scale_y, self.x1 * scale_x, self.y1 * scale_y)

    def shifted(self, dx: float, dy: float) -> Box:
        """The box moved by (dx, dy)."""
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def outward(self) -> Box:
        """The smallest box of whole pixels that holds this one; the numbers are ints."""
        return Box(math.floor(self.x0), math.floor(self.y0), math.ceil(self.x1), math.ceil(self.y1))

    def contains(self, x: float, y: float) -> bool:
        return self.x0 <= x <= self.x1 and self.y0 <= y <= self.y1

    @staticmethod
    def around_points(points: np.ndarray) -> Box:
        """The box around points (n, 2), or (n, 3) with a confidence; those of confidence <= 0 are left out.

        A single point gives a box without area; no point gives EMPTY.

        >>> Box.around_points(np.array([[4.0, 1.0, 0.9], [2.0, 7.0, 0.8], [99.0, 99.0, 0.0]]))
        Box(x0=2.0, y0=1.0, x1=4.0, y1=7.0)
        """
        points = np.asarray(points, dtype=np.float64)
        if points.shape[1] == 3:
            points = points[points[:, 2] > 0, :2]
        if len(points) == 0:
            return EMPTY
        return Box(*points.min(axis=0).tolist(), *points.max(axis=0).tolist())

    @staticmethod
    def around_mask(mask: torch.Tensor, threshold: float = 0.5) -> Box:
        """The box around the pixels of mask (H, W) at or above the threshold, EMPTY when there are none."""
        inside = mask >= threshold
        columns, rows = inside.any(0).nonzero(), inside.any(1).nonzero()
        if len(columns) == 0:
            return EMPTY
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        return Box(float(x0), float(y0), float(x1), float(y1))


EMPTY = Box(0.0, 0.0, 0.0, 0.0)
