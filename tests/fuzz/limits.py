"""A time and a size that a call may not pass."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Hangs(BaseException):
    """The call took too long; no `except Exception` catches it."""


@contextmanager
def seconds(limit: int) -> Iterator[None]:
    """Raise Hangs when the block takes longer."""

    def stop(*_: Any) -> None:
        raise Hangs(f"more than {limit} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def memory(more: int) -> Iterator[None]:
    """Let the process ask for `more` bytes beyond what it has (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
