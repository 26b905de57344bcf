"""Starts a real ComfyUI with this pack as its only custom node, and talks to it as a browser would."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parent.parent.parent
# A loaded machine needs minutes for what usually takes ten seconds.
HERE = Path(__file__).resolve().parent
START_LIMIT_S = 900.0
HISTORY_TRIES, HISTORY_PAUSE_S = 100, 0.1
RUN_LIMIT_S = 1800.0
PREVIEW_WITH_METADATA = 4
LAST_EVENTS = ("execution_success", "execution_error", "execution_interrupted")
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
OnEvent = Callable[[str, Mapping[str, Any]], None]


def find_checkout() -> Path | None:
    """COMFYUI_PATH, else the place where comfy-cli installs; None when there is no ComfyUI."""
    named = os.environ.get("COMFYUI_PATH")
    place = Path(named) if named else Path.home() / "comfy" / "ComfyUI"
    return place if (place / "main.py").is_file() else None


def run_inside(checkout: Path, script: str, *arguments: Path) -> None:
    """A script of this folder, run by ComfyUI's Python in its checkout. RuntimeError has what it said."""
    command = [
        os.environ.get("FIGURA_COMFYUI_PYTHON", sys.executable),
        str(HERE / script),
        *map(str, arguments),
    ]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script} failed: {done.stderr[-4000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Run:
    """Everything that was heard of one queued graph."""

    prompt_id: str
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    previews: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    history: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]

    @property
    def end(self) -> str:
        return next((name for name, _ in reversed(self.events) if name in LAST_EVENTS), "")

    def images(self, node_id: str) -> list[dict[str, Any]]:
        """What an output node saved: filename, subfolder and type of each picture."""
        return list(self.history.get("outputs", {}).get(node_id, {}).get("images", []))


class ComfyServer:
    """One ComfyUI process on a free port, with a base folder of its own."""

    def __init__(self, checkout: Path, base: Path) -> None:
        self.checkout, self.base, self.port = checkout, base, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client_id = uuid.uuid4().hex
        self._log_path = base / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> ComfyServer:
        for folder in ("custom_nodes", "input", "output", "temp", "user", "models"):
            (self.base / folder).mkdir(parents=True, exist_ok=True)
        (self.base / "custom_nodes" / "figura").symlink_to(ROOT, target_is_directory=True)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self.checkout, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_until_ready()
        return self

    def _command(self) -> list[str]:
        python = os.environ.get("FIGURA_COMFYUI_PYTHON", sys.executable)
        options = {
            "--base-directory": str(self.base),
            "--user-directory": str(self.base / "user"),
            "--listen": "127.0.0.1",
            "--port": str(self.port),
            "--database-url": "sqlite:///:memory:",
        }
        if os.environ.get("FIGURA_COMFYUI_FRONTEND"):
            options["--front-end-root"] = os.environ["FIGURA_COMFYUI_FRONTEND"]
        pairs = [word for option in options.items() for word in option]
        return [python, "-s", "main.py", "--cpu", "--disable-auto-launch", *pairs]

    def _wait_until_ready(self) -> None:
        limit = time.monotonic() + START_LIMIT_S
        while time.monotonic() < limit:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"ComfyUI stopped while starting:\n{self.log[-4000:]}")
            try:
                self.json("/system_stats")
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        raise TimeoutError(f"ComfyUI did not answer within {START_LIMIT_S:.0f} s:\n{self.log[-4000:]}")

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def get(self, path: str) -> bytes:
        with _open(self.url + path, timeout=60) as answer:
            return bytes(answer.read())

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON; an HTTP error gives its own JSON answer under "error"."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with _open(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
        return json.loads(text) if text else {}

    def upload(self, path: Path) -> str:
        """Send a picture into the input folder, over one of its name; gives its name there."""
        return str(asyncio.run(self._upload(path))["name"])

    async def _upload(self, path: Path) -> Any:
        form = aiohttp.FormData()
        form.add_field("image", path.read_bytes(), filename=path.name, content_type="image/png")
        form.add_field("overwrite", "true")
        async with aiohttp.ClientSession() as session:
            async with session.post(self.url + "/upload/image", data=form) as answer:
                return await answer.json()

    def image(self, image: Mapping[str, Any]) -> bytes:
        """The file of one entry of `Run.images`."""
        return self.get("/view?" + urllib.parse.urlencode(image))

    def run(self, graph: Mapping[str, Any], on_event: OnEvent | None = None) -> Run:
        """Queue an API graph and listen until it ends. on_event(name, data) hears every JSON event."""
        return asyncio.run(asyncio.wait_for(self._run(graph, on_event), RUN_LIMIT_S))

    async def _run(self, graph: Mapping[str, Any], on_event: OnEvent | None) -> Run:
        async with aiohttp.ClientSession() as session:
            address = f"{self.url}/ws?clientId={self.client_id}"
            async with session.ws_connect(address, max_msg_size=0) as socket_:
                flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
                await socket_.send_json(flags)
                body = {"prompt": graph, "client_id": self.client_id}
                answer = await asyncio.to_thread(self.post, "/prompt", body)
                if "prompt_id" not in answer or answer.get("node_errors"):
                    raise RuntimeError(f"ComfyUI refused the graph: {json.dumps(answer)[:4000]}")
                run = Run(answer["prompt_id"])
                await _listen(socket_, run, on_event)
        run.history = await self._history(run.prompt_id)
        return run

    async def _history(self, prompt_id: str) -> dict[str, Any]:
        """The entry of a run that has ended; the server writes it a moment after it has said so."""
        for _ in range(HISTORY_TRIES):
            entry = self.json(f"/history/{prompt_id}").get(prompt_id)
            if entry:
                return entry
            await asyncio.sleep(HISTORY_PAUSE_S)
        raise TimeoutError(f"ComfyUI has no history of {prompt_id}")

    def interrupt(self, prompt_id: str) -> None:
        self.post("/interrupt", {"prompt_id": prompt_id})


async def _listen(socket_: aiohttp.ClientWebSocketResponse, run: Run, on_event: OnEvent | None) -> None:
    async for message in socket_:
        if message.type == aiohttp.WSMsgType.BINARY:
            _note_preview(message.data, run)
        elif message.type == aiohttp.WSMsgType.TEXT:
            event = json.loads(message.data)
            name, data = event["type"], event.get("data") or {}
            run.events.append((name, data))
            if on_event is not None:
                on_event(name, data)
            if name in LAST_EVENTS and data.get("prompt_id") == run.prompt_id:
                return


def _note_preview(data: bytes, run: Run) -> None:
    """Binary event 4: uint32 kind, uint32 length, that many bytes of JSON, the picture."""
    if int.from_bytes(data[:4], "big") == PREVIEW_WITH_METADATA:
        length = int.from_bytes(data[4:8], "big")
        run.previews.append((json.loads(data[8 : 8 + length]), data[8 + length :]))
