"""CFLD on a stock model inside ComfyUI agrees with Figura's own loop on the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from figura.tests.comfyui.server import run_inside

pytestmark = pytest.mark.comfyui
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def differences(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Largest differences of the latents of four steps, by sampler and size."""
    folder = tmp_path_factory.mktemp("cfld")
    checkpoint, result = folder / "tiny.safetensors", folder / "result.json"
    run_inside(checkout, "tiny_checkpoint.py", checkpoint)
    run_inside(checkout, "cfld_agreement.py", checkpoint, result)
    return json.loads(result.read_text(encoding="utf-8"))


@pytest.mark.parametrize("sampler", ["dual", "ksampler"])
@pytest.mark.parametrize("size", ["16x16", "24x16"])
def test_stock_samplers_draw_what_our_loop_draws(differences, sampler: str, size: str) -> None:
    assert differences[f"{sampler}.{size}"] < TOLERANCE * max(1.0, differences[f"spread.{size}"])


def test_the_source_matters_much_more_than_that(differences) -> None:
    for size in ("16x16", "24x16"):
        assert differences[f"other_source.{size}"] > 30 * TOLERANCE


def test_context_windows_draw_the_pictures_of_the_whole_batch(differences) -> None:
    if "windows" not in differences:
        pytest.skip("the context windows of this ComfyUI take no batches")
    assert differences["windows"] < TOLERANCE * max(1.0, differences["spread.24x16"])


def test_a_lora_counts_before_the_node_as_behind_it(differences) -> None:
    assert differences["lora_behind"] > 30 * TOLERANCE and differences["lora_order"] < TOLERANCE


def test_deep_shrink_may_make_maps_of_any_size(differences) -> None:
    assert differences["shrunk"] > 30 * TOLERANCE
