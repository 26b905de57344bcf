"""A host for every test of a node: on the CPU, its model folders empty; and what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from figura.host import use_host
from figura.host.plain import PlainHost


@pytest.fixture(autouse=True)
def host(tmp_path: Path) -> Iterator[PlainHost]:
    with use_host(PlainHost(models_dir=tmp_path / "models", device="cpu")) as chosen:
        yield chosen


@pytest.fixture
def reports(host: PlainHost) -> list[tuple[str, int, int, Any]]:
    """What nodes tell while they run: node id, steps done, of how many, and a preview or None."""
    heard: list[tuple[str, int, int, Any]] = []
    host.report, host.wants_previews = lambda *report: heard.append(report), True
    return heard


@pytest.fixture
def reports_until_cancelled(host: PlainHost) -> list[tuple[str, int, int, Any]]:
    """The same from a user who cancels at every step."""
    heard: list[tuple[str, int, int, Any]] = []

    def report(*said: Any) -> None:
        heard.append(said)
        host.cancel()

    host.report = report
    return heard
