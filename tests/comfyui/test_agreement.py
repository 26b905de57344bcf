"""Networks of public files give in Figura what they give in ComfyUI."""

from __future__ import annotations

from pathlib import Path

import pytest
from figura.tests.comfyui import agreement
from figura.tests.comfyui.agreement import AT_MOST, NETWORKS, measured

pytestmark = pytest.mark.comfyui


@pytest.fixture(scope="module")
def found(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    return measured(checkout, tmp_path_factory.mktemp("agreement"))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_what_comfyui_gives(found: dict[str, dict[str, float]], name: str) -> None:
    assert found[name]["difference"] <= AT_MOST and found[name]["largest"] > 0.01


def test_the_page_shows_every_network() -> None:
    page = Path(agreement.__file__).parents[2] / "docs" / "agreement.md"
    assert all(f"| {name} |" in page.read_text(encoding="utf-8") for name in NETWORKS)
