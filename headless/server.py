"""Runs graphs on a ComfyUI server over HTTP and websocket. Its answers are a stranger's, and may not come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..host import Cancelled
from ..models.sentences import message_of
from .graph import Graph, GraphError, Problem
from .jobs import as_text
from .runner import NodeError

if TYPE_CHECKING:
    import aiohttp

Report = Callable[[str, int, int], None]
ANSWER, LISTEN = 60.0, 30.0
"""Seconds that an answer may take to begin, and without an event after which the server is asked."""
REQUEST = 600.0
"""Seconds of a whole request."""
PATIENCE = 1800.0
"""Seconds without an event of a run that is at work, after which it is given up."""
LARGEST_ANSWER = 2**29
"""Bytes."""


class ServerGone(ConnectionError):
    """A server could not be reached, or its connection broke. begun: it had taken the job by then."""

    begun = False


class ServerFault(ConnectionError):
    """A server answered, but with an error of its own or with what makes no sense; the text names it."""


class ComfyServer:
    """One ComfyUI server. Use as an async context manager."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        if not self.url.startswith(("http://", "https://")) or not urlsplit(self.url).hostname:
            raise ValueError(f"--server {url}: an address like http://127.0.0.1:8188 is needed")
        self._client_id = uuid.uuid4().hex
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ComfyServer:
        import aiohttp

        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REQUEST, connect=10, sock_read=ANSWER)
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
        somebody stops it there, ServerGone when the connection breaks, ServerFault for an answer without
        sense and for a run of which nothing is heard. Cancelling this task stops the run.
        """
        async with self._listening() as socket:
            prompt_id = await self._queue(graph)
            try:
                await self._wait(socket, prompt_id, graph, report)
                return await self._outputs(prompt_id)
            except (asyncio.CancelledError, ServerFault):
                await self._stop(prompt_id)
                raise
            except ServerGone as error:
                error.begun = True
                raise

    async def upload(self, path: Path) -> str:
        """Put a local picture into the server's input folder; gives the name it has there."""
        import aiohttp

        form = aiohttp.FormData()
        form.add_field("image", path.read_bytes(), filename=as_text(path.name))
        answer = await self._json("POST", "/upload/image", data=form)
        return f"{answer['subfolder']}/{answer['name']}" if answer.get("subfolder") else str(answer["name"])

    async def fetch(self, image: Mapping[str, str]) -> bytes:
        """The bytes of one image that `run` named."""
        query = {key: image.get(key, "") for key in ("filename", "subfolder", "type")}
        async with self._request("GET", "/view", params=query) as response:
            return await self._content(response)

    async def _queue(self, graph: Graph) -> str:
        """Queue a graph. ComfyUI would run the good part of a partly wrong one; here it is refused."""
        async with self._request(
            "POST", "/prompt", json={"prompt": graph, "client_id": self._client_id}
        ) as response:
            answer = await self._object(response)
        if response.status >= 500:
            raise ServerFault(f"{self.url}/prompt answers with error {response.status}")
        if answer.get("node_errors") and "prompt_id" in answer:
            await self._stop(str(answer["prompt_id"]))
        if answer.get("node_errors") or "prompt_id" not in answer:
            raise GraphError(refusal(answer, graph))
        return str(answer["prompt_id"])

    async def _wait(self, socket: Any, prompt_id: str, graph: Graph, report: Report) -> None:
        heard = time.monotonic()
        while True:
            try:
                message = await socket.receive(timeout=LISTEN)
            except (TimeoutError, asyncio.TimeoutError):
                state = await self._state(prompt_id)
                if state == "ended":
                    return
                heard = time.monotonic() if state == "pending" else heard
                if state == "unknown" or time.monotonic() - heard > self.patience:
                    raise ServerFault(f"{self.url} says nothing more of its run") from None
                continue
            if message.type.name in ("CLOSE", "CLOSING", "CLOSED", "ERROR"):
                raise ServerGone(f"{self.url} closed the connection during the run")
            if isinstance(message.data, str):
                event = json.loads(message.data)
                if self._is_end(event, prompt_id, graph, report):
                    return
                heard = time.monotonic() if _is_of(event, prompt_id) else heard

    async def _state(self, prompt_id: str) -> str:
        """Whether a run has ended, is running or pending, or is unknown, when no event tells."""
        queue = await self._json("GET", "/queue")  # before the history, into which a run goes from here
        for state in ("running", "pending"):
            if any(prompt_id in entry for entry in queue[f"queue_{state}"]):
                return state
        return "ended" if prompt_id in await self._json("GET", f"/history/{prompt_id}") else "unknown"

    def _is_end(self, event: Mapping[str, Any], prompt_id: str, graph: Graph, report: Report) -> bool:
        """Pass one event on; True when the run is over and its history written."""
        if not _is_of(event, prompt_id):
            return False
        data = event["data"]
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
        with contextlib.suppress(ServerGone, ServerFault):
            await self._post("/queue", {"delete": [prompt_id]})
            await self._post("/interrupt", {"prompt_id": prompt_id})

    async def _post(self, path: str, content: Mapping[str, Any]) -> None:
        async with self._request("POST", path, json=content):
            pass

    async def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        async with self._request(method, path, **options) as response:
            return await self._object(response)

    async def _object(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        """The JSON object of an answer; of one that says it failed only where it says why in JSON."""
        try:
            answer = json.loads(await self._content(response, even_failed=True))
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and response.status < 500:
            return answer
        raise ServerFault(
            f"{response.url.origin()}{response.url.path} answers with "
            + (f"error {response.status}" if response.status >= 400 else "what is no JSON object")
        )

    async def _content(self, response: aiohttp.ClientResponse, even_failed: bool = False) -> bytes:
        """The bytes of an answer, of at most LARGEST_ANSWER."""
        if response.status >= 400 and not even_failed:
            raise ServerFault(f"{self.url}{response.url.path} answers with error {response.status}")
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise ServerFault(f"{self.url}{response.url.path} sends more than {LARGEST_ANSWER} bytes")
        return bytes(content)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[Any]:
        import aiohttp

        address = f"{self.url}/ws?clientId={self._client_id}"
        try:
            socket = await asyncio.wait_for(
                self.session.ws_connect(address, max_msg_size=LARGEST_ANSWER, heartbeat=30), ANSWER
            )
        except aiohttp.WSServerHandshakeError as error:
            raise ServerFault(f"{self.url}/ws answers with error {error.status}") from error
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise ServerGone(f"{self.url} cannot be reached ({message_of(error)})") from error
        try:
            yield socket
        finally:
            await socket.close()

    @contextlib.asynccontextmanager
    async def _request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        try:
            async with self.session.request(method, self.url + path, **options) as response:
                yield response
        except ServerFault:
            raise
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise ServerGone(f"{self.url}{path} failed ({message_of(error)})") from error


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


def _is_of(event: Any, prompt_id: str) -> bool:
    """Whether an event of the websocket speaks of that run."""
    data = event.get("data") if isinstance(event, dict) else None
    return isinstance(data, dict) and data.get("prompt_id") == prompt_id


def _class_of(graph: Graph, node_id: str) -> str:
    return str(graph.get(node_id, {}).get("class_type", "?"))
