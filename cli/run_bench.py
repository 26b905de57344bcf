"""`figura bench start`, `again` and `ray`: whole graphs, from the first picture to many at once."""

from __future__ import annotations

import copy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..headless.graph import Graph, load_graph
from ..headless.jobs import Job, make_jobs
from ..headless.shipped import find_workflow

PACKAGE = __name__.split(".", maxsplit=1)[0]
PHOTO, SEEDLESS = "phac_photo", "FiguraExamplePerson"


def graph_of(name: str) -> Graph:
    """A shipped graph with the paths of the pictures that come with the pack."""
    (job,) = make_jobs(load_graph(find_workflow(name)), [], [])
    return job.graph


def with_seed(graph: Graph, more: int) -> Graph:
    """The graph with other seeds, but the same person where it draws one."""
    graph = copy.deepcopy(graph)
    for node in graph.values():
        if isinstance(node["inputs"].get("seed"), int) and node["class_type"] != SEEDLESS:
            node["inputs"]["seed"] += more
    return graph


def bench_again(workflow: str = PHOTO, rounds: int = 3) -> dict[str, Any]:
    """Time of a second picture with another seed over that of the first, in one runner, on one thread.

    Each round in a process of its own. The first picture reads weights and imports what nodes need; `warm`
    is the first picture of another runner in the same process, which reads the weights again.

    Args:
        workflow: name of a shipped one.
        rounds: that are counted.
    """
    from ..training.reports.document import report

    code = f"from {__name__} import print_times; print_times({workflow!r})"
    found = [[float(word) for word in _output_of(code)] for _ in range(rounds)]
    first, second, warm = (list(column) for column in zip(*found, strict=True))
    figures = {
        f"time_ratio.{workflow}.second": statistics.median(b / a for a, b in zip(first, second, strict=True)),
        f"time_ratio.{workflow}.second_of_warm": statistics.median(
            b / a for a, b in zip(warm, second, strict=True)
        ),
        "rounds": rounds,
    }
    figures |= {
        f"seconds.{name}": statistics.median(each)
        for name, each in (("first", first), ("second", second), ("warm", warm))
    }
    return report("again", rounds, 0, "cpu", 1, figures)


def print_times(workflow: str) -> None:
    """Seconds of the first picture, of one with another seed, and of the first of another runner."""
    from ..headless.runner import Runner
    from ..host.plain import PlainHost
    from ..training.bench.threads import one_thread

    graph, times = graph_of(workflow), []
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        runners = [Runner(PlainHost(Path("."), folder, device="cpu")) for _ in range(2)]
        for runner, more in ((runners[0], 0), (runners[0], 1), (runners[1], 2)):
            started = time.thread_time()
            runner.run(with_seed(graph, more))
            times.append(time.thread_time() - started)
    sys.stdout.write(f"{' '.join(map(str, times))}\n")


IMPORTS = "import torch{}; import resource; used = resource.getrusage(resource.RUSAGE_SELF); "
IMPORTS += "print(used.ru_utime + used.ru_stime)"


def bench_start(rounds: int = 3) -> dict[str, Any]:
    """Seconds of the processor that the pack's import costs beyond torch's, and the first picture.

    Each in a process of its own; minima, which other programs disturb least.
    """
    from ..training.reports.document import report

    code = {
        "torch": IMPORTS.format(""),
        "pack": IMPORTS.format(f", {PACKAGE}; {PACKAGE}.NODE_CLASS_MAPPINGS"),
    }
    times: dict[str, list[float]] = {"torch": [], "pack": [], "first_picture": []}
    with tempfile.TemporaryDirectory() as folder:
        picture = (
            f"from {PACKAGE}.cli.main import main; main(['run', '{PHOTO}', '--output', {folder!r}, "
            "'--device', 'cpu']); " + IMPORTS.format("")
        )
        for _ in range(rounds):
            for name, words in (*code.items(), ("first_picture", picture)):
                times[name].append(float(_output_of(words)[-1]))
    figures = {f"seconds.{name}": min(each) for name, each in times.items()}
    figures |= {
        "import_seconds_beyond_torch": figures["seconds.pack"] - figures["seconds.torch"], "rounds": rounds,
    }  # fmt: skip
    return report("start", rounds, 0, "cpu", 1, figures)


def _output_of(code: str) -> list[str]:
    """The words of the last line that a program prints."""
    place = Path(__file__).resolve().parents[2]
    paths = f"import sys; sys.path[:0] = {[*sys.path, str(place)]!r}; "
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", paths + code], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the program failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.splitlines()[-1].split()


def bench_ray(pictures: int = 16, rounds: int = 1, workflow: str = PHOTO) -> dict[str, Any]:
    """Pictures a second on Ray with one and with two workers of one CPU each; two cores have to be free.

    A Ray of its own on this machine. Each worker draws one picture first, which loads the models.

    Args:
        pictures: that are counted in each round.
        rounds: with one worker and with two, in turns.
        workflow: name of a shipped one.
    """
    from ..training.reports.document import report

    graph = graph_of(workflow)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, each in rates.items():
            each.append(pictures_a_second(graph, pictures, workers))
    figures = {
        "rate_ratio.two_workers": statistics.median(b / a for a, b in zip(*rates.values(), strict=True)),
        "pictures_per_second.1": statistics.median(rates[1]),
        "pictures_per_second.2": statistics.median(rates[2]),
        "pictures": pictures, "rounds": rounds,
    }  # fmt: skip
    return report("ray", rounds * pictures * 2, 0, "cpu", 1, figures)


def pictures_a_second(graph: Graph, pictures: int, workers: int) -> float:
    """Of that many runs with other seeds, after each worker has drawn its first one."""
    from ..headless.on_ray import run_on_ray
    from ..models.cluster import Cluster

    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(str(number), with_seed(graph, number)) for number in range(pictures + 2 * workers)]
        for result in run_on_ray(jobs, Path(folder), Cluster(workers=workers), lambda *step: None):
            if result.error is not None:
                raise result.error
            ends.append(time.perf_counter())
    # As many before the first as after the last: at both ends a worker may be alone.
    return pictures / (ends[workers + pictures - 1] - ends[workers - 1])


RUN_BENCHES: dict[str, Callable[..., dict[str, Any]]] = {
    "start": bench_start, "again": bench_again, "ray": bench_ray,
}  # fmt: skip
