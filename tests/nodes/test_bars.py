"""Nodes that work on one picture after another: the bar moves with every result, Cancel stops them."""

from __future__ import annotations

from typing import Any

import pytest
from figura.host import Cancelled
from figura.models.phac import invisible
from figura.nodes import NODE_CLASS_MAPPINGS
from figura.tests.fuzz.good_calls import good_call

RESULTS = 3
NODES = ("FiguraAmodalMask", "FiguraCompletePose", "FiguraInvisibleMask")


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invisible, "chunks", lambda count: [slice(row, row + 1) for row in range(count)])


def run(node_id: str) -> Any:
    """A call that makes RESULTS results."""
    given, node = good_call(node_id), NODE_CLASS_MAPPINGS[node_id]()
    if "count" in given:
        given["count"] = RESULTS
    else:
        given["image"] = given["image"].repeat(RESULTS, 1, 1, 1)
    return getattr(node, node.FUNCTION)(**given, unique_id="7")


@pytest.mark.parametrize("node_id", NODES)
def test_the_bar_moves_with_every_result(node_id: str, reports: list[Any]) -> None:
    run(node_id)
    assert [report[:3] for report in reports] == [("7", done, RESULTS) for done in (1, 2, 3)]


@pytest.mark.parametrize("node_id", NODES)
def test_cancelling_stops_within_a_result(node_id: str, reports_until_cancelled: list[Any]) -> None:
    with pytest.raises(Cancelled):
        run(node_id)
    assert [done for _, done, _, _ in reports_until_cancelled] == [1]
