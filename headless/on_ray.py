"""Graphs on Ray: pictures are read here, graphs run in workers that keep their models, results come back."""

from __future__ import annotations

import copy
import functools
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..host.plain import PlainHost
from ..models.cluster import Cluster, run_on_cluster
from ..models.files import path_inside
from .graph import Graph, output_nodes
from .jobs import Job, JobResult, pictures_of
from .runner import Runner
from .saved import Made, Saved

log = logging.getLogger(__name__)

Report = Callable[[str, int, int], None]


class _Payloads(Sequence[tuple[Any, ...]]):
    """What is sent to a worker for each job, read when its turn comes."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, number: Any) -> Any:
        return payload(self._jobs[number])


def run_on_ray(jobs: Sequence[Job], output: Path, cluster: Cluster, report: Report) -> Iterator[JobResult]:
    """Run the jobs in workers; each result as it comes, first of those that an earlier run has saved.

    Args:
        jobs: their local pictures are read here and sent along.
        output: folder for the files they save.
        cluster: where they run.
        report: is called with what is at work, jobs done, jobs in all.

    Raises ImportError and ConnectionError as `run_on_cluster`.
    """
    saved = Saved(output)
    left = []
    for job in jobs:
        files = saved.files_of(job)
        if files:
            yield JobResult(job, files, earlier=True)
        else:
            left.append(job)
    for done, outcome in enumerate(run_on_cluster(run_graph, _Payloads(left), cluster), start=1):
        job = left[outcome.number]
        report("pictures", done, len(left))
        if outcome.error:
            yield JobResult(job, error=RuntimeError(outcome.error))
        else:
            yield saved.result_of(job, outcome.answer)


def payload(job: Job) -> tuple[Graph, dict[str, bytes]]:
    """A job's graph with its pictures by file name, and the pictures' bytes by that name."""
    graph, pictures = copy.deepcopy(job.graph), dict[str, bytes]()
    for node_id, path in pictures_of(job):
        taken = {name.casefold() for name in pictures}  # a worker's file system may know no case
        name = path.name if path.name.casefold() not in taken else f"{node_id}_{path.name}"
        try:
            pictures[name] = path.read_bytes()
        except OSError as error:  # gone meanwhile: the loader in the worker names it
            log.warning("%s cannot be read (%s)", path, error.strerror)
        graph[node_id]["inputs"]["image"] = name
    return graph, pictures


def run_graph(graph: Graph, pictures: Mapping[str, bytes]) -> list[Made]:
    """Run one graph in this process, whose models are kept for the next one; the files that it saves."""
    runner, folder = _runner()
    with tempfile.TemporaryDirectory(dir=folder.name) as name:
        source, output = Path(name, "input"), Path(name, "output")
        source.mkdir()
        for file, content in pictures.items():
            path_inside(source, file).write_bytes(content)
        runner.host = PlainHost(source, output)
        runner.forget(output_nodes(graph, runner.classes))  # what they saved last time is gone
        files = runner.run(graph).files
        return [(file.parent.relative_to(output).as_posix(), file.name, file.read_bytes()) for file in files]


@functools.cache
def _runner() -> tuple[Runner, Any]:
    """This process's own runner, and the folder that its runs read from and write to."""
    return Runner(), tempfile.TemporaryDirectory(prefix="figura-")
