"""Runs graphs on ComfyUI servers over HTTP and websocket; several servers share a list of jobs."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..host import Cancelled
from ..models.files import path_inside, write_new
from .graph import Graph, GraphError, Problem
from .jobs import Job, JobResult, local_images
from .runner import NodeError
from .saving import next_number

if TYPE_CHECKING:
    import aiohttp

Report = Callable[[str, int, int], None]
NUMBERED = re.compile(r"^(?P<stem>.+)_\d+_(?P<suffix>\.\w+)$")


class ServerGone(ConnectionError):
    """A server could not be reached, or its connection broke; the job can go to another one."""


class ComfyServer:
    """One ComfyUI server. Use as an async context manager."""

    def __init__(self, url: str) -> None:
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        if not self.url.startswith(("http://", "https://")) or not urlsplit(self.url).hostname:
            raise ValueError(f"--server {url}: an address like http://127.0.0.1:8188 is needed")
        self._client_id = uuid.uuid4().hex
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ComfyServer:
        import aiohttp

        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, connect=10, sock_read=None)
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use the server inside `async with`")
        return self._session

    async def run(self, graph: Graph, report: Report) -> list[dict[str, str]]:
        """Run one graph to its end; gives the images its output nodes saved.

        Raises GraphError when the server refuses the graph, NodeError when a node fails, Cancelled when
        somebody stops it there, ServerGone when the connection breaks. Cancelling this task stops the run.
        """
        async with self._listening() as socket:
            prompt_id = await self._queue(graph)
            try:
                await self._wait(socket, prompt_id, graph, report)
            except asyncio.CancelledError:
                await self._stop(prompt_id)
                raise
        return await self._outputs(prompt_id)

    async def upload(self, path: Path) -> str:
        """Put a local picture into the server's input folder; gives the name it has there."""
        import aiohttp

        form = aiohttp.FormData()
        form.add_field("image", path.read_bytes(), filename=path.name)
        answer = await self._json("POST", "/upload/image", data=form)
        return f"{answer['subfolder']}/{answer['name']}" if answer.get("subfolder") else str(answer["name"])

    async def fetch(self, image: Mapping[str, str]) -> bytes:
        """The bytes of one image that `run` named."""
        query = {key: image.get(key, "") for key in ("filename", "subfolder", "type")}
        async with self._request("GET", "/view", params=query) as response:
            response.raise_for_status()
            return await response.read()

    async def _queue(self, graph: Graph) -> str:
        """Queue a graph. ComfyUI would run the good part of a partly wrong one; here it is refused."""
        async with self._request(
            "POST", "/prompt", json={"prompt": graph, "client_id": self._client_id}
        ) as response:
            answer = await response.json(content_type=None)
        if answer.get("node_errors") and "prompt_id" in answer:
            await self._stop(str(answer["prompt_id"]))
        if answer.get("node_errors") or "prompt_id" not in answer:
            raise GraphError(refusal(answer, graph))
        return str(answer["prompt_id"])

    async def _wait(self, socket: Any, prompt_id: str, graph: Graph, report: Report) -> None:
        async for message in socket:
            if isinstance(message.data, str) and self._is_end(
                json.loads(message.data), prompt_id, graph, report
            ):
                return
        raise ServerGone(f"{self.url} closed the connection during the run")

    def _is_end(self, event: Mapping[str, Any], prompt_id: str, graph: Graph, report: Report) -> bool:
        """Pass one event on; True when the run is over and its history written."""
        data = event.get("data", {})
        if not isinstance(data, dict) or data.get("prompt_id") != prompt_id:
            return False
        event_type, node_id = event.get("type"), str(data.get("node"))
        if event_type == "progress":
            report(f"node {node_id} ({_class_of(graph, node_id)})", int(data["value"]), int(data["max"]))
        elif event_type == "execution_error":
            error = RuntimeError(str(data.get("exception_message", "")).strip())
            raise NodeError(str(data.get("node_id")), str(data.get("node_type")), error)
        elif event_type == "execution_interrupted":
            raise Cancelled(f"the run was stopped on {self.url}")
        return event_type == "executing" and data.get("node") is None

    async def _outputs(self, prompt_id: str) -> list[dict[str, str]]:
        history = await self._json("GET", f"/history/{prompt_id}")
        outputs = history.get(prompt_id, {}).get("outputs", {})
        images = [image for shown in outputs.values() for image in shown.get("images", [])]
        return [image for image in images if image.get("type") == "output"]

    async def _stop(self, prompt_id: str) -> None:
        with contextlib.suppress(ServerGone):
            await self._post("/queue", {"delete": [prompt_id]})
            await self._post("/interrupt", {"prompt_id": prompt_id})

    async def _post(self, path: str, content: Mapping[str, Any]) -> None:
        async with self._request("POST", path, json=content):
            pass

    async def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        async with self._request(method, path, **options) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json(content_type=None)
            return answer

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[Any]:
        import aiohttp

        address = f"{self.url}/ws?clientId={self._client_id}"
        try:
            async with self.session.ws_connect(address, max_msg_size=0, heartbeat=30) as socket:
                yield socket
        except (aiohttp.ClientError, OSError) as error:
            raise ServerGone(f"{self.url} cannot be reached ({error})") from error

    @contextlib.asynccontextmanager
    async def _request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        try:
            async with self.session.request(method, self.url + path, **options) as response:
                yield response
        except (aiohttp.ClientError, OSError) as error:
            raise ServerGone(f"{self.url}{path} failed ({error})") from error


