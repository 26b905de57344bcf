"""The headless runner: order, caching, errors, cancelling."""

import threading

import pytest
import torch
from figura.headless.graph import GraphError
from figura.headless.runner import NodeError, Runner
from figura.headless.stock_nodes import STOCK_NODES
from figura.host import Cancelled, get_host
from figura.host.plain import PlainHost


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
    def run(self, value, after=0):
        raise torch.cuda.OutOfMemoryError("no memory")


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


def test_out_of_memory_passes_through_unchanged(runner):
    with pytest.raises(torch.cuda.OutOfMemoryError):
        runner.run(graph("OutOfMemory"))


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
