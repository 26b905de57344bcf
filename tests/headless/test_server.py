"""The client of ComfyUI's HTTP and websocket interface, against a small server that speaks it."""

import asyncio
import io
import os
import threading
from pathlib import Path

import pytest
from aiohttp import web
from figura.headless import server as client
from figura.headless import sharing
from figura.headless.graph import GraphError
from figura.headless.jobs import Job, make_jobs
from figura.headless.runner import NodeError
from figura.headless.sharing import run_on_servers
from figura.host import Cancelled
from PIL import Image

GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "sub/x"}},
}


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(buffer, format="PNG")
    return buffer.getvalue()


ODD_ANSWERS = {
    "no json": lambda: web.Response(text="<html>502 Bad Gateway</html>"),
    "error 500": lambda: web.Response(status=500, text="boom"),
    "a list": lambda: web.json_response([1, 2]),
    "brackets": lambda: web.Response(text="[" * 100_000),
    "no id": lambda: web.json_response({"prompt_id": {"a": 1}}),
}


REFUSED_UPLOADS = {"too large": 413, "bad name": 400, "no access": 403}
DROPPED = ("dropped and ended", "dropped and going on", "dropped and failed", "dropped and stopped")


class FakeComfyUI:
    """Answers as ComfyUI does; `ending` decides how runs end.

    Connections of `away_for` seconds after the first run began are reset.
    """

    def __init__(self, ending="success", away_for=0.0):
        self.ending, self.away_for, self.away_until = ending, away_for, 0.0
        self.users, self.reset_once, self.begun = set(), set(), []
        self.prompts, self.uploads, self.posts, self.asked = [], [], [], 0
        self.sockets, self.finished, self.forgotten = {}, set(), set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())

    async def _start(self):
        app = web.Application(middlewares=[self.connection])
        app.add_routes([
            web.get("/ws", self.ws), web.post("/prompt", self.prompt), web.get("/history/{id}", self.history),
            web.get("/view", self.view), web.post("/upload/image", self.upload),
            web.post("/interrupt", self.note), web.post("/queue", self.note),
            web.get("/queue", self.queue),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    @web.middleware
    async def connection(self, request, handler):
        self.users.add(request.headers.get("Authorization", ""))
        away = self._loop.time() < self.away_until
        if away or (self.ending == "flaky" and self.prompts and request.path not in self.reset_once):
            self.reset_once.add(request.path)
            request.transport.abort()
            return web.Response()
        answer = await handler(request)
        if self.ending == "answer lost" and request.path == "/prompt" and self.asked == 1:
            request.transport.abort()
        return answer

    async def ws(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets[request.query["clientId"]] = socket
        await socket.send_json({"type": "status", "data": {"status": {}}})
        await socket.send_bytes(b"\x00\x00\x00\x01preview")
        async for _ in socket:
            pass
        return socket

    async def prompt(self, request):
        content = await request.json()
        self.asked += 1
        if self.ending == "silent":
            await asyncio.sleep(3600)
        if self.ending in ODD_ANSWERS:
            return ODD_ANSWERS[self.ending]()
        if self.ending in ("refused", "partly refused"):
            error = {
                "message": "Value not in list",
                "details": "mode: 'q'",
                "extra_info": {"input_name": "mode"},
            }
            node_errors = {"2": {"class_type": "SaveImage", "errors": [error]}}
            if self.ending == "partly refused":
                return web.json_response({"prompt_id": "p0", "node_errors": node_errors})
            return web.json_response({"error": {"message": "failed"}, "node_errors": node_errors}, status=400)
        self.prompts.append(content["prompt"])
        prompt_id = content["prompt_id"] if self.ending == "answer lost" else f"p{len(self.prompts)}"
        self.begun.append(prompt_id)
        asyncio.ensure_future(self._run(self.sockets[content["client_id"]], prompt_id))
        return web.json_response({"prompt_id": prompt_id})

    async def _run(self, socket, prompt_id):
        await asyncio.sleep(0.05)
        data = {"prompt_id": prompt_id, "node": "2", "value": 1, "max": 2}
        await socket.send_json({"type": "progress", "data": data})
        if self.away_for and len(self.prompts) == 1:
            self.away_until = self._loop.time() + self.away_for
            self.forgotten.add(prompt_id)
            await socket.close()
        elif self.ending == "gone":
            await socket.close()
        elif self.ending in DROPPED:
            self.sockets.clear()
            await socket.close()
            await self._after_the_drop(prompt_id)
        elif self.ending == "error":
            what = {"node_id": "2", "node_type": "SaveImage", "exception_message": "no room"}
            await socket.send_json({"type": "execution_error", "data": {**data, **what}})
        elif self.ending == "stopped":
            await socket.send_json({"type": "execution_interrupted", "data": data})
        elif self.ending == "unheard":
            self.finished.add(prompt_id)
        elif self.ending in ("success", "flaky", "answer lost", "removed", "sound", *REFUSED_UPLOADS):
            await socket.send_json({"type": "execution_success", "data": {"prompt_id": "another"}})
            await socket.send_json({"type": "execution_success", "data": {"prompt_id": prompt_id}})
            await asyncio.sleep(0.05)
            self.finished.add(prompt_id)
            await socket.send_json({"type": "executing", "data": {"node": None, "prompt_id": prompt_id}})

    async def _after_the_drop(self, prompt_id):
        while self.ending == "dropped and going on" and not self.sockets:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        self.finished.add(prompt_id)
        for socket in self.sockets.values():
            await socket.send_json({"type": "executing", "data": {"node": None, "prompt_id": prompt_id}})

    async def history(self, request):
        image = {"filename": "x_00009_.png", "subfolder": "sub", "type": "output"}
        outputs = {"2": {"images": [image, {**image, "type": "temp"}]}, "3": {"text": ["a"]}}
        if self.ending == "sound":
            sound = {**image, "filename": "a_00001_.flac"}
            outputs = {"2": {"audio": [sound], "animated": [True], "gifs": [sound], "text": ["a"]}}
        prompt_id = request.match_info["id"]
        what = {
            "prompt_id": prompt_id,
            "node_id": "2",
            "node_type": "SaveImage",
            "exception_message": "no room",
        }
        messages = [["execution_start", {"prompt_id": prompt_id}]]
        messages += [["execution_error", what]] if self.ending == "dropped and failed" else []
        messages += [["execution_interrupted", what]] if self.ending == "dropped and stopped" else []
        entry = {"outputs": outputs, "status": {"messages": messages}}
        return web.json_response({prompt_id: entry} if prompt_id in self.finished else {})

    async def queue(self, request):
        running = [
            [0, each]
            for each in self.begun
            if self.ending != "gone" and each not in self.finished | self.forgotten
        ]
        return web.json_response({"queue_running": running, "queue_pending": []})

    async def view(self, request):
        return web.Response(status=404) if self.ending == "removed" else web.Response(body=png())

    async def upload(self, request):
        if self.ending in REFUSED_UPLOADS:
            return web.Response(
                status=REFUSED_UPLOADS[self.ending], text="Maximum request body size exceeded"
            )
        field = await (await request.multipart()).next()
        self.uploads.append((field.filename, await field.read()))
        return web.json_response({"name": f"up_{field.filename}", "subfolder": "", "type": "input"})

    async def note(self, request):
        self.posts.append((request.path, await request.json()))
        return web.Response()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(client, "RESTS", (0.0, 0.0, 0.1))
    monkeypatch.setattr(sharing, "AGAIN", 0.2)


def run(servers, jobs, folder, report=lambda *step: None):
    return run_on_servers([server.url for server in servers], jobs, folder, report)


def test_a_graph_runs_and_its_pictures_are_fetched(tmp_path):
    steps = []
    with FakeComfyUI() as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path, lambda *step: steps.append(step))
        again = run([server], [Job("", GRAPH)], tmp_path)
    assert result.files == [tmp_path / "sub" / "x_00001_.png"]
    assert again[0].files == [tmp_path / "sub" / "x_00002_.png"]
    assert result.files[0].read_bytes() == png()
    assert steps == [(f"{server.url} node 2 (SaveImage)", 1, 2)]


@pytest.mark.parametrize("name", ["mine.png", "\u65e5\u306e\u51fa (1) 100%.png"])
def test_local_pictures_are_uploaded_under_their_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(png())
    graph = {**GRAPH, "1": {"class_type": "LoadImage", "inputs": {"image": str(tmp_path / name)}}}
    with FakeComfyUI() as server:
        run([server], [Job("", graph)], tmp_path / "out")
    assert server.uploads == [(name, png())]
    assert server.prompts[0]["1"]["inputs"]["image"] == f"up_{name}"
    assert graph["1"]["inputs"]["image"].endswith(name)


def test_a_picture_whose_name_is_no_text_is_sent_under_one_that_is(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in (b"a\xff.png", b"b.png"):
        try:
            Path(os.fsdecode(os.path.join(os.fsencode(tmp_path / "pictures"), name))).write_bytes(png())
        except OSError:
            pytest.skip("names are texts on this disk")
    graph = {**GRAPH, "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    with FakeComfyUI() as server:
        results = run([server], make_jobs(graph, [], [tmp_path / "pictures"]), tmp_path / "out")
    assert [(result.job.name, result.error) for result in results] == [("a_", None), ("b", None)]
    assert [name for name, _ in server.uploads] == ["a_.png", "b.png"]


@pytest.mark.parametrize(
    ("place", "content", "why"),
    [
        ("elsewhere/id_rsa", b"-----BEGIN OPENSSH PRIVATE KEY-----", "outside the working folder"),
        ("elsewhere/photo.png", png(), "outside the working folder"),
        ("here/.ssh/photo.png", png(), "outside the working folder"),
        ("here/../elsewhere/photo.png", png(), "outside the working folder"),
        ("here/notes.png", b"a secret", "no picture"),
    ],
)
def test_a_strangers_graph_sends_no_file_of_this_machine(tmp_path, monkeypatch, place, content, why):
    path = tmp_path / place
    for folder in (path.parent, tmp_path / "here"):
        folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    monkeypatch.chdir(tmp_path / "here")
    graph = {**GRAPH, "1": {"class_type": "LoadImage", "inputs": {"image": str(path)}}}
    with FakeComfyUI() as server:
        (result,) = run([server], [Job("", graph)], tmp_path / "out")
        assert not server.uploads and not server.prompts
        assert isinstance(result.error, GraphError) and why in str(result.error)
        said = make_jobs(graph, [f"1.image={path}"], [])
        (result,) = run([server], said, tmp_path / "out")
    assert (result.error is None) == (content == png()) and len(server.uploads) == (content == png())


def test_a_picture_too_large_to_be_opened_is_told_its_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    (tmp_path / "x.png").write_bytes(png())
    with FakeComfyUI() as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path / "out")
    assert isinstance(result.error, GraphError) and not server.uploads
    assert "larger than what ComfyUI opens (Image size (4 pixels)" in str(result.error)


@pytest.mark.parametrize(
    ("ending", "kind", "said"),
    [
        ("refused", GraphError, r"node 2 \(SaveImage\), input 'mode': Value not in list"),
        ("partly refused", GraphError, r"node 2 \(SaveImage\), input 'mode': Value not in list"),
        ("error", NodeError, r"node 2 \(SaveImage\): no room"),
        ("stopped", Cancelled, "stopped"),
    ],
)
def test_a_run_that_fails_there_is_a_result_with_an_error(tmp_path, ending, kind, said):
    with FakeComfyUI(ending) as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path)
    with pytest.raises(kind, match=said):
        raise result.error


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (
            "too large",
            "x.png is larger than {} takes: scale it down, or start ComfyUI with a larger --max-up",
        ),
        ("bad name", "{} does not take x.png .error 400.: give it another name"),
    ],
)
def test_a_picture_that_a_server_refuses_is_the_jobs_error_and_the_server_stays(
    tmp_path, monkeypatch, ending, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").write_bytes(png())
    unloaded = {"2": {**GRAPH["2"], "inputs": {"images": ["3", 0]}}}
    jobs = [Job(str(number), GRAPH) for number in range(4)] + [Job("last", unloaded)]
    with FakeComfyUI(ending) as server:
        results = run([server], jobs, tmp_path / "out")
    assert [bool(result.error) for result in results] == [True] * 4 + [False]
    with pytest.raises(client.FileRefused, match=said.format(server.url)):
        raise results[0].error


def test_a_server_that_takes_no_picture_from_us_is_at_fault_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sharing, "REST", 0.0)
    (tmp_path / "x.png").write_bytes(png())
    with FakeComfyUI("no access") as bad, FakeComfyUI() as good:
        results = run([bad, good], [Job(str(number), GRAPH) for number in range(3)], tmp_path / "out")
    assert [result.error for result in results] == [None] * 3 and len(good.prompts) == 3


