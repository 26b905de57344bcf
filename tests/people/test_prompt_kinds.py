"""The table of prompt kinds: what its rows say, and that a further row needs nothing else to work."""

import json
from dataclasses import replace

import pytest
import torch
from figura.models import store
from figura.models.phac.plans import as_geometry
from figura.people.boxes import Box
from figura.people.prompt_kinds import BOXES, POSE, PROMPT_KINDS, PromptKind, explained, prompt_kind
from figura.people.prompts import draw_prompt, parse_points

BOTH = PromptKind("point_box", "", True, BOXES, "joints and both boxes", "Everything is said.")
SAID = json.dumps(
    {
        "people": [{"joints": {"neck": {"x": 30, "y": 40}}}],
        "roi_box": [10, 50, 90, 90],
        "full_box": [5, 5, 95, 95],
    }
)


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> PromptKind:
    """A sixth kind, for the time of a test: joints and both boxes."""
    monkeypatch.setitem(PROMPT_KINDS, BOTH.name, BOTH)
    return BOTH


def test_the_papers_kinds_are_there() -> None:
    """Kind -> the paper's symbol, and the points a user places for its boxes."""
    rows = {name: (kind.symbol, kind.points) for name, kind in PROMPT_KINDS.items() if kind.symbol}
    assert rows == {
        "pose": ("p_po", 0), "roi_box": ("p_ib", 2), "full_box": ("p_eb", 2), "pose_roi_box": ("p_poib", 2),
        "pose_full_box": ("p_poeb", 2),
    }  # fmt: skip


def test_every_kind_shows_something_and_boxes_are_those_of_the_points_text() -> None:
    for kind in PROMPT_KINDS.values():
        assert kind.joints or kind.boxes
        assert set(kind.boxes) <= set(BOXES)
        assert kind.label and kind.note.endswith(".")
        assert f"{kind.name}: {kind.label}." in explained()


def test_an_unknown_kind_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="prompt_type must be one of pose, roi_box, .*; got 'box'"):
        prompt_kind("box")


def test_every_kind_has_its_shipped_weights() -> None:
    files = {path.stem for path in store.mini_files("phac")}
    assert {kind.recipe for kind in PROMPT_KINDS.values()} <= files
    assert PROMPT_KINDS[POSE].recipe == "phac"


def test_a_further_kind_is_parsed_and_drawn(both: PromptKind) -> None:
    prompt = parse_points(SAID, 100, 100, kind=both.name)
    assert prompt.shown_boxes == {"roi_box": Box(10, 50, 90, 90), "full_box": Box(5, 5, 95, 95)}
    parts = [replace(prompt, kind=name) for name in ("pose_roi_box", "full_box")]
    drawn, *each = (draw_prompt([one], 128, 128)[0] for one in (prompt, *parts))
    torch.testing.assert_close(drawn, torch.maximum(*each), atol=1e-6, rtol=0)


def test_a_connected_box_is_the_one_that_the_text_lacks(both: PromptKind) -> None:
    said = json.loads(SAID)
    del said["full_box"]
    prompt = parse_points(json.dumps(said), 100, 100, kind=both.name, box=Box(1, 1, 99, 99))
    assert prompt.roi_box == Box(10, 50, 90, 90) and prompt.full_box == Box(1, 1, 99, 99)
    with pytest.raises(ValueError, match="needs a box. Set full_box in points"):
        parse_points(json.dumps(said), 100, 100, kind=both.name)


def test_a_further_kind_is_geometry_for_a_model_that_cannot_read_it(both: PromptKind) -> None:
    read = as_geometry(parse_points(SAID, 100, 100, kind=both.name))
    assert read.prompt.kind == POSE and read.prompt.present.any()
    assert read.region == Box(10, 50, 90, 90) and read.close == Box(5, 5, 95, 95)


def test_a_further_kind_has_a_file_for_its_weights(both: PromptKind) -> None:
    assert store.mini_files("phac")[-1].name == "phac_point_box.safetensors"
