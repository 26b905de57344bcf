"""The workflow cfld_native in ComfyUI, on random weights of the width of Stable Diffusion 1.5."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from figura.headless.native_nodes import SD15_CHECKPOINT
from figura.headless.runner import all_node_classes
from figura.models.cfld.checkpoint import FILE_KIND, change_tensors
from figura.models.cfld.config import CFLDConfig
from figura.models.cfld.networks import CFLDNetworks
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.tests.comfyui.native import only, saved, write_checkpoint
from figura.tests.comfyui.server import ComfyServer
from figura.workflows.cfld import cfld_native
from figura.workflows.forms import api_form

pytestmark = pytest.mark.comfyui
SIDE, STEPS = 128, 2
FILE = "random_cfld.safetensors"
# For the U-Net of tiny_checkpoint.py: two levels of the full width.
CONFIG = CFLDConfig(
    channels=(320, 320), layers=1, plain_levels=0, context=768, source_size=64, patch=4, embed=16,
    depths=(1, 1, 1), heads=(1, 2, 4), window=4, first_map=0, queries=4, decoder_blocks=1, widths=(32, 32),
    appearance_blocks=1, pose_size=64, unshuffle=4, groups=32, aspect=(11, 16),
)  # fmt: skip


@pytest.fixture(scope="module")
def stock(comfyui: ComfyServer) -> Iterator[ComfyServer]:
    """A ComfyUI with a checkpoint and a file of CFLD that fits it."""
    checkpoint = write_checkpoint(comfyui, "tiny_checkpoint.py", SD15_CHECKPOINT)
    torch.manual_seed(1)
    networks = CFLDNetworks(CONFIG)
    for name, parameter in networks.named_parameters():
        if "zero_conv" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    matrices = {
        f"up_blocks.{up}.attentions.{number}.transformer_blocks.0.attn2.to_{kind}.weight": (
            torch.randn(320, 768) * 0.04
        )
        for up in (0, 1)
        for number in (0, 1)
        for kind in "kv"
    }
    change = comfyui.base / "models" / "figura" / FILE
    change.parent.mkdir(parents=True, exist_ok=True)
    save_module(
        change, FILE_KIND, change_tensors(networks, matrices), {FILE_KIND: config_to_metadata(CONFIG)}
    )
    yield comfyui
    checkpoint.unlink()
    change.unlink()


def graph_with(**sampler: object) -> dict:
    """The described workflow with these inputs of its KSampler, small."""
    graph = api_form(cfld_native(all_node_classes()))
    only(graph, "KSampler")["inputs"].update({"steps": STEPS, **sampler})
    only(graph, "EmptyLatentImage")["inputs"].update({"width": SIDE, "height": SIDE})
    only(graph, "FiguraLoadCFLD")["inputs"]["model"] = FILE
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
