"""Sequential mask expansion with ComfyUI's own loader, samplers and autoencoder, on random weights."""

from __future__ import annotations

import numpy as np
import pytest
from figura.headless.graph import load_graph
from figura.headless.native_nodes import SD15_CHECKPOINT
from figura.tests.comfyui.native import only, saved, write_checkpoint
from figura.workflows.files import FOLDER
from figura.workflows.hand_scene import IMAGE, IMAGE_NAME
from PIL import Image

pytestmark = pytest.mark.comfyui
SIDE = 128
STEPS = 3
RING_PERCENT = 20.0


@pytest.fixture(scope="module")
def stock(comfyui, tmp_path_factory):
    """A ComfyUI with a checkpoint and the example picture, made smaller."""
    checkpoint = write_checkpoint(comfyui, "tiny_checkpoint.py", SD15_CHECKPOINT)
    small = tmp_path_factory.mktemp("picture") / IMAGE_NAME
    with Image.open(IMAGE) as image:
        image.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(small)
    assert comfyui.upload(small) == IMAGE_NAME
    yield comfyui
    checkpoint.unlink()


def graph_with(**sampler: object) -> dict:
    """The shipped workflow with these inputs of its KSampler."""
    graph = load_graph(FOLDER / "api" / "mask_expansion_native.json")
    only(graph, "KSampler")["inputs"].update({"steps": STEPS, "cfg": 1.5, **sampler})
    only(graph, "FiguraSequentialMaskExpansion")["inputs"]["ring"] = RING_PERCENT
    return graph


def shown() -> tuple[np.ndarray, np.ndarray]:
    """Colours and alpha of the picture that was uploaded."""
    with Image.open(IMAGE) as image:
        pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.NEAREST)).astype(int)
    return pixels[..., :3], pixels[..., 3]


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "heun", "uni_pc"])
def test_the_hand_stays_and_the_rest_is_drawn_with_any_sampler(stock, sampler):
    before, alpha = shown()
    after = saved(stock, graph_with(sampler_name=sampler))
    assert (after[alpha == 255] == before[alpha == 255]).all()
    assert (after[alpha == 0] != before[alpha == 0]).any(-1).mean() > 0.9


def test_the_expansion_changes_what_is_drawn_and_constant_is_as_without_the_node(stock):
    graph = graph_with(sampler_name="euler")
    sequential = saved(stock, graph)
    only(graph, "FiguraSequentialMaskExpansion")["inputs"]["expansion"] = "constant"
    constant = saved(stock, graph)
    only(graph, "KSampler")["inputs"]["model"] = only(graph, "FiguraSequentialMaskExpansion")["inputs"][
        "model"
    ]
    plain = saved(stock, graph)
    assert (constant == plain).all() and (sequential != constant).any()


def test_differential_diffusion_may_stand_before_the_node_or_behind_it(stock):
    graph = graph_with(sampler_name="euler")
    expansion, sampler = (
        only(graph, name)["inputs"] for name in ("FiguraSequentialMaskExpansion", "KSampler")
    )
    loaded, expanded, differential = expansion["model"], sampler["model"], ["differential", 0]
    graph["differential"] = {"class_type": "DifferentialDiffusion", "inputs": {"model": expanded}}
    sampler["model"] = differential
    behind = saved(stock, graph)
    graph["differential"]["inputs"]["model"] = loaded
    alone = saved(stock, graph)
    expansion["model"], sampler["model"] = differential, expanded
    assert (behind == saved(stock, graph)).all() and (behind != alone).any()


def test_a_latent_without_a_noise_mask_is_refused(stock):
    graph = graph_with()
    only(graph, "KSampler")["inputs"]["latent_image"] = only(graph, "SetLatentNoiseMask")["inputs"]["samples"]
    run = stock.run(graph)
    assert run.end == "execution_error"
    assert "no noise mask" in run.of("execution_error")[0]["exception_message"]
