"""Many jobs on Ray: each goes to a free worker, and a worker that dies costs only the job in its hands.

A worker is a process that stays, so what its work keeps (networks, above all) is loaded once in each. The
pack must be installed on every machine of the cluster.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .sentences import message_of

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""Times that a job is begun whose worker dies: one that kills its workers must not kill them all."""
START_FAILURES = 3
"""Workers in a row that die before they work; then no more are hired."""
LOCAL_STORE = 128 * 2**20
"""Bytes of shared memory for a Ray that is started here: single pictures pass through it."""
PATIENCE = 60.0
"""Seconds without a word of any worker after which that is told."""
KNOCK = 10.0
"""Seconds in which a machine has to answer at the address of a Ray; Ray itself asks for minutes."""


@dataclass(frozen=True)
class Cluster:
    """Where to work. address: of a running Ray ("auto", HOST:PORT, ray://...); empty starts one here.

    workers: how many at most; 0 for as many as there is room for. cpus: of each worker where there is no GPU;
    with GPUs each worker has one.
    """

    address: str = ""
    workers: int = 0
    cpus: int = 1


@dataclass(frozen=True)
class Outcome:
    """What became of job `number`: the work's answer, or the sentence it ended with."""

    number: int
    answer: Any = None
    error: str = ""


def run_on_cluster(
    work: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], cluster: Cluster
) -> Iterator[Outcome]:
    """work(*job) for every job, each outcome as it comes.

    A job whose worker died is begun again by another, once. An error of the work itself is its outcome.

    Args:
        work: a function of a module; its arguments and answers travel between machines.
        jobs: its arguments.
        cluster: where.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: no Ray at that address, or no worker stays alive.
        ValueError: no machine is large enough for a worker.
    """
    if jobs:
        with connected(cluster) as ray:
            yield from _Crew(ray, cluster, work, jobs).outcomes()


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected inside the block; one that the program is connected to already is used, and left so."""
    if importlib.util.find_spec("ray") is None:
        raise ImportError(
            'this needs Ray, which is not installed: pip install "figura[ray]", or in a clone '
            'pip install -e ".[ray]"'
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unasked
    import ray

    if ray.is_initialized():
        yield ray
        return
    here = {"include_dashboard": False, "object_store_memory": LOCAL_STORE}
    try:
        _knock(cluster.address)
        where = {"address": cluster.address} if cluster.address else here
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ConnectionError(
            f"no Ray at {cluster.address or 'this machine'} ({message_of(error)}): start one with "
            "`ray start --head`, or leave the address out"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """OSError where nobody listens at HOST:PORT or ray://HOST:PORT, ValueError for no such port."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), KNOCK).close()


class _Crew:
    """Workers on Ray, and what is left for them to do."""

    def __init__(
        self, ray: Any, cluster: Cluster, work: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
    ) -> None:
        self._ray, self._work, self._jobs = ray, work, jobs
        self._waiting = list(range(len(jobs)))[::-1]
        self._tries = [0] * len(jobs)
        self._calls: dict[Any, tuple[Any, int | None]] = {}  # (worker, its job; None while it starts)
        self._start_failures = 0
        room, share = room_for_workers(ray.nodes(), cluster.cpus)
        self._worker_class = ray.remote(**share)(Worker)
        for _ in range(min(cluster.workers or room, room, len(jobs))):
            self._hire()

    def outcomes(self) -> Iterator[Outcome]:
        """Until every job has one."""
        left = len(self._jobs)
        while left:
            outcome = self._next()
            if outcome is not None:
                left -= 1
                yield outcome

    def _next(self) -> Outcome | None:
        """Wait for a word of a worker; the outcome of its job when that is the end of one."""
        ready, _ = self._ray.wait(list(self._calls), timeout=PATIENCE)
        if not ready:
            log.warning("no word of any worker for %.0f s", PATIENCE)
            return None
        worker, number = self._calls.pop(ready[0])
        try:
            answer, error = self._ray.get(ready[0])
        except self._ray.exceptions.RayError as died:
            return self._mourn(number, died)
        self._start_failures = 0
        if self._waiting:
            self._give(worker, self._waiting.pop())
        return None if number is None else Outcome(number, answer, error)

    def _mourn(self, number: int | None, died: Exception) -> Outcome | None:
        """Replace a worker that died, and begin its job again, or give that up."""
        why = str(died).strip().partition("\n")[0]
        self._start_failures += number is None
        if self._start_failures < START_FAILURES:
            self._hire()
        if not self._calls:
            raise ConnectionError(f"no worker on Ray stays alive: {died}")
        if number is None:
            return None
        if self._tries[number] >= ATTEMPTS:
            return Outcome(number, error=f"its worker died {ATTEMPTS} times: {why}")
        log.warning("a worker died (%s): its work is begun again", why)
        self._waiting.append(number)
        return None

    def _hire(self) -> None:
        worker = self._worker_class.remote()
        self._calls[worker.ready.remote()] = worker, None

    def _give(self, worker: Any, number: int) -> None:
        self._tries[number] += 1
        self._calls[worker.work.remote(self._work, self._jobs[number])] = worker, number


