"""People and tiny files of the public layouts, for training that begins from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from figura.tests.training.recipes import toy_public


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory, toy_data: Path) -> Path:
    """People, hands and pairs in one folder."""
    return toy_public.write_people(tmp_path_factory.mktemp("full"), toy_data)


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random files of the public layouts."""
    return toy_public.write_public(tmp_path_factory.mktemp("public"))


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Released sizes are tiny."""
    toy_public.shrink(monkeypatch)