def test_a_result_that_was_removed_on_the_server_is_told_with_the_remedy(tmp_path):
    with FakeComfyUI("removed") as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path)
    assert "no longer has x_00009_.png" in str(result.error) and "--set ID.filename_prefix" in str(
        result.error
    )
    assert len(server.prompts) == 1


def test_files_of_every_kind_are_fetched_each_once(tmp_path):
    with FakeComfyUI("sound") as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path)
    assert [file.name for file in result.files] == ["a_00001_.flac"]


def test_the_password_of_a_server_is_sent_and_never_told(tmp_path):
    told = []
    with FakeComfyUI() as server:
        url = server.url.replace("//", "//me:p%40ss@")
        run_on_servers([url], [Job("", GRAPH)], tmp_path, lambda *step: told.append(str(step)))
    assert told and server.users == {"Basic bWU6cEBzcw=="}
    for gone in ("http://me:p%40ss@127.0.0.1:9", "me:p@ss@127.0.0.1:9"):
        (result,) = run_on_servers([gone], [Job("", GRAPH)], tmp_path, lambda *step: None)
        told.append(str(result.error))
        assert "http://127.0.0.1:9 cannot be reached" in told[-1]
    for wrong in ("ftp://me:p@ss@host", "me:p@ss@"):
        with pytest.raises(ValueError, match="an address like http") as caught:
            client.ComfyServer(wrong)
        told.append(str(caught.value))
    assert not any("ss@" in text or "me:" in text for text in told)


def test_cancelling_here_stops_the_run_there(tmp_path):
    async def cancel_soon(url):
        async with client.ComfyServer(url) as server:
            task = asyncio.ensure_future(server.run(GRAPH, lambda *step: task.cancel()))
            with pytest.raises(asyncio.CancelledError):
                await task

    with FakeComfyUI("never") as server:
        asyncio.run(cancel_soon(server.url))
    assert ("/interrupt", {"prompt_id": "p1"}) in server.posts
