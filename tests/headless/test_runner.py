"""The headless runner: order, caching, errors, cancelling."""

import json
import threading
import weakref

import pytest
import torch
from figura.headless.graph import GraphError
from figura.headless.runner import NodeError, Runner
from figura.headless.stock_nodes import STOCK_NODES
from figura.host import Cancelled, get_host
from figura.host.plain import PlainHost
from PIL import Image


class Count:
    """Counts how often it ran."""

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    runs = 0

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {})}, "optional": {"after": ("INT", {})}}

    def run(self, value, after=0):
        type(self).runs += 1
        return (value + after,)


class Restless(Count):
    """IS_CHANGED says NaN: runs every time."""

    @classmethod
    def IS_CHANGED(cls, value):
        return float("nan")


class Broken(Count):
    def run(self, value, after=0):
        raise ValueError("got nothing, change 'value'")


class OutOfMemory(Count):
    pass


class Slow(Count):
    def run(self, value, after=0):
        bar = get_host().progress(1000, "1")
        for step in range(1000):
            self.on_step(step)
            bar.step(step + 1)
        return (value,)


class Sink:
    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        hidden = {"prompt": "PROMPT", "unique_id": "UNIQUE_ID", "extra": "EXTRA_PNGINFO"}
        return {"required": {"value": ("INT", {})}, "hidden": hidden}

    def run(self, value, prompt, unique_id, extra):
        return {"ui": {"value": [value]}, "result": (prompt, unique_id, extra)}


NODES = (Count, Restless, Broken, OutOfMemory, Slow, Sink)
CLASSES = {**STOCK_NODES, **{node.__name__: node for node in NODES}}


@pytest.fixture
def runner(tmp_path):
    Count.runs = Restless.runs = 0
    return Runner(PlainHost(tmp_path / "in", tmp_path / "out", device="cpu"), CLASSES)


def graph(kind="Count", value=1):
    return {
        "1": {"class_type": kind, "inputs": {"value": value, "ignored": 5}},
        "2": {"class_type": "Sink", "inputs": {"value": ["1", 0]}},
    }


def test_a_second_run_runs_nothing_and_still_shows_the_output(runner):
    runner.run(graph())
    again = runner.run(graph())
    assert (again.executed, again.cached, again.ui["2"]) == ([], ["1", "2"], {"value": [1]})
    assert Count.runs == 1


def test_only_what_changed_and_what_follows_it_runs_again(runner):
    chain = graph()
    chain["3"] = {"class_type": "Count", "inputs": {"value": 1, "after": ["1", 0]}}
    chain["4"] = {"class_type": "Sink", "inputs": {"value": ["3", 0]}}
    runner.run(chain)
    chain["3"]["inputs"]["value"] = 5
    again = runner.run(chain)
    assert again.executed == ["3", "4"]
    assert again.outputs["3"] == (6,)


def test_a_node_whose_is_changed_is_nan_always_runs(runner):
    runner.run(graph("Restless"))
    assert runner.run(graph("Restless")).executed == ["1", "2"]


def test_a_deep_diamond_graph_runs_quickly(runner):
    nodes = graph()
    for index in range(3, 60):
        before = str(index - 1) if index > 3 else "1"
        inputs = {"value": [before, 0], "after": [before, 0]}
        nodes[str(index)] = {"class_type": "Count", "inputs": inputs}
    nodes["2"]["inputs"]["value"] = ["59", 0]
    assert len(runner.run(nodes).executed) == 59
    assert runner.run(nodes).executed == []


def test_hidden_inputs_are_given(runner):
    result = runner.run(graph(value="7"), {"workflow": {"a": 1}})
    prompt, unique_id, extra = result.outputs["2"]
    assert prompt["1"]["inputs"]["value"] == "7"
    assert (unique_id, extra) == ("2", {"workflow": {"a": 1}})


def test_an_error_names_node_class_and_input_and_keeps_earlier_results(runner):
    broken = graph()
    broken["2"] = {"class_type": "Broken", "inputs": {"value": ["1", 0]}}
    broken["3"] = {"class_type": "Sink", "inputs": {"value": ["2", 0]}}
    with pytest.raises(NodeError, match=r"node 2 \(Broken\), input 'value': got nothing") as caught:
        runner.run(broken)
    assert (caught.value.node_id, caught.value.class_type, caught.value.input_name) == (
        "2",
        "Broken",
        "value",
    )
    assert runner.run(graph()).cached == ["1"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "take a smaller picture .* or give --device cpu"),
        (MemoryError(), r"take a smaller picture or fewer at a time, close other programs \(MemoryError"),
        (torch.OutOfMemoryError("memory ran out, even for one. Choose less."), "even for one. Choose less.$"),
    ],
)
def test_out_of_memory_names_the_node_and_what_helps_and_nothing_is_held(runner, monkeypatch, error, said):
    held = []

    def run(self, value, after=0):
        picture = torch.zeros(2)
        held.append(weakref.ref(picture))
        raise error

    monkeypatch.setattr(OutOfMemory, "run", run)
    nodes = graph("OutOfMemory")
    nodes["1"]["inputs"]["after"] = ["3", 0]
    nodes["3"] = {"class_type": "Count", "inputs": {"value": 1}}
    with pytest.raises(NodeError, match=r"node 1 \(OutOfMemory\): memory ran out.*" + said) as caught:
        runner.run(nodes)
    assert caught.value.ran_out and [each() for each in held] == [None] and not runner._kept
    nodes["1"]["class_type"] = "Count"
    assert runner.run(nodes).executed == ["3", "1", "2"]


