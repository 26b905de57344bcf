"""What the command line says: results on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import sys
import threading
from typing import TYPE_CHECKING, TextIO

from ..models.sentences import printable

if TYPE_CHECKING:
    from PIL.Image import Image

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    """What a command is declared in."""

BAR_WIDTH = 24


def say(text: str = "") -> None:
    """One line of result on stdout."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line about a problem on stderr."""
    sys.stderr.write(f"figura: {printable(text)}\n")


def note(text: str) -> None:
    """One line about how things went on stderr."""
    sys.stderr.write(f"{printable(text)}\n")


class ProgressLine:
    """Bars on stderr: one line drawn over on a terminal, one line for each finished bar elsewhere.

    As a context manager it takes an unfinished bar away at the end, so that an error has a line of its own.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._lock = threading.Lock()
        self._width = 0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    def report(self, name: str, done: int, total: int, preview: Image | None = None) -> None:
        """Show that `done` of `total` steps of `name` are finished; preview: how the picture looks by now."""
        with self._lock:
            name = printable(name)
            if self._live:
                self._draw(bar(name, done, total), end="\n" if done >= total else "")
            elif done >= total:
                self._stream.write(f"{name}: {done}/{total}\n")
                self._stream.flush()

    def clear(self) -> None:
        """Take away a bar that is not finished, so that a line can be said in its place."""
        with self._lock:
            if self._width:
                self._stream.write("\r" + " " * self._width + "\r")
                self._stream.flush()
                self._width = 0

    def _draw(self, line: str, end: str) -> None:
        self._stream.write("\r" + line.ljust(self._width) + end)
        self._stream.flush()
        self._width = 0 if end else len(line)


def bar(name: str, done: int, total: int) -> str:
    """'name [#####-----] 5/10'."""
    filled = BAR_WIDTH * max(min(done, total), 0) // max(total, 1)
    return f"{name} [{'#' * filled}{'-' * (BAR_WIDTH - filled)}] {done}/{total}"
