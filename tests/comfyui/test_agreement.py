"""Networks of public files give in Figura what they give in ComfyUI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from figura.tests.comfyui.agreement import AT_MOST, measured

pytestmark = pytest.mark.comfyui
NETWORKS = (
    "U-Net of SD1.5 inpainting",
    "U-Net of SDXL inpainting",
    "ControlNet",
    "autoencoder, encoding",
    "autoencoder, decoding",
    "CLIP-L",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    checkout = Path(os.environ.get("COMFYUI_PATH", ""))
    if not (checkout / "main.py").is_file():
        pytest.skip("no ComfyUI here: set COMFYUI_PATH to a checkout")
    return measured(checkout, tmp_path_factory.mktemp("agreement"))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_what_comfyui_gives(found: dict[str, dict[str, float]], name: str) -> None:
    assert found[name]["difference"] <= AT_MOST and found[name]["largest"] > 0.01
