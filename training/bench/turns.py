"""Peers measured in turns, round by round, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Work = Callable[[], object]


def in_turns(works: Mapping[str, Work], rounds: int) -> dict[str, list[float]]:
    """Seconds of the processor of each, by name and round; a first round warms up and is not counted.

    Of this thread: what other programs take does not count, so there has to be one thread (`one_thread`).
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            started = time.thread_time()
            work()
            if number:
                times[name].append(time.thread_time() - started)
    return times


def ratio(times: Mapping[str, list[float]], own: str, of: str) -> float:
    """The median over the rounds of one's time over the other's."""
    return statistics.median(one / other for one, other in zip(times[own], times[of], strict=True))


def seconds(times: Mapping[str, list[float]], suffix: str = "") -> dict[str, float]:
    """Medians, as metrics."""
    return {f"seconds.{name}{suffix}": statistics.median(each) for name, each in times.items()}
