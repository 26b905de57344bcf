"""Who is told how far a large file has been read; may raise, which ends the reading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Each = TypeVar("Each")
OnRead = Callable[[int, int], None]
"""(tensors that are done, tensors in all)"""
FEW = 50
"""Files of fewer tensors are read in no time."""
_listener: ContextVar[OnRead | None] = ContextVar("figura_reading", default=None)


@contextmanager
def listening(listener: OnRead) -> Iterator[None]:
    """Inside, `listener` is told of the tensors of every file that is read."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def told(tensors: Collection[Each]) -> Iterator[Each]:
    """The tensors, or their names, one after the other; the listener is told of each that was dealt with."""
    listener, count = _listener.get(), len(tensors)
    for number, each in enumerate(tensors):
        yield each
        if listener is not None and count > FEW:
            listener(number + 1, count)
