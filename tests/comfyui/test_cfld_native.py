"""CFLD on a stock model inside ComfyUI agrees with Figura's own loop on the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.comfyui
HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Largest differences of the latents of four steps, by sampler and size."""
    checkout = Path(os.environ.get("COMFYUI_PATH", ""))
    if not (checkout / "main.py").is_file():
        pytest.skip("no ComfyUI here: set COMFYUI_PATH to a checkout")
    python = os.environ.get("FIGURA_COMFYUI_PYTHON", sys.executable)
    folder = tmp_path_factory.mktemp("cfld")
    checkpoint, result = folder / "tiny.safetensors", folder / "result.json"
    for script, arguments in (
        ("tiny_checkpoint.py", [checkpoint]),
        ("cfld_agreement.py", [checkpoint, result]),
    ):
        done = subprocess.run(
            [python, str(HERE / script), *map(str, arguments)], cwd=checkout, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    return json.loads(result.read_text(encoding="utf-8"))


@pytest.mark.parametrize("sampler", ["dual", "ksampler"])
@pytest.mark.parametrize("size", ["16x16", "24x16"])
def test_stock_samplers_draw_what_our_loop_draws(differences, sampler: str, size: str) -> None:
    assert differences[f"{sampler}.{size}"] < TOLERANCE * max(1.0, differences[f"spread.{size}"])


def test_the_source_matters_much_more_than_that(differences) -> None:
    for size in ("16x16", "24x16"):
        assert differences[f"other_source.{size}"] > 30 * TOLERANCE
