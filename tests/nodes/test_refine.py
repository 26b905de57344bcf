"""The nodes of PHAC's stage C on a random mini family: exactness at any size, any generator, empty masks."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from figura.host.plain import PlainHost
from figura.models import store
from figura.nodes import refine as nodes
from figura.tests.nodes import phac_helpers as helpers
from hypothesis import given, settings
from hypothesis import strategies as st

FAMILY: dict[str, Any] = {}


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    FAMILY["folder"] = helpers.write_mini_family(tmp_path_factory.mktemp("mini"))
    FAMILY["refiner"] = nodes.load_mini_refiner(FAMILY["folder"])
    return FAMILY["refiner"]


def inputs(height: int = 128, width: int = 128, count: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image, coarse = torch.rand(2, count, height, width, 3, generator=generator)
    visible, invisible = torch.zeros(2, count, height, width)
    visible[:, height // 6 : height // 2 + 1, width // 3 : 2 * width // 3 + 1] = 1
    invisible[:, height // 2 : 4 * height // 5 + 1, width // 3 : 2 * width // 3 + 1] = 1
    return {"image": image, "coarse": coarse, "visible_mask": visible, "invisible_mask": invisible}


def run(refiner: Any, given: dict[str, Any], **change: Any) -> Any:
    settings = {"text": "a person", "strength": 0.5, "steps": 1, "cfg": 1.0, "seed": 0, **change}
    return nodes.FiguraInpaintRefiner().run(refiner, **given, **settings)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (64, 64), (301, 177), (50, 700), (1, 1)])
def test_outside_the_mask_every_bit_stays(refiner: Any, height: int, width: int) -> None:
    given = inputs(height, width)
    image, base, changed, cutout, amodal = run(refiner, given)
    outside = given["invisible_mask"] == 0
    assert torch.equal(image[outside], given["image"][outside])
    assert torch.equal(base[outside], given["image"][outside])
    assert torch.equal(changed, given["invisible_mask"])
    assert (cutout[amodal == 0] == 1).all() and (amodal >= given["visible_mask"]).all()
    assert not torch.equal(image[~outside], given["image"][~outside])


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 999),
    strength=st.floats(0.05, 1.0),
    height=st.integers(20, 200),
    width=st.integers(20, 200),
)
def test_outside_any_mask_every_bit_stays(
    refiner: Any, seed: int, strength: float, height: int, width: int
) -> None:
    given = inputs(height, width)
    noise = torch.rand(1, height, width, generator=torch.Generator().manual_seed(seed))
    given["invisible_mask"] = torch.where(noise > 0.6, noise, torch.zeros_like(noise))
    image, *_ = run(refiner, given, strength=strength)
    outside = given["invisible_mask"] == 0
    assert torch.equal(image[outside], given["image"][outside])


def test_an_empty_mask_gives_the_picture_back_with_a_warning(
    refiner: Any, caplog: pytest.LogCaptureFixture
) -> None:
    given = inputs()
    given["invisible_mask"] = torch.zeros_like(given["invisible_mask"])
    with caplog.at_level(logging.WARNING):
        image, base, changed, _, amodal = run(refiner, given)
    assert torch.equal(image, given["image"]) and torch.equal(base, given["image"])
    assert changed.sum() == 0 and torch.equal(amodal, given["visible_mask"])
    assert "invisible_mask is empty" in caplog.text


def test_a_visible_mask_over_all_that_may_change_is_said(
    refiner: Any, caplog: pytest.LogCaptureFixture
) -> None:
    given = inputs(count=2)
    given["visible_mask"][1] = given["invisible_mask"][1]
    image, base, *_ = run(refiner, given)
    assert torch.equal(base[1], given["image"][1]) and not torch.equal(base[0], given["image"][0])
    assert "visible_mask covers all of invisible_mask in picture 2 of 2" in caplog.text


def test_one_picture_serves_all_candidates(refiner: Any) -> None:
    given = inputs()
    given["coarse"] = torch.rand(3, 128, 128, 3)
    image, *_ = run(refiner, given)
    assert image.shape == (3, 128, 128, 3) and not torch.equal(image[0], image[1])


def test_the_batch_equals_single_pictures(refiner: Any) -> None:
    given = inputs(count=2)
    both = run(refiner, given, seed=4)[0]
    one = run(refiner, {name: value[1:] for name, value in given.items()}, seed=5)[0]
    torch.testing.assert_close(both[1:], one, atol=1e-4, rtol=1e-4)


def test_the_exact_mask_says_what_comes_from_the_coarse_picture(refiner: Any) -> None:
    given = inputs()
    exact = torch.zeros(1, 128, 128)
    exact[:, 80:90, 50:80] = 1
    _, base, _, _, amodal = run(refiner, {**given, "exact_mask": exact})
    assert torch.equal(base[exact == 1], given["coarse"][exact == 1])
    assert amodal[:, 95:, :].sum() == 0


def test_a_coarse_picture_on_another_background_is_taken_whole(refiner: Any) -> None:
    given = inputs()
    given["coarse"] = torch.full_like(given["coarse"], 0.3)
    _, base, changed, *_ = run(refiner, given)
    hidden = (changed == 1) & (given["visible_mask"] == 0)
    assert (base[hidden] == 0.3).all()


@pytest.mark.parametrize("strength", [0.0, 1.2])
def test_a_strength_outside_is_refused(refiner: Any, strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        run(refiner, inputs(), strength=strength)


def test_one_step_at_full_strength_works(refiner: Any) -> None:
    assert run(refiner, inputs(), strength=1.0, steps=1)[0].isfinite().all()


def test_the_loader_offers_mini_first_and_loads_it(refiner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainHost, "find_model", lambda self, file_kind, name: FAMILY["folder"])
    assert nodes.FiguraLoadRefiner.INPUT_TYPES()["required"]["model"][0][0] == store.MINI
    assert nodes.FiguraLoadRefiner().run(store.MINI)[0].size == 256


@pytest.mark.parametrize("node", [nodes.FiguraLoadRefiner, nodes.FiguraInpaintRefiner])
def test_every_input_and_output_has_a_tooltip(node: Any) -> None:
    types = node.INPUT_TYPES()
    for group in ("required", "optional"):
        assert all(entry[1]["tooltip"] for entry in types.get(group, {}).values())
    assert len(node.OUTPUT_TOOLTIPS) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
