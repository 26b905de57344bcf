"""HumanSD with ComfyUI's own loader, samplers and autoencoder, on random weights."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from figura.host.runner import all_node_classes
from figura.workflows.forms import api_form
from figura.workflows.humansd import HUMANSD_CHECKPOINT, humansd_native
from PIL import Image

pytestmark = pytest.mark.comfyui
HERE = Path(__file__).parent
STEPS = 2


@pytest.fixture(scope="module")
def stock(comfyui):
    """A ComfyUI with a checkpoint that it takes for HumanSD."""
    checkpoint = comfyui.base / "models" / "checkpoints" / HUMANSD_CHECKPOINT
    python = os.environ.get("FIGURA_COMFYUI_PYTHON", sys.executable)
    subprocess.run([python, str(HERE / "tiny_humansd.py"), str(checkpoint)], cwd=comfyui.checkout, check=True)
    yield comfyui
    checkpoint.unlink()


def graph_with(**sampler: object) -> dict:
    """The described workflow with these inputs of its KSampler, small."""
    graph = api_form(humansd_native(all_node_classes()))
    only(graph, "KSampler")["inputs"].update({"steps": STEPS, "cfg": 2.0, **sampler})
    only(graph, "FiguraHumanSDPose")["inputs"].update({"width": 128, "height": 192})
    return graph


def only(graph: dict, class_type: str) -> dict:
    (node,) = [node for node in graph.values() if node["class_type"] == class_type]
    return node


def saved(server, graph: dict) -> np.ndarray:
    """What the last node saved: the person; the one before it saves the skeleton."""
    run = server.run(graph)
    assert run.end == "execution_success", run.events[-1]
    node_ids = [node_id for node_id, node in graph.items() if node["class_type"] == "SaveImage"]
    data = server.picture(run.images(node_ids[-1])[0])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


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
    other = stock.base / "models" / "checkpoints" / "sd15.safetensors"
    python = os.environ.get("FIGURA_COMFYUI_PYTHON", sys.executable)
    subprocess.run([python, str(HERE / "tiny_checkpoint.py"), str(other)], cwd=stock.checkout, check=True)
    graph = graph_with()
    only(graph, "CheckpointLoaderSimple")["inputs"]["ckpt_name"] = other.name
    run = stock.run(graph)
    other.unlink()
    assert run.end == "execution_error"
    message = run.of("execution_error")[0]["exception_message"]
    assert "4-channel" in message and "Stable Diffusion 1.5, text to image" in message
