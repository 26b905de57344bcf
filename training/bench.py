"""Speed measurements behind `figura bench`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .report_json import report

BATCH = 16
REPEATS = 7
SIZE = 128
FIRST_SEED = 10_000_000


def bench_synth(repeats: int = REPEATS, batch: int = BATCH, size: int = SIZE) -> dict[str, Any]:
    """Synthetic people a second on one thread: pictures with all ground truth, `size` pixels square.

    The median of several batches, and the slowest and the fastest of them; the first batch is not counted.
    """
    from ..people.synthetic import render_people

    with one_thread():
        render_people(range(FIRST_SEED, FIRST_SEED + batch), size=size)
        rates = []
        for number in range(1, repeats + 1):
            first = FIRST_SEED + number * batch
            started = time.perf_counter()
            render_people(range(first, first + batch), size=size)
            rates.append(batch / (time.perf_counter() - started))
    figures = {
        "images_per_second": statistics.median(rates),
        "images_per_second.slowest": min(rates),
        "images_per_second.fastest": max(rates),
        "repeats": repeats,
        "size_px": size,
    }
    return report("synth", repeats * batch, FIRST_SEED, "cpu", 1, figures)


@contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute on one thread inside the block."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
