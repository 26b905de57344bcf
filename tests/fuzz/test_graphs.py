"""Graph files that nobody meant to write: read, or refused by a short sentence; what is printed of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from figura.cli import console
from figura.cli.main import main
from figura.headless.graph import GraphError, load_graph, validate
from figura.headless.jobs import make_jobs
from figura.headless.runner import NodeError, Runner, all_node_classes
from figura.headless.settings import title_of
from figura.host.plain import PlainHost
from figura.models.sentences import printable

from . import bad_values, limits

GOOD = {
    "1": {"class_type": "FiguraExamplePerson", "inputs": {"seed": 1, "size": 64, "occlusion": 0.5}},
    "2": {
        "class_type": "FiguraPointPrompt",
        "inputs": {"image": ["1", 0], "prompt_type": "pose", "points": "", "pose_keypoint": ["1", 2]},
        "_meta": {"title": "Point Prompt"},
    },
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "a/b"}},
}
SEED, SAVE = GOOD["1"]["inputs"], GOOD["3"]["inputs"]
LONGEST_SENTENCE = 8000
CALLS, ALL_CALLS = 200, 2000


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("graphs")
    yield Runner(PlainHost(folder / "in", folder / "out", folder / "models", "cpu"))


def changed(node_id: str, **parts: Any) -> dict[str, Any]:
    """GOOD with parts of one node replaced."""
    return {**GOOD, node_id: {**GOOD[node_id], **parts}}


def written(folder: Path, graph: Any) -> Path:
    path = folder / "graph.json"
    path.write_text(graph if isinstance(graph, str) else json.dumps(graph), encoding="utf-8")
    return path


def sentence(folder: Path, graph: Any, runner: Runner) -> str:
    """What is said of a graph; empty when it ran."""
    try:
        (job,) = make_jobs(load_graph(written(folder, graph)), [], [])
        runner.run(job.graph)
    except (GraphError, NodeError) as error:
        assert error.__cause__ is None or isinstance(
            error.__cause__, (ValueError, TypeError, OSError, RecursionError)
        )
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        ("\ufeff" + json.dumps(GOOD), ""),
        ({"prompt": GOOD}, ""),
        (changed("2", _meta=None), ""),
        (changed("2", _meta={"title": None}), ""),
        (changed("3", inputs={**SAVE, "filename_prefix": ""}), ""),
        (changed("3", inputs={**SAVE, "filename_prefix": "a\0b"}), "filename_prefix"),
        (changed("3", inputs={**SAVE, "filename_prefix": "a" * 5000}), "5000"),
        (changed("1", inputs=None), "is missing"),
        ("[" * 100_000, "is not JSON"),
        ("9" * 6000, "is not JSON"),
        ('{"1": {"class_type": "A", "inputs": {"a": ' + "[" * 300 + "]" * 300 + "}}}", "100 levels deep"),
        ({str(n): {"class_type": f"Unknown{n}", "inputs": {}} for n in range(20_000)}, "19980 more problems"),
        ({"1": {"class_type": "\x1b[2J\x07Evil", "inputs": {}}}, r"\x1b[2J\x07Evil"),
        (changed("1", inputs={**SEED, "seed": 10**400}), "401 digits"),
        (changed("1", inputs={**SEED, "seed": "x" * 9000}), "9000 characters"),
        (changed("3", inputs={**SAVE, "images": ["2", 10**400]}), "401 digits"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
def test_strange_graphs_run_or_are_refused_by_a_short_sentence(
    graph: Any, says: str, tmp_path: Path, runner: Runner
) -> None:
    with limits.seconds(20):
        said = sentence(tmp_path, graph, runner)
    assert said == "" if says == "" else says in said
    assert len(said) < LONGEST_SENTENCE and printable(said) == said


def test_no_file_without_a_name_is_saved(tmp_path: Path) -> None:
    runner = Runner(PlainHost(tmp_path / "in", tmp_path / "out", device="cpu"))
    graph = changed("3", inputs={**SAVE, "filename_prefix": "  "})
    assert [path.name for path in runner.run(graph).files] == ["ComfyUI_00001_.png"]


def test_a_long_chain_is_ordered_at_once() -> None:
    chain = {
        str(n): {"class_type": "ImageInvert", "inputs": {"image": [str(n - 1), 0]}} for n in range(1, 20_000)
    }
    graph = {"0": {"class_type": "ImageInvert", "inputs": {"image": ["0", 0]}}, **chain}
    graph["end"] = {"class_type": "PreviewImage", "inputs": {"images": ["19999", 0]}}
    with limits.seconds(20), pytest.raises(GraphError, match="cycle"):
        validate(graph, all_node_classes())


def test_a_title_is_found_whatever_stands_in_its_place() -> None:
    for meta in (None, 3, [], {}, {"title": None}, {"title": ""}):
        assert title_of({"class_type": "Some", "_meta": meta}) == "Some"


def test_what_is_printed_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = {"1": {"class_type": "Evil\x1b]0;title\x07\u202e", "inputs": {}}}
    assert main(["run", str(written(tmp_path, graph))]) == 1
    console.say("\x1b[2J")
    console.ProgressLine().report("node \x1b[31m", 1, 1)
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err and "\x07" not in err and "\u202e" not in err
    assert r"Evil\x1b]0;title\x07\u202e" in err and out == "\\x1b[2J\n"


def spoiled_graphs(count: int, folder: Path, runner: Runner) -> int:
    """How many spoiled graphs were refused."""
    refused = 0
    with limits.memory(2**31):
        for number in range(count):
            graph = bad_values.spoiled(GOOD, Random(number))
            with limits.seconds(30):
                said = sentence(folder, graph, runner)
            assert len(said) < LONGEST_SENTENCE and printable(said) == said
            refused += bool(said)
    return refused


def test_spoiled_graphs_run_or_are_refused(tmp_path: Path, runner: Runner) -> None:
    assert 0 < spoiled_graphs(CALLS, tmp_path, runner) < CALLS


@pytest.mark.fuzz
def test_two_thousand_spoiled_graphs(tmp_path: Path, runner: Runner) -> None:
    assert 0 < spoiled_graphs(ALL_CALLS, tmp_path, runner) < ALL_CALLS
