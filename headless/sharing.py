"""Several ComfyUI servers share a list of jobs. No server, whatever it answers, ends the batch."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..host import Cancelled
from .graph import GraphError
from .jobs import Job, JobResult, local_images
from .runner import NodeError
from .saved import Saved
from .server import PATIENCE, ComfyServer, FileRefused, Report, ServerFault, ServerGone

ATTEMPTS = 2
"""Servers that a job is tried on, or times on the only one, before its fault is its result."""
FAULTS = 3
"""In a row, after which a server is left out."""
REST = 1.0
"""Seconds between a server's fault and its next job."""
AGAIN = 30.0
"""Seconds between two times that a server is asked which is gone, while others do its jobs."""

Tell = Callable[[JobResult], None]


def run_on_servers(
    urls: Sequence[str],
    jobs: Sequence[Job],
    output: Path,
    report: Report,
    tell: Tell = lambda result: None,
    patience: float = PATIENCE,
) -> list[JobResult]:
    """Run the jobs on the servers, each taking the next when it is free; results in the order of the jobs.

    A server that goes away, or answers without sense, loses its job to the others; one that comes back takes
    the next. What an earlier run has saved is not run again. Every job has a result; that of one for which no
    server was left is an error.

    Args:
        urls: addresses of ComfyUI servers; http:// may be left out.
        jobs: their local pictures are uploaded.
        output: folder for the files they save.
        report: is called with what is at work, steps done, steps in all.
        tell: is called with each result as it comes.
        patience: seconds without a word of a run, after which it is given up.
    """
    servers = {server.url: server for server in (ComfyServer(url, patience) for url in urls)}
    batch = _Batch(jobs, Saved(output), report, tell)
    asyncio.run(batch.share(list(servers.values())))
    return [batch.results[index] for index in range(len(jobs))]


@dataclass
class _Batch:
    """Jobs, what became of them, and which servers they were tried on."""

    jobs: Sequence[Job]
    saved: Saved
    report: Report
    tell: Tell
    results: dict[int, JobResult] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    tried: dict[int, list[str]] = field(default_factory=dict)
    alive: list[ComfyServer] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Of a job that ended or was put back, and of a server that went; replaced each time."""

    async def share(self, servers: Sequence[ComfyServer]) -> None:
        """Until each job has a result."""
        self.alive = list(servers)
        for index, job in enumerate(self.jobs):
            files = self.saved.files_of(job)
            if files:
                self._end(index, JobResult(job, files, earlier=True))
        self.waiting = [index for index in range(len(self.jobs))[::-1] if index not in self.results]
        await asyncio.gather(*(self._work(server) for server in servers))
        for index in self.waiting[::-1]:
            why = f"not done, no server is left: {'; '.join(self.lost)}"
            self._end(index, JobResult(self.jobs[index], error=ConnectionError(why)))

    async def _work(self, server: ComfyServer) -> None:
        """Have one server do what is left, until all is done or it is lost."""
        faults, why = 0, ""
        async with server:
            while faults < FAULTS and not self._is_done():
                index = self._next_for(server.url)
                if index is None:  # others are at the rest, which may come back
                    await self.news.wait()
                    continue
                try:
                    self._end(index, await self._run(server, self.jobs[index]))
                    faults = 0
                except (ServerGone, ServerFault) as error:
                    faults, why = faults + 1, str(error)
                    self._again(index, server.url, error, counts=error.begun)
                    if isinstance(error, ServerGone) and not await self._comes_back(server):
                        break
                    await asyncio.sleep(REST)
        if not self._is_done():
            self._lose(server, why)

    async def _comes_back(self, server: ComfyServer) -> bool:
        """Ask a server that is gone from time to time, as long as others work, and once when none does."""
        self._leave_out(server)
        while server.met and not self._is_done():
            await self._rest(AGAIN)
            if self._is_done():
                return False
            if await server.answers():
                self.alive.append(server)
                return True
            if not self.alive:
                return False
        return False

    async def _rest(self, seconds: float) -> None:
        """Wait, but not beyond the end of all jobs."""
        until = time.monotonic() + seconds
        while not self._is_done() and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.news.wait(), left)

    def _is_done(self) -> bool:
        return len(self.results) == len(self.jobs)

    def _next_for(self, url: str) -> int | None:
        """Take a job that this server has not tried yet, or that no other one is left to try."""
        others = {server.url for server in self.alive} - {url}
        for index in reversed(self.waiting):
            tried = self.tried.get(index, [])
            if url not in tried or not others - set(tried):
                self.waiting.remove(index)
                return index
        return None

    def _again(self, index: int, url: str, error: Exception, counts: bool = True) -> None:
        """Put a job back; one that was tried often enough has its result."""
        if counts:
            self.tried.setdefault(index, []).append(url)
        if len(self.tried.get(index, [])) < ATTEMPTS:
            self.waiting.append(index)
        else:
            self._end(index, JobResult(self.jobs[index], error=error))
        self._wake()

    def _lose(self, server: ComfyServer, why: str) -> None:
        self.lost.append(why)
        self._leave_out(server)

    def _leave_out(self, server: ComfyServer) -> None:
        self.alive = [other for other in self.alive if other is not server]
        self._wake()

    def _end(self, index: int, result: JobResult) -> None:
        self.results[index] = result
        self._wake()
        self.tell(result)

    def _wake(self) -> None:
        """Let workers that wait look again."""
        self.news.set()
        self.news = asyncio.Event()

    async def _run(self, server: ComfyServer, job: Job) -> JobResult:
        """One job on one server. ServerGone and ServerFault are not the job's."""
        graph = copy.deepcopy(job.graph)
        try:
            for node_id, name, path in list(local_images(job)):
                graph[node_id]["inputs"][name] = await server.upload(path)
            files = await server.run(graph, lambda what, *steps: self.report(f"{server.url} {what}", *steps))
            made = [
                (str(file.get("subfolder", "")), str(file["filename"]), await server.fetch(file))
                for file in files
            ]
        except (ServerGone, ServerFault):
            raise
        except (GraphError, NodeError, FileRefused, OSError, Cancelled) as error:
            return JobResult(job, error=error)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ServerFault(
                f"{server.url} answers without sense ({type(error).__name__}: {error})"
            ) from error
        return self.saved.result_of(job, made)