def test_nothing_runs_when_anything_is_wrong(runner):
    wrong = graph()
    wrong["3"] = {"class_type": "Sink", "inputs": {"value": "many"}}
    with pytest.raises(GraphError, match="node 3"):
        runner.run(wrong)
    assert Count.runs == 0


def test_cancel_stops_at_the_next_step_and_the_next_run_is_free(runner, monkeypatch):
    steps = []

    def on_step(self, step):
        steps.append(step)
        if step == 3:
            thread = threading.Thread(target=runner.cancel)
            thread.start()
            thread.join()

    monkeypatch.setattr(Slow, "on_step", on_step, raising=False)
    with pytest.raises(Cancelled):
        runner.run(graph("Slow"))
    assert steps == [0, 1, 2, 3]
    assert runner.run(graph()).executed == ["1", "2"]


def test_keyboard_interrupt_passes_through(runner, monkeypatch):
    monkeypatch.setattr(
        Slow, "on_step", lambda self, step: (_ for _ in ()).throw(KeyboardInterrupt), raising=False
    )
    with pytest.raises(KeyboardInterrupt):
        runner.run(graph("Slow"))


def test_progress_is_reported_with_the_node_id(runner, monkeypatch):
    seen = []
    monkeypatch.setattr(Slow, "on_step", lambda self, step: None, raising=False)
    runner.host.report = lambda *step: seen.append(step)
    runner.run(graph("Slow"))
    assert seen[-1] == ("1", 1000, 1000, None)


def test_node_objects_live_as_long_as_their_id(runner):
    runner.run(graph())
    first = runner._instances["1"]
    runner.run(graph(value=3))
    assert runner._instances["1"] is first
    runner.run({"9": {"class_type": "Sink", "inputs": {"value": 1}}})
    assert list(runner._instances) == ["9"]


def shows(value):
    """A graph that shows one picture, always the same, and saves one of that value."""
    return {
        "1": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 4, "height": 4}},
        "2": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 0]}},
        "3": {"class_type": "SolidMask", "inputs": {"value": value, "width": 4, "height": 4}},
        "4": {"class_type": "MaskToImage", "inputs": {"mask": ["3", 0]}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "x"}},
    }


def test_what_was_only_shown_can_be_dropped_and_is_made_again(runner):
    runner.run(shows(0))
    runner.drop_shown()
    assert list(runner.host.temp_dir().iterdir()) == []
    again = runner.run(shows(1))
    assert again.executed == ["2", "3", "4", "5"]
    assert (runner.host.temp_dir() / again.ui["2"]["images"][0]["filename"]).is_file()


def test_files_of_every_kind_that_nodes_saved_are_named(runner, monkeypatch):
    sound = {"filename": "a.flac", "subfolder": "sub", "type": "output"}
    monkeypatch.setattr(Sink, "run", lambda self, **given: {"ui": {"audio": [sound]}})
    assert runner.run(graph()).files == [runner.host.output_dir() / "sub" / "a.flac"]


@pytest.mark.parametrize("loader", ["LoadImage", "LoadImageMask"])
def test_results_do_not_carry_the_folders_of_this_machine(tmp_path, loader):
    place = tmp_path / "secret" / "me.png"
    place.parent.mkdir()
    Image.new("RGB", (4, 4)).save(place)
    channel = {"channel": "red"} if loader == "LoadImageMask" else {}
    nodes = {
        "1": {"class_type": loader, "inputs": {"image": str(place), **channel}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    if channel:
        nodes["3"] = {"class_type": "MaskToImage", "inputs": {"mask": ["1", 0]}}
        nodes["2"]["inputs"]["images"] = ["3", 0]
    (saved,) = Runner(PlainHost(tmp_path / "in", tmp_path / "out", device="cpu")).run(nodes).files
    with Image.open(saved) as image:
        assert json.loads(image.text["prompt"])["1"]["inputs"]["image"] == "me.png"
        assert "secret" not in str(image.text)
    assert nodes["1"]["inputs"]["image"] == str(place)
