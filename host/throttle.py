"""Keeps previews rare enough for a browser: 800 at full speed froze ComfyUI's page for seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

PREVIEWS_PER_SECOND = 8.0


class Throttle:
    """Says yes at most `rate` times a second."""

    def __init__(
        self, rate: float = PREVIEWS_PER_SECOND, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = 1.0 / rate
        self._clock = clock
        self._next = float("-inf")

    def ready(self) -> bool:
        """True when enough time went by since the last True."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._pause
        return True
