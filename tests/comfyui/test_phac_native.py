"""PHAC on a photograph with ComfyUI's loaders, ControlNet, samplers and autoencoder, on random weights."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from figura.headless.graph import load_graph
from figura.models import store
from figura.tests.comfyui.native import only, saved, write_checkpoint
from figura.tests.comfyui.server import ComfyServer
from figura.workflows.files import FOLDER
from figura.workflows.photo import IMAGE, IMAGE_NAME, ROI_BOX
from PIL import Image

KINDS = ("sam", "phac", "refiner")
pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(
        not all(path.is_file() for kind in KINDS for path in store.mini_files(kind)),
        reason="weights/mini is not complete: figura train writes it",
    ),
]
TINY, CONTROL, LORA = "tiny_inpainting.safetensors", "tiny_controlnet.safetensors", "tiny_lora.safetensors"
SIZE, STEPS = 128, 2
REFINER_SIZE = 256
TWO_STAGES = ("phac_native_sd15", "phac_native_sdxl")


@pytest.fixture(scope="module")
def stock(comfyui: ComfyServer) -> Iterator[ComfyServer]:
    """A ComfyUI with an inpainting checkpoint, a ControlNet and a LoRA."""
    files = [
        write_checkpoint(comfyui, "tiny_inpainting.py", TINY),
        write_checkpoint(comfyui, "tiny_controlnet.py", CONTROL, "controlnet"),
        write_checkpoint(comfyui, "tiny_lora.py", LORA, "loras"),
    ]
    assert comfyui.upload(IMAGE) == IMAGE_NAME
    yield comfyui
    for file in files:
        file.unlink()


def graph_of(name: str, checkpoint: str = TINY, size: int = SIZE, **sampler: Any) -> dict[str, Any]:
    """A shipped workflow on the small files, with a small size, few steps and these inputs of KSampler."""
    graph = load_graph(FOLDER / "api" / f"{name}.json")
    for node in graph.values():
        inputs = node["inputs"]
        inputs |= {"ckpt_name": checkpoint} if "ckpt_name" in inputs else {}
        inputs |= {"control_net_name": CONTROL} if "control_net_name" in inputs else {}
        inputs |= {"value": size} if node["class_type"] == "PrimitiveInt" else {}
        inputs |= {"size": size} if isinstance(inputs.get("size"), int) else {}
        inputs |= {"steps": STEPS} if "steps" in inputs else {}
        inputs |= sampler if node["class_type"] == "KSampler" else {}
    return graph


def with_lora(graph: dict[str, Any]) -> dict[str, Any]:
    """The graph with the LoRA between the checkpoint and everything that took its MODEL."""
    (loader,) = [key for key, node in graph.items() if node["class_type"] == "CheckpointLoaderSimple"]
    for node in graph.values():
        inputs = node["inputs"]
        inputs |= {name: ["lora", 0] for name, value in inputs.items() if value == [loader, 0]}
    lora = {"model": [loader, 0], "lora_name": LORA, "strength_model": 1.0}
    return {**graph, "lora": {"class_type": "LoraLoaderModelOnly", "inputs": lora}}


def picture(server: ComfyServer, run: Any, graph: dict[str, Any], title: str) -> np.ndarray:
    """What the node of that title saved or showed, (H,W,3) in 0..255."""
    (node_id,) = [key for key, node in graph.items() if node.get("_meta", {}).get("title") == title]
    data = server.image(run.images(node_id)[0])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def run_through(server: ComfyServer, graph: dict[str, Any]) -> Any:
    run = server.run(graph)
    assert run.end == "execution_success", run.events[-1]
    return run


def photograph() -> np.ndarray:
    return np.asarray(Image.open(IMAGE).convert("RGB")).astype(int)


@pytest.mark.parametrize("name", [*TWO_STAGES, "refine_anything"])
def test_only_pixels_of_the_invisible_mask_change(stock: ComfyServer, name: str) -> None:
    graph = graph_of(name)
    run = run_through(stock, graph)
    changed = (picture(stock, run, graph, "Save picture") != photograph()).any(-1)
    allowed = picture(stock, run, graph, "Invisible mask")[..., 0] > 127
    assert changed.any() and not (changed & ~allowed).any()


def test_a_single_pass_changes_only_what_lies_in_the_box(stock: ComfyServer) -> None:
    graph = graph_of("phac_native_one_pass")
    run = run_through(stock, graph)
    changed = (picture(stock, run, graph, "Save picture") != photograph()).any(-1)
    x0, y0, x1, y1 = ROI_BOX
    reach = 8  # of one resampled pixel of the small crop
    assert changed[y0:y1, x0:x1].mean() > 0.1
    changed[y0 - reach : y1 + reach, x0 - reach : x1 + reach] = False
    assert not changed.any()


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "lcm"])
def test_other_samplers_and_a_lora_run_and_count(stock: ComfyServer, sampler: str) -> None:
    graph = graph_of("phac_native_sd15", sampler_name=sampler)
    plain, changed = saved(stock, graph), saved(stock, with_lora(graph))
    assert plain.shape == changed.shape == (512, 512, 3) and (plain != changed).any()


@pytest.mark.parametrize("name", ["phac_native_sdxl", "phac_native_one_pass", "refine_anything"])
def test_a_lora_counts_in_every_workflow_and_changes_nothing_outside(stock: ComfyServer, name: str) -> None:
    graph = with_lora(graph_of(name))
    run = run_through(stock, graph)
    changed = (picture(stock, run, graph, "Save picture") != photograph()).any(-1)
    plain = graph_of(name)
    without = picture(stock, run_through(stock, plain), plain, "Save picture")
    assert (picture(stock, run, graph, "Save picture") != without).any()
    if name != "phac_native_one_pass":
        allowed = picture(stock, run, graph, "Invisible mask")[..., 0] > 127
        assert changed.any() and not (changed & ~allowed).any()


def test_the_coarse_person_follows_the_points(stock: ComfyServer) -> None:
    graph = graph_of("phac_native_sd15")
    first = picture(stock, run_through(stock, graph), graph, "Coarse person")
    for node in graph.values():
        if node["class_type"] == "FiguraPointPrompt":
            node["inputs"]["points"] = node["inputs"]["points"].replace(
                '"x": 60, "y": 400', '"x": 90, "y": 420'
            )
    second = picture(stock, run_through(stock, graph), graph, "Coarse person")
    assert first.shape == (SIZE, SIZE, 3) and (first != second).any()


def test_the_composite_of_minis_coarse_person_is_inpaint_refiners(stock: ComfyServer) -> None:
    graph = graph_of("refine_anything", size=REFINER_SIZE)
    links = only(graph, "FiguraRefinePrepare")["inputs"]
    shared = ("image", "coarse", "visible_mask", "invisible_mask", "exact_mask")
    graph["refiner"] = {"class_type": "FiguraLoadRefiner", "inputs": {"model": "mini"}}
    settings = {
        "refiner": ["refiner", 0],
        "text": "a person",
        "strength": 0.5,
        "steps": 1,
        "cfg": 1.0,
        "seed": 0,
    }
    graph["own"] = {
        "class_type": "FiguraInpaintRefiner",
        "inputs": settings | {name: links[name] for name in shared},
    }
    graph["kept"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["own", 1], "filename_prefix": "own"},
        "_meta": {"title": "Save own"},
    }
    run = run_through(stock, graph)
    here, there = (picture(stock, run, graph, title) for title in ("Composite", "Save own"))
    assert (here == there).all() and (here != photograph()).any()


def test_a_model_without_inpainting_channels_is_refused(stock: ComfyServer) -> None:
    other = write_checkpoint(stock, "tiny_checkpoint.py", "tiny_sd15.safetensors")
    run = stock.run(graph_of("phac_native_sd15", checkpoint=other.name))
    other.unlink()
    assert run.end == "execution_error"
    message = run.of("execution_error")[0]["exception_message"]
    assert "Stable Diffusion 1.5, text to image" in message and "inpainting" in message


def test_the_size_follows_the_model(stock: ComfyServer) -> None:
    graph, titles = graph_of("phac_native_sd15", size=0), ("Canvas", "Prompt")
    needed = upstream(graph, [key for key, node in graph.items() if node["_meta"]["title"] in titles])
    run = run_through(stock, needed)
    assert all(picture(stock, run, needed, title).shape == (512, 512, 3) for title in titles)


def upstream(graph: dict[str, Any], node_ids: list[str]) -> dict[str, Any]:
    """These nodes, and all that they need."""
    needed: dict[str, Any] = {}
    while node_ids:
        needed |= {key: graph[key] for key in node_ids}
        links = [
            value for key in node_ids for value in graph[key]["inputs"].values() if isinstance(value, list)
        ]
        node_ids = sorted({str(link[0]) for link in links} - needed.keys())
    return needed
