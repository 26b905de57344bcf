"""Runs graphs on a ComfyUI server over HTTP and websocket. Its answers are a stranger's, and may not come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ..host import Cancelled
from ..models.sentences import message_of
from .answers import class_of, event_of, is_of, refusal, steps_of
from .graph import Graph, GraphError
from .jobs import as_text
from .runner import NodeError
from .shown import shown_files

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Report = Callable[[str, int, int], None]
ANSWER, LISTEN = 60.0, 30.0
"""Seconds that an answer may take to begin, and without an event of a run after which the server is asked."""
REQUEST = 600.0
"""Seconds of a whole request."""
PATIENCE = 1800.0
"""Seconds without an event of a run that is at work, after which it is given up."""
LARGEST_ANSWER = 2**29
"""Bytes."""
RESTS = (1.0, 5.0, 15.0)
"""Seconds before each time that a server is asked again whose connection broke."""
OUR_ACCESS = (401, 403, 404, 405, 407, 408, 429)
"""Answers to an upload that have nothing to do with the picture: another server may take it."""
TOO_LARGE, NOT_FOUND = 413, 404


class ServerGone(ConnectionError):
    """A server could not be reached, or its connection broke and could not be made again.

    begun: it had taken the job by then.
    """

    begun = False


class ServerFault(ConnectionError):
    """A server answered, but with an error of its own or with what makes no sense; the text names it."""

    begun = True


class FileRefused(ValueError):
    """A server does not take a picture, or has lost a result: the job's own error, not the server's."""


@dataclass
class _Run:
    """A run on a server, when there was last a word of it, and when the server was last asked after it."""

    prompt_id: str
    graph: Graph
    report: Report
    heard: float = field(default_factory=time.monotonic)
    asked: float = field(default_factory=time.monotonic)


class ComfyServer:
    """One ComfyUI server. Use as an async context manager.

    url: its address as it is told, without a user's name and password. met: whether it ever answered.
    """

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._address = (url if "://" in url else f"http://{url}").rstrip("/")
        self.url = without_user(self._address)
        self.met = False
        if not self.url.startswith(("http://", "https://")) or not urlsplit(self.url).hostname:
            told = without_user(url)
            raise ValueError(f"--server {told}: an address like http://127.0.0.1:8188 is needed")
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

    async def run(self, graph: Graph, report: Report) -> list[dict[str, Any]]:
        """Run one graph to its end; gives the files its output nodes saved.

        A connection that breaks is made again, and the run asked after: it goes on there meanwhile.

        Raises GraphError when the server refuses the graph, NodeError when a node fails, Cancelled when
        somebody stops it there, ServerGone when the server cannot be reached again, ServerFault for an answer
        without sense and for a run of which nothing is heard. Events without sense are passed over: whether
        the run has ended is asked as well. Cancelling this task, and any error here, stops the run.
        """
        async with contextlib.AsyncExitStack() as stack:
            socket = await self._persist(lambda: stack.enter_async_context(self._listening()))
            run = _Run(await self._queue(graph), graph, report)
            try:
                while not await self._hears_end(socket, run):
                    log.warning("%s closed the connection during the run: connecting again", self.url)
                    await asyncio.sleep(RESTS[0])
                    socket = await self._persist(lambda: stack.enter_async_context(self._listening()))
                    if await self._has_ended(run):
                        break
                return await self._outputs(run)
            except ServerGone as error:
                error.begun = True
                raise
            except (NodeError, Cancelled):  # it has ended there
                raise
            except (asyncio.CancelledError, Exception):
                await self._stop(run.prompt_id)
                raise

    async def upload(self, path: Path) -> str:
        """Put a local picture into the server's input folder; gives the name it has there.

        Raises FileRefused for one that the server does not take.
        """
        answer = await self._persist(lambda: self._upload(path))
        return f"{answer['subfolder']}/{answer['name']}" if answer.get("subfolder") else str(answer["name"])

    async def fetch(self, file: Mapping[str, Any]) -> bytes:
        """The bytes of one file that `run` named. Raises FileRefused for one that is no longer there."""
        return await self._persist(lambda: self._view(file))

    async def answers(self) -> bool:
        """Whether the server can be reached now."""
        try:
            await self._ask("GET", "/queue")
        except (ServerGone, ServerFault):
            return False
        return True

    async def _upload(self, path: Path) -> dict[str, Any]:
        import aiohttp

        form = aiohttp.FormData(quote_fields=False)  # as browsers do; quoted, a name may outgrow the disk's
        form.add_field("image", path.read_bytes(), filename=as_text(path.name))
        async with self._request("POST", "/upload/image", data=form) as response:
            if response.status == TOO_LARGE:
                raise FileRefused(
                    f"{path.name} is larger than {self.url} takes: scale it down, or start ComfyUI with a "
                    "larger --max-upload-size (in MB; a proxy before it may have a limit of its own)"
                )
            if 400 <= response.status < 500 and response.status not in OUR_ACCESS:
                raise FileRefused(
                    f"{self.url} does not take {path.name} (error {response.status}): give it another name, "
                    "or save it as PNG"
                )
            return await self._object(response)

    async def _view(self, file: Mapping[str, Any]) -> bytes:
        query = {key: str(file.get(key, "")) for key in ("filename", "subfolder", "type")}
        async with self._request("GET", "/view", params=query) as response:
            if response.status == NOT_FOUND:
                raise FileRefused(
                    f"{self.url} no longer has {query['filename']}, which an earlier run of the same graph "
                    "saved there: have it saved again under another name (--set ID.filename_prefix=NAME)"
                )
            return await self._content(response)

    async def _persist(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `ask` gives. Where the connection to a server that answered before breaks, it is asked again.

        Raises ServerGone when that was in vain.
        """
        for rest in RESTS if self.met else ():
            try:
                return await ask()
            except ServerGone as error:
                log.warning("%s: asking again in %.0f s", error, rest)
            await asyncio.sleep(rest)
        return await ask()

    async def _queue(self, graph: Graph) -> str:
        """Queue a graph; gives the id of its run, which the server may choose otherwise than we do."""
        own = str(uuid.uuid4())
        try:
            return await self._begin(graph, own)
        except ServerGone:  # the graph may have come through all the same
            return own if await self._state(own) != "unknown" else await self._begin(graph, own)

    async def _begin(self, graph: Graph, own: str) -> str:
        """Queue a graph. ComfyUI would run the good part of a partly wrong one; here it is refused."""
        content = {"prompt": graph, "client_id": self._client_id, "prompt_id": own}
        async with self._request("POST", "/prompt", json=content) as response:
            answer = await self._object(response)
        if response.status >= 500:
            raise ServerFault(f"{self.url}/prompt answers with error {response.status}")
        if answer.get("node_errors") and "prompt_id" in answer:
            await self._stop(str(answer["prompt_id"]))
        if answer.get("node_errors") or "prompt_id" not in answer:
            raise GraphError(refusal(answer, graph))
        return str(answer["prompt_id"])

    async def _hears_end(self, socket: Any, run: _Run) -> bool:
        """Listen until the run has ended; False when the connection breaks before."""
        while True:
            message = None
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                message = await socket.receive(timeout=LISTEN)
            if message is not None and message.type.name in ("CLOSE", "CLOSING", "CLOSED", "ERROR"):
                return False
            event = event_of(message.data) if message is not None else {}
            if is_of(event, run.prompt_id):
                run.heard = time.monotonic()
                if self._is_end(event, run):
                    return True
            # Others' events, such as a monitor's every second, say nothing of the run.
            silent = time.monotonic() - max(run.heard, run.asked) >= LISTEN
            if (message is None or silent) and await self._has_ended(run):
                return True

    async def _has_ended(self, run: _Run) -> bool:
        """Ask after a run when no event tells. ServerFault for one that is unknown, or silent too long."""
        run.asked = time.monotonic()
        state = await self._state(run.prompt_id)
        if state == "pending":
            run.heard = time.monotonic()
        if state == "unknown" or time.monotonic() - run.heard > self.patience:
            raise ServerFault(f"{self.url} says nothing more of its run")
        return state == "ended"

    async def _state(self, prompt_id: str) -> str:
        """Whether a run has ended, is running or pending, or is unknown, when no event tells."""
        queue = await self._json("GET", "/queue")  # before the history, into which a run goes from here
        for state in ("running", "pending"):
            if any(prompt_id in entry for entry in queue[f"queue_{state}"]):
                return state
        return "ended" if prompt_id in await self._json("GET", f"/history/{prompt_id}") else "unknown"

    def _is_end(self, event: Mapping[str, Any], run: _Run) -> bool:
        """Pass one event of the run on; True when the run is over and its history written."""
        data = event["data"]
        event_type, node_id = event.get("type"), str(data.get("node"))
        steps = steps_of(data) if event_type == "progress" else None
        if steps is not None:
            run.report(f"node {node_id} ({class_of(run.graph, node_id)})", *steps)
        self._raise_failure(event_type, data)
        return event_type == "executing" and data.get("node") is None

    def _raise_failure(self, event_type: Any, data: Mapping[str, Any]) -> None:
        if event_type == "execution_error":
            error = RuntimeError(str(data.get("exception_message", "")).strip())
            raise NodeError(str(data.get("node_id")), str(data.get("node_type")), error)
        if event_type == "execution_interrupted":
            raise Cancelled(f"the run was stopped on {self.url}")

    async def _outputs(self, run: _Run) -> list[dict[str, Any]]:
        """The files of a run that has ended; the failure of which no event was heard."""
        entry = (await self._json("GET", f"/history/{run.prompt_id}")).get(run.prompt_id, {})
        for event_type, data in (entry.get("status") or {}).get("messages") or []:
            self._raise_failure(event_type, data)
        return [file for shown in entry.get("outputs", {}).values() for file in shown_files(shown, "output")]

    async def _stop(self, prompt_id: str) -> None:
        with contextlib.suppress(ServerGone, ServerFault):
            await self._post("/queue", {"delete": [prompt_id]})
            await self._post("/interrupt", {"prompt_id": prompt_id})

    async def _post(self, path: str, content: Mapping[str, Any]) -> None:
        async with self._request("POST", path, json=content):
            pass

    async def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        return await self._persist(lambda: self._ask(method, path, **options))

    async def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
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

        address = f"{self._address}/ws?clientId={self._client_id}"
        try:
            socket = await asyncio.wait_for(
                self.session.ws_connect(address, max_msg_size=LARGEST_ANSWER, heartbeat=30), ANSWER
            )
        except aiohttp.WSServerHandshakeError as error:
            raise ServerFault(f"{self.url}/ws answers with error {error.status}") from error
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise ServerGone(f"{self.url} cannot be reached ({without_user(message_of(error))})") from error
        self.met = True
        try:
            yield socket
        finally:
            await socket.close()

    @contextlib.asynccontextmanager
    async def _request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        try:
            async with self.session.request(method, self._address + path, **options) as response:
                self.met = True
                yield response
        except ServerFault:
            raise
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise ServerGone(f"{self.url}{path} failed ({without_user(message_of(error))})") from error


def without_user(text: str) -> str:
    """Addresses in a text without a user's name and password, so that these can be told.

    >>> without_user("http://me:secret@example.org:8188 cannot be reached")
    'http://example.org:8188 cannot be reached'
    """
    return re.sub(r"(^|//)[^/\s]*@", r"\1", text)
