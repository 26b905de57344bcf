"""HumanSD with ComfyUI's own loader, samplers and autoencoder, on random weights."""

from __future__ import annotations

import pytest
from figura.headless.runner import all_node_classes
from figura.tests.comfyui.native import only, saved, write_checkpoint
from figura.workflows.forms import api_form
from figura.workflows.humansd import HUMANSD_CHECKPOINT, humansd_native

pytestmark = pytest.mark.comfyui
STEPS = 2


@pytest.fixture(scope="module")
def stock(comfyui):
    """A ComfyUI with a checkpoint that it takes for HumanSD."""
    checkpoint = write_checkpoint(comfyui, "tiny_humansd.py", HUMANSD_CHECKPOINT)
    yield comfyui
    checkpoint.unlink()


def graph_with(**sampler: object) -> dict:
    """The described workflow with these inputs of its KSampler, small."""
    graph = api_form(humansd_native(all_node_classes()))
    only(graph, "KSampler")["inputs"].update({"steps": STEPS, "cfg": 2.0, **sampler})
    only(graph, "FiguraHumanSDPose")["inputs"].update({"width": 128, "height": 192})
    return graph


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
def test_a_person_is_drawn_in_the_size_of_the_skeleton(stock, sampler):
    drawn = saved(stock, graph_with(sampler_name=sampler))
    assert drawn.shape == (192, 128, 3) and drawn.std() > 0


def test_the_pose_and_its_strength_count_and_the_model_is_left_as_it_was(stock):
    graph = graph_with()
    first = saved(stock, graph)
    only(graph, "FiguraApplyHumanSD")["inputs"]["pose_strength"] = 0.0
    without = saved(stock, graph)
    only(graph, "FiguraApplyHumanSD")["inputs"]["pose_strength"] = 1.0
    only(graph, "KSampler")["inputs"]["denoise"] = 1.0
    again = saved(stock, graph)
    assert (first != without).any() and (first == again).all()
    node = only(graph, "KSampler")
    node["inputs"]["model"] = only(graph, "FiguraApplyHumanSD")["inputs"]["model"]
    assert stock.run(graph).end == "execution_error", "unpatched, ComfyUI wants a mask and 9 channels"


def test_a_model_of_another_kind_is_refused(stock):
    other = write_checkpoint(stock, "tiny_checkpoint.py", "sd15.safetensors")
    graph = graph_with()
    only(graph, "CheckpointLoaderSimple")["inputs"]["ckpt_name"] = other.name
    run = stock.run(graph)
    other.unlink()
    assert run.end == "execution_error"
    message = run.of("execution_error")[0]["exception_message"]
    assert "4-channel" in message and "Stable Diffusion 1.5, text to image" in message
