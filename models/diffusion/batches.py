"""Large batches in parts, with one count of steps; smaller parts when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from .placement import IMAGES_AT_ONCE, ran_out, said_of_memory
from .sampling import OnStep

log = logging.getLogger(__name__)

Rows = TypeVar("Rows", slice, list[int])
Work = Callable[[Rows, OnStep | None], tuple[Tensor, ...]]


def chunks(count: int, most: int | None = None) -> list[slice]:
    """Slices of at most `most`; None is IMAGES_AT_ONCE."""
    most = most or IMAGES_AT_ONCE
    return [slice(start, min(start + most, count)) for start in range(0, count, most)]


def at_once(model: Any) -> int:
    """How many pictures a model is given at once: as many as its placement finds free memory for."""
    placement = getattr(model, "placement", None)
    return IMAGES_AT_ONCE if placement is None else placement.images_at_once(model.drawing)


def in_chunks(parts: Sequence[Rows], work: Work[Rows], on_step: OnStep | None) -> tuple[Tensor, ...]:
    """work(rows, on_step) for every chunk, joined; on_step counts the steps of all chunks.

    A chunk that memory runs out for is halved, and the log says so; for a single picture torch's
    OutOfMemoryError says what helps.
    """
    results = [
        _halved(work, rows, _counted(on_step, number, len(parts))) for number, rows in enumerate(parts)
    ]
    return tuple(torch.cat(column) for column in zip(*results, strict=True))


def _halved(work: Work[Rows], rows: Rows, on_step: OnStep | None) -> tuple[Tensor, ...]:
    """work(rows), in halves if memory runs out."""
    try:
        return work(rows, on_step)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        if count == 1:
            raise said_of_memory(error) from error
    # Outside of the handler, which holds the frames with all that was made.
    log.warning("memory ran out for %d pictures at once: going on with %d", count, (count + 1) // 2)
    halves = _halves(rows, (count + 1) // 2)
    return in_chunks(halves, work, on_step)


def _halves(rows: Rows, first: int) -> list[Rows]:
    if isinstance(rows, slice):
        return [slice(rows.start, rows.start + first), slice(rows.start + first, rows.stop)]
    return [rows[:first], rows[first:]]


def _counted(on_step: OnStep | None, chunk: int, count: int) -> OnStep | None:
    if on_step is None:
        return None
    return lambda done, total, clean: on_step(chunk * total + done, count * total, clean)
