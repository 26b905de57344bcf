"""Which pixels a slanted line can reach, so that long lines are drawn without the square round them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

BAND_PX = 64
"""Rows of one band."""
SMALL_PX = 1 << 14
"""A window of no more pixels is drawn at once."""


class Window(NamedTuple):
    """Pixels of a picture: rows top to bottom - 1, columns left to right - 1."""

    top: int
    bottom: int
    left: int
    right: int


def bands_along(
    start: tuple[float, float], end: tuple[float, float], reach: float, window: Window
) -> Iterator[Window]:
    """Parts of a window that hold every pixel of it within `reach` of a line; no pixel is in two of them.

    Args:
        start, end: of the line, x_px, y_px.
        reach: in pixels, measured from anywhere in a pixel.
        window: where to look.
    """
    (x0, y0), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    if window.top >= window.bottom or window.left >= window.right:
        return
    small = (window.bottom - window.top) * (window.right - window.left) <= SMALL_PX
    if small or not math.isfinite(x0 + y0 + dx + dy + reach):
        yield window
        return
    around = reach + 1
    for top in range(window.top, window.bottom, BAND_PX):
        bottom = min(top + BAND_PX, window.bottom)
        shares = _shares(y0, dy, top - around, bottom + around)
        if shares is None:
            continue
        xs = [x0 + share * dx for share in shares]
        left = max(math.floor(min(xs) - around), window.left)
        right = min(math.ceil(max(xs) + around), window.right)
        if left < right:
            yield Window(top, bottom, left, right)


def _shares(y0: float, dy: float, low: float, high: float) -> tuple[float, float] | None:
    """Between which shares of its length the line from y0 to y0 + dy lies in [low, high]; or None."""
    if max(y0, y0 + dy) < low or min(y0, y0 + dy) > high:
        return None
    if dy == 0:
        return 0.0, 1.0
    first, last = sorted(((low - y0) / dy, (high - y0) / dy))
    return max(first, 0.0), min(last, 1.0)
