"""Connections to a ComfyUI server that break while a graph runs there."""

import pytest
from figura.headless.jobs import Job
from figura.headless.runner import NodeError
from figura.host import Cancelled
from figura.tests.headless.test_server import GRAPH, FakeComfyUI, png, quick, run  # noqa: F401


@pytest.mark.parametrize("ending", ["dropped and ended", "dropped and going on"])
def test_a_run_whose_connection_broke_is_found_again_and_not_repeated(tmp_path, ending):
    with FakeComfyUI(ending) as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path)
    assert result.error is None and [file.read_bytes() for file in result.files] == [png()]
    assert len(server.prompts) == 1 and ("/interrupt", {"prompt_id": "p1"}) not in server.posts


@pytest.mark.parametrize(
    ("ending", "kind", "said"),
    [
        ("dropped and failed", NodeError, r"node 2 \(SaveImage\): no room"),
        ("dropped and stopped", Cancelled, "stopped"),
    ],
)
def test_a_failure_while_the_connection_was_broken_is_told(tmp_path, ending, kind, said):
    with FakeComfyUI(ending) as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path)
    assert isinstance(result.error, kind) and len(server.prompts) == 1
    with pytest.raises(kind, match=said):
        raise result.error


def test_every_request_may_break_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").write_bytes(png())
    with FakeComfyUI("flaky") as server:  # from its second job on
        results = run([server], [Job("", GRAPH)] * 2, tmp_path / "out")
    assert [result.error for result in results] == [None] * 2 and len(server.prompts) == 2
    assert server.reset_once >= {"/upload/image", "/ws", "/prompt", "/view", "/history/p1"}


def test_a_graph_whose_receipt_was_lost_is_not_queued_twice(tmp_path):
    with FakeComfyUI("answer lost") as server:
        (result,) = run([server], [Job("", GRAPH)], tmp_path)
    assert result.error is None and len(server.prompts) == 1
