"""What tests have done on Ray; workers import it by its name."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CALLS = []


@contextmanager
def small_ray(cpus: int = 2) -> Iterator[Any]:
    """A Ray of so many CPUs for the tests of a module."""
    import ray

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    ray.init(
        num_cpus=cpus, num_gpus=0, include_dashboard=False, object_store_memory=80 * 2**20,
        log_to_driver=False, logging_level=logging.ERROR,
    )  # fmt: skip
    try:
        yield ray
    finally:
        ray.shutdown()


def square(value: int) -> tuple[int, int, int]:
    """The square, who computed it, and how many it has computed by now."""
    CALLS.append(value)
    return value * value, os.getpid(), len(CALLS)


def root_of(value: int) -> float:
    if value < 0:
        raise ValueError(f"{value} has no root")
    return float(value**0.5)


def note(folder: str, value: int) -> int:
    """Leave a file, take a moment; who did it."""
    Path(folder, f"{value}-{os.getpid()}").touch()
    time.sleep(0.2)
    return os.getpid()


def die_at(value: int) -> int:
    if value == 2:
        os._exit(1)
    return value


class Stillborn:
    """A worker whose process ends before it says a word."""

    def __init__(self) -> None:
        os._exit(1)

    def ready(self) -> None:
        pass


def run_pictures(folder: str | Path) -> None:
    """Run the pictures of a folder, by one worker, so that what is saved has one order."""
    from figura.headless import on_ray
    from figura.headless.jobs import make_jobs
    from figura.models.cluster import Cluster

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    on_ray.run_graph = slow_graph
    load, save = {"image": "x.png"}, {"images": ["1", 0], "filename_prefix": "x"}
    graph = {
        "1": {"class_type": "LoadImage", "inputs": load},
        "2": {"class_type": "SaveImage", "inputs": save},
    }
    jobs = make_jobs(graph, [], [Path(folder) / "pictures"])
    list(on_ray.run_on_ray(jobs, Path(folder) / "out", Cluster(workers=1), lambda *step: None))


def slow_graph(graph: Any, pictures: Any) -> list[tuple[str, str, bytes]]:
    """In place of a run: a file in the folder of the job, after a moment."""
    time.sleep(0.3)
    prefix = graph["2"]["inputs"]["filename_prefix"]
    return [(os.path.dirname(prefix), "made_00001_.txt", prefix.encode())]


def slow_graph_of_whom(graph: Any, pictures: Any) -> list[tuple[str, str, bytes]]:
    """In place of a run: a file that says who made it, after a moment."""
    time.sleep(0.3)
    return [("", "made.txt", str(os.getpid()).encode())]


def sulking(seeds: list[int], size: int) -> Any:
    """Draws no person of the second shard."""
    from figura.tests.training.data.test_people import fake_people
    from figura.training.data.people import SHARD

    if SHARD in seeds:
        raise ValueError("no people today")
    return fake_people(seeds, size)
