"""LoRA and ControlNet files of training in ComfyUI's own loaders: every key is taken without a word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.comfyui
HERE = Path(__file__).resolve().parent
LAYERS = {"sd15": 128, "sd15 inpainting": 128, "humansd": 128}
"""16 blocks of attention, 2 attentions each, 4 matrices each."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    checkout = Path(os.environ.get("COMFYUI_PATH", ""))
    if not (checkout / "main.py").is_file():
        pytest.skip("no ComfyUI here: set COMFYUI_PATH to a checkout")
    folder = tmp_path_factory.mktemp("exports")
    python = os.environ.get("FIGURA_COMFYUI_PYTHON", sys.executable)
    command = [python, str(HERE / "exports_loaded.py"), str(folder), str(folder / "found.json")]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    for large in folder.glob("*.safetensors"):
        large.unlink()
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LAYERS)
def test_every_key_of_a_lora_is_loaded_onto_a_layer_of_the_model(
    found: dict[str, dict[str, Any]], name: str
) -> None:
    lora = found[name]
    assert lora["layers"] == lora["patches"] == LAYERS[name] and lora["tensors"] == 3 * LAYERS[name]
    assert not lora["foreign"] and not lora["said"]


@pytest.mark.parametrize("name", LAYERS)
def test_a_loaded_lora_adds_what_was_trained(found: dict[str, dict[str, Any]], name: str) -> None:
    assert found[name]["apart"] < 0.02  # half precision, sums of two products of numbers up to 4


def test_every_tensor_of_a_controlnet_is_loaded(found: dict[str, dict[str, Any]]) -> None:
    control = found["controlnet"]
    assert control["parameters"] == control["tensors"] > 300 and control["same"]
    assert not control["said"]
