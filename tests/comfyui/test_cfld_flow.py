"""The workflow cfld_native in ComfyUI, on random weights of the width of Stable Diffusion 1.5."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from figura.headless.native_nodes import SD15_CHECKPOINT
from figura.headless.runner import all_node_classes
from figura.tests.comfyui.native import RANDOM_CFLD, only, saved, write_cfld, write_checkpoint
from figura.tests.comfyui.server import ComfyServer
from figura.workflows.cfld import cfld_native
from figura.workflows.forms import api_form

pytestmark = pytest.mark.comfyui
SIDE, STEPS = 128, 2


@pytest.fixture(scope="module")
def stock(comfyui: ComfyServer) -> Iterator[ComfyServer]:
    """A ComfyUI with a checkpoint and a file of CFLD that fits it."""
    checkpoint = write_checkpoint(comfyui, "tiny_checkpoint.py", SD15_CHECKPOINT)
    change = write_cfld(comfyui)
    yield comfyui
    checkpoint.unlink()
    change.unlink()


def graph_with(**sampler: object) -> dict:
    """The described workflow with these inputs of its KSampler, small."""
    graph = api_form(cfld_native(all_node_classes()))
    only(graph, "KSampler")["inputs"].update({"steps": STEPS, **sampler})
    only(graph, "EmptyLatentImage")["inputs"].update({"width": SIDE, "height": SIDE})
    only(graph, "FiguraLoadCFLD")["inputs"]["model"] = RANDOM_CFLD
    return graph


def test_a_person_is_drawn_11_wide_and_16_high_and_looks_count(stock: ComfyServer) -> None:
    graph = graph_with()
    first = saved(stock, graph)
    assert first.shape == (512, 352, 3) and first.std() > 0
    only(graph, "FiguraExamplePerson")["inputs"]["seed"] += 1
    assert (saved(stock, graph) != first).any()


def test_a_missing_released_file_is_told_with_its_source(stock: ComfyServer) -> None:
    graph = graph_with()
    only(graph, "FiguraLoadCFLD")["inputs"]["model"] = "pytorch_model.bin"
    run = stock.run(graph)
    assert run.end == "execution_error"
    message = run.of("execution_error")[0]["exception_message"]
    assert "no file 'pytorch_model.bin'" in message and "https://github.com/YanzuoLu/CFLD" in message