def refusal(answer: Mapping[str, Any], graph: Graph) -> list[Problem] | str:
    """What a server said against a graph, as problems with node and input where it named them."""
    problems = [
        Problem(
            str(node_id),
            str(node.get("class_type", _class_of(graph, str(node_id)))),
            str((error.get("extra_info") or {}).get("input_name", "")),
            f"{error.get('message', '')}: {error.get('details', '')}".strip(": "),
        )
        for node_id, node in (answer.get("node_errors") or {}).items()
        for error in node.get("errors", [])
    ]
    error = answer.get("error", answer)
    text = (
        f"{error.get('message', '')} {error.get('details', '')}".strip()
        if isinstance(error, dict)
        else str(error)
    )
    return problems or f"the server refused the graph: {text}"


def run_on_servers(urls: Sequence[str], jobs: Sequence[Job], output: Path, report: Report) -> list[JobResult]:
    """Run the jobs on the servers, each taking the next when it is free; results in the order of the jobs.

    A server that goes away loses its job to the others; ConnectionError when none is left.

    Args:
        urls: addresses of ComfyUI servers; http:// may be left out.
        jobs: their local pictures are uploaded.
        output: folder for the images they save.
        report: is called with what is at work, steps done, steps in all.
    """
    return asyncio.run(_share(urls, jobs, output, report))


async def _share(urls: Sequence[str], jobs: Sequence[Job], output: Path, report: Report) -> list[JobResult]:
    waiting = list(range(len(jobs)))[::-1]
    results: dict[int, JobResult] = {}
    lost: list[str] = []

    async def work(url: str) -> None:
        async with ComfyServer(url) as server:
            while waiting:
                index = waiting.pop()
                try:
                    results[index] = await _run_job(server, jobs[index], output, report)
                except ServerGone as error:
                    waiting.append(index)
                    lost.append(str(error))
                    return

    while waiting and len(lost) < len(urls):
        alive = [url for url in urls if not any(_speaks_of(error, url) for error in lost)]
        await asyncio.gather(*(work(url) for url in alive))
    if waiting:
        raise ConnectionError(f"{len(waiting)} of {len(jobs)} runs are not done: " + "; ".join(lost))
    return [results[index] for index in range(len(jobs))]


def _speaks_of(error: str, url: str) -> bool:
    return error.startswith(ComfyServer(url).url)


async def _run_job(server: ComfyServer, job: Job, output: Path, report: Report) -> JobResult:
    graph = copy.deepcopy(job.graph)
    try:
        for node_id, name, path in list(local_images(job)):
            graph[node_id]["inputs"][name] = await server.upload(path)
        images = await server.run(graph, lambda what, *steps: report(f"{server.url} {what}", *steps))
        files = [keep(output, image, await server.fetch(image)) for image in images]
    except (GraphError, NodeError, OSError, Cancelled) as error:
        if isinstance(error, ServerGone):
            raise
        return JobResult(job, error=error)
    return JobResult(job, files)


def keep(output: Path, image: Mapping[str, str], content: bytes) -> Path:
    """Write a fetched image under `output`, numbered on from what is there; never over an older file."""
    name = Path(str(image["filename"])).name
    try:
        folder = path_inside(output, str(image.get("subfolder", "")))
    except ValueError as error:
        raise OSError(f"the server names a folder outside the output folder: {error}") from error
    if name in ("", "..") or "\0" in f"{folder}{name}":
        raise OSError(f"the server names no file: {name[:80]!r}")
    while True:
        path = folder / free_name(folder, name)
        if write_new(path, lambda place: place.write_bytes(content)):
            return path


def free_name(folder: Path, name: str) -> str:
    """A name like `name` that no file in the folder has; numbers are counted on."""
    numbered = NUMBERED.match(name)
    if numbered:
        return f"{numbered['stem']}_{next_number(folder, numbered['stem']):05}_{numbered['suffix']}"
    if not os.path.lexists(folder / name):
        return name
    stem, suffix = Path(name).stem, Path(name).suffix
    return f"{stem}_{next_number(folder, stem):05}_{suffix}"


def _class_of(graph: Graph, node_id: str) -> str:
    return str(graph.get(node_id, {}).get("class_type", "?"))
