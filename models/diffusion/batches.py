"""Large batches in parts, with one count of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .sampling import OnStep

IMAGES_AT_ONCE = 8

Rows = TypeVar("Rows", slice, list[int])


def chunks(count: int) -> list[slice]:
    """Slices of at most PICTURES_AT_ONCE."""
    starts = range(0, count, IMAGES_AT_ONCE)
    return [slice(start, min(start + IMAGES_AT_ONCE, count)) for start in starts]


def in_chunks(
    parts: Sequence[Rows], work: Callable[[Rows, OnStep | None], tuple[Tensor, ...]], on_step: OnStep | None
) -> tuple[Tensor, ...]:
    """work(rows, on_step) for every chunk, joined; on_step counts the steps of all chunks."""
    results = [work(rows, _counted(on_step, number, len(parts))) for number, rows in enumerate(parts)]
    return tuple(torch.cat(column) for column in zip(*results, strict=True))


def _counted(on_step: OnStep | None, chunk: int, count: int) -> OnStep | None:
    if on_step is None:
        return None
    return lambda done, total, clean: on_step(chunk * total + done, count * total, clean)