class Worker:
    """What runs in a process of its own."""

    def ready(self) -> tuple[None, str]:
        """Answers when the process stands."""
        return None, ""

    def work(self, work: Callable[..., Any], job: tuple[Any, ...]) -> tuple[Any, str]:
        """The answer and an empty text, or None and the sentence of an error."""
        try:
            return work(*job), ""
        except Exception as error:  # whatever it is, it is this job's
            return None, message_of(error)


def room_for_workers(nodes: Sequence[dict[str, Any]], cpus: int) -> tuple[int, dict[str, int]]:
    """How many workers the machines have room for, and what each takes of them.

    nodes: as `ray.nodes()` lists them. ValueError when no machine has that many CPUs.

    >>> room_for_workers([{"Alive": True, "Resources": {"CPU": 8.0}}], 3)
    (2, {'num_cpus': 3})
    >>> room_for_workers([{"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}}], 3)
    (2, {'num_gpus': 1})
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = sum(int(machine.get("GPU", 0)) for machine in alive)
    if gpus:
        return gpus, {"num_gpus": 1}
    room = sum(int(machine.get("CPU", 0)) // cpus for machine in alive)
    if room == 0:
        most = max((int(machine.get("CPU", 0)) for machine in alive), default=0)
        raise ValueError(f"no machine has {cpus} CPUs for a worker: the largest has {most}")
    return room, {"num_cpus": cpus}


WORKERS, WORKER_CPUS = 0, 1
"""As many workers as there is room for, of one CPU each: what is taken where nothing is said."""


def add_cluster_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Declare --ray, --workers and --worker-cpus."""
    address = "work on Ray, at this address (auto, HOST:PORT, ray://...), or on all cores of this machine"
    parser.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help=address)
    workers = "--ray: how many at most (default: as many as there is room for)"
    parser.add_argument("--workers", type=int, default=WORKERS, metavar="N", help=workers)
    cpus = "--ray: of each worker, where there are no GPUs; with GPUs each worker has one (1)"
    parser.add_argument("--worker-cpus", type=int, default=WORKER_CPUS, metavar="N", help=cpus)


def named_cluster(args: argparse.Namespace) -> Cluster | None:
    """What these options say; None without --ray. ValueError for counts that are none or for nothing."""
    if args.ray is None:
        for option, usual in (("workers", WORKERS), ("worker_cpus", WORKER_CPUS)):
            if getattr(args, option) != usual:
                raise ValueError(f"--{option.replace('_', '-')} is for --ray, which was not given")
        return None
    for option, least in (("workers", 0), ("worker_cpus", 1)):
        if getattr(args, option) < least:
            raise ValueError(f"--{option.replace('_', '-')} {getattr(args, option)}: give {least} or more")
    return Cluster(args.ray, args.workers, args.worker_cpus)
