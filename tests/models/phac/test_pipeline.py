"""Where in a picture the refinement works, and what of the coarse picture it takes."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion import batches
from figura.models.phac.pipeline import refine_images
from figura.models.phac.plans import LARGEST_ZOOM, box_mask, plan_region
from figura.people.boxes import Box
from figura.tests.models.phac import tiny
from hypothesis import given
from hypothesis import strategies as st

MODEL = 128


@given(
    size=st.tuples(st.integers(16, 400), st.integers(16, 400)),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_the_crop_holds_the_mask_and_enlarges_at_most_so_far(
    size: tuple[int, int], corners: tuple[float, float, float, float]
) -> None:
    height, width = size
    rows = sorted(round(part * (height - 1)) for part in corners[:2])
    columns = sorted(round(part * (width - 1)) for part in corners[2:])
    mask = torch.zeros(1, height, width)
    mask[:, rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = 1
    box = plan_region(size, MODEL, mask).box
    assert box.union(Box.around_mask(mask[0])) == box
    assert abs(box.width - box.height) <= 1
    assert MODEL / box.width <= LARGEST_ZOOM


def test_a_large_part_has_room_round_it() -> None:
    mask = torch.zeros(1, 1000, 1000)
    mask[:, 400:600, 450:550] = 1
    assert plan_region((1000, 1000), MODEL, mask).box == Box(350, 350, 650, 650)


def test_an_empty_mask_plans_the_whole_picture() -> None:
    plan = plan_region((MODEL, MODEL), MODEL, torch.zeros(1, MODEL, MODEL))
    assert plan.box == Box(0, 0, MODEL, MODEL) and plan.scale == pytest.approx((1.0, 1.0))


def test_a_box_takes_every_pixel_that_it_touches() -> None:
    expected = torch.zeros(1, 1, 8, 6)
    expected[..., 3:6, 4:6] = 1
    assert torch.equal(box_mask(Box(4.5, 3.0, 9.0, 5.2), 8, 6), expected)


def test_pictures_beyond_the_first_part_of_a_batch_have_seeds_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, visible, changed = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    visible[..., 2:12, 8:24], changed[..., 10:30, 8:24] = 1, 1
    given = (tiny.tiny_refiner(), image, image.flip(0), visible, changed, ["a man", "a woman"])
    together = refine_images(*given, steps=1, seed=3)
    monkeypatch.setattr(batches, "IMAGES_AT_ONCE", 1)
    torch.testing.assert_close(
        refine_images(*given, steps=1, seed=3).image, together.image, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("given", [True, False])
def test_the_white_round_the_coarse_person_is_not_pasted(given: bool) -> None:
    image, red = torch.full((1, 3, 64, 64), 0.3), torch.tensor([0.8, 0.1, 0.1])[:, None, None]
    coarse = torch.ones(1, 3, 64, 64)
    coarse[..., 20:40, 24:40] = red
    visible, exact, changed = torch.zeros(3, 1, 1, 64, 64)
    visible[..., 10:20, 24:40], exact[..., 20:44, 20:44], changed[..., 18:48, 16:48] = 1, 1, 1
    refined = refine_images(
        tiny.tiny_refiner(), image, coarse, visible, changed, ["a person"], steps=1,
        exact_masks=exact if given else None,
    )  # fmt: skip
    expected = image.clone()
    expected[..., 20:40, 24:40] = red
    assert torch.equal(refined.composite, expected)
    assert refined.amodal_mask.sum() == 30 * 16
