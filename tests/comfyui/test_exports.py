"""LoRA and ControlNet files of training in ComfyUI's own loaders: every key is taken without a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from figura.tests.comfyui.server import run_inside

pytestmark = pytest.mark.comfyui
LAYERS = {"sd15": 128, "sd15 inpainting": 128, "humansd": 128}
"""16 blocks of attention, 2 attentions each, 4 matrices each."""


@pytest.fixture(scope="module")
def found(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("exports")
    run_inside(checkout, "exports_loaded.py", folder, folder / "found.json")
    for large in folder.glob("*.safetensors"):
        large.unlink()
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LAYERS)
def test_every_key_of_a_lora_is_loaded_onto_a_layer_of_the_model(
    found: dict[str, dict[str, Any]], name: str
) -> None:
    lora = found[name]
    assert lora["layers"] == lora["patches"] == LAYERS[name] and lora["tensors"] == 3 * LAYERS[name]
    assert not lora["foreign"] and not lora["said"]


@pytest.mark.parametrize("name", LAYERS)
def test_a_loaded_lora_adds_to_every_layer_what_was_trained(
    found: dict[str, dict[str, Any]], name: str
) -> None:
    assert (
        found[name]["apart"] < 2e-3 < 0.1 < found[name]["least"]
    )  # relative to numbers kept in half precision


def test_every_tensor_of_a_controlnet_is_loaded_into_its_place(found: dict[str, dict[str, Any]]) -> None:
    control = found["controlnet"]
    assert control["parameters"] == control["tensors"] > 300 and control["same"]
    assert not control["said"]
