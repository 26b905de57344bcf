"""Stock nodes that are only declared here."""

import pytest
from figura.headless.graph import GraphError, validate
from figura.headless.native_nodes import NATIVE_NODES, is_native
from figura.headless.runner import Runner, all_node_classes
from figura.headless.stock_nodes import STOCK_NODES


def graph(checkpoint: str) -> dict:
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 8, "height": 8}},
        "3": {"class_type": "MaskToImage", "inputs": {"mask": ["2", 0]}},
        "4": {"class_type": "VAEEncode", "inputs": {"pixels": ["3", 0], "vae": ["1", 2]}},
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "x"}},
    }


def test_they_are_none_of_those_that_run_here_but_can_be_built():
    assert not set(NATIVE_NODES) & set(STOCK_NODES)
    assert set(NATIVE_NODES) <= set(all_node_classes())
    assert is_native("KSampler") and not is_native("LoadImage")


def test_any_checkpoint_is_valid_since_only_the_server_knows_its_own():
    assert len(validate(graph("my/own.safetensors"), all_node_classes())) == 6


@pytest.mark.parametrize("name", list(NATIVE_NODES))
def test_run_here_each_says_that_it_needs_comfyui(name):
    node = NATIVE_NODES[name]()
    with pytest.raises(RuntimeError, match=f"{name} is a node of ComfyUI.*--server"):
        getattr(node, node.FUNCTION)()


def test_the_runner_names_all_of_them_before_anything_runs(monkeypatch):
    monkeypatch.setattr(STOCK_NODES["SolidMask"], "solid", lambda self, **given: pytest.fail("it ran"))
    with pytest.raises(GraphError) as caught:
        Runner().run(graph("x.safetensors"))
    assert [problem.node_id for problem in caught.value.problems] == ["1", "4", "5"]
    assert "node 1 (CheckpointLoaderSimple): is a node of ComfyUI and needs it" in str(caught.value)
