"""Speed measurements behind `figura bench`."""

from __future__ import annotations

import time
from typing import Any

from .report_json import report

BATCH = 16
SECONDS = 8.0
SIZE = 128
FIRST_SEED = 10_000_000


def bench_synth(seconds: float = SECONDS, batch: int = BATCH, size: int = SIZE) -> dict[str, Any]:
    """Synthetic people a second on one thread: images with all ground truth, `size` pixels square."""
    import torch

    from ..people.synthetic import render_people

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        render_people(range(FIRST_SEED, FIRST_SEED + batch), size=size)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            first = FIRST_SEED + batch + count
            render_people(range(first, first + batch), size=size)
            count += batch
        rate = count / (time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return report("synth", count, FIRST_SEED, "cpu", 1, {"images_per_second": rate, "size_px": size})
