"""ComfyUI's own manager, in every state of its memory flags, has Figura's networks where they compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from figura.tests.comfyui.server import run_inside

pytestmark = pytest.mark.comfyui


@pytest.fixture(scope="module")
def found(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    result = tmp_path_factory.mktemp("flags") / "found.json"
    run_inside(checkout, "memory_flags.py", result)
    return json.loads(result.read_text(encoding="utf-8"))


@pytest.mark.parametrize("flag", ["none", "--lowvram", "--novram", "--gpu-only"])
def test_networks_are_whole_on_the_device_while_they_are_used(found: dict[str, Any], flag: str) -> None:
    seen = found["places"][flag]
    assert seen["U-Net, in use"] == seen["own network, in use"] == ["meta"]
    kept = ["meta"] if flag == "--gpu-only" else ["cpu"]
    assert seen["offload"] == seen["U-Net, unloaded"] == kept


def test_with_novram_a_network_goes_when_others_come(found: dict[str, Any]) -> None:
    assert found["places"]["--novram"]["U-Net, after others came"] == ["cpu"]


def test_the_fp8_flags_choose_no_number_that_layers_cannot_compute_with(found: dict[str, Any]) -> None:
    assert len(found["dtypes"]) == 4 and set(found["dtypes"].values()) <= {
        "torch.float32",
        "torch.float16",
        "torch.bfloat16",
    }
