"""What is heard of a run on a ComfyUI server: events without sense, others' events, errors of our own."""

import asyncio

import pytest
from figura.headless import server as client
from figura.headless.jobs import Job
from figura.tests.headless.test_server import GRAPH, FakeComfyUI, png, quick, run  # noqa: F401

SENSELESS = (
    "nonsense", "[" * 100_000, "3", "null", '{"type": "progress"}', '{"type": "progress", "data": []}',
    '{"type": "progress", "data": {"prompt_id": "p1"}}',
    '{"type": "progress", "data": {"prompt_id": "p1", "value": "?", "max": null}}',
    '{"type": "progress", "data": {"prompt_id": "p1", "value": Infinity, "max": NaN}}',
    '{"type": ["executing"], "data": {"prompt_id": "p1", "node": null}}',
)  # fmt: skip


class Senseless(FakeComfyUI):
    """Says much, and then that the run has ended."""

    async def _run(self, socket, prompt_id):
        for text in SENSELESS:
            await socket.send_str(text)
        await super()._run(socket, prompt_id)


class Busy(FakeComfyUI):
    """Never says that the run has ended, and goes on about other things."""

    async def _run(self, socket, prompt_id):
        self.finished.add(prompt_id)
        while not socket.closed:
            await socket.send_json({"type": "monitor", "data": {"cpu": 1}})
            await asyncio.sleep(0.01)


def test_events_without_sense_are_passed_over_and_the_run_goes_on(tmp_path):
    steps = []
    with Senseless() as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path, lambda *step: steps.append(step[1:]))
    assert result.error is None and [file.read_bytes() for file in result.files] == [png()]
    assert steps == [(1, 2)] and server.posts == [] and len(server.prompts) == 1


def test_the_end_of_a_run_is_asked_after_though_others_events_keep_coming(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "LISTEN", 0.1)
    with Busy() as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path)
    assert result.error is None and len(server.prompts) == 1


def test_an_error_here_stops_the_run_there():
    def report(*step):
        raise ZeroDivisionError

    async def fail(url):
        async with client.ComfyServer(url) as server:
            with pytest.raises(ZeroDivisionError):
                await server.run(GRAPH, report)

    with FakeComfyUI("never") as server:
        asyncio.run(fail(server.url))
    assert ("/interrupt", {"prompt_id": "p1"}) in server.posts
