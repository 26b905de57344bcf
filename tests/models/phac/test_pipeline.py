"""Where in a picture the refinement works, and what of the coarse picture it takes."""

from __future__ import annotations

import pytest
import torch
from figura.models import store
from figura.models.phac.checkpoint import load_mini_phac
from figura.models.phac.pipeline import invisible_images, refine_images
from figura.models.phac.plans import LARGEST_ZOOM, plan_region
from figura.people.boxes import Box
from figura.people.prompts import PointPrompt
from figura.people.synthetic import render_people
from figura.tests.models.phac import tiny
from figura.training.recipes.invisible_mask import mask_iou
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


PHAC_FILES = store.mini_files("phac")
SOMEBODY = range(10_000_400, 10_000_404)


@pytest.mark.skipif(not all(path.is_file() for path in PHAC_FILES), reason="weights/mini is not complete")
@pytest.mark.parametrize("said", [True, False])
def test_the_invisible_mask_does_not_depend_on_the_ground_of_the_coarse_picture(said: bool) -> None:
    """Only the top third of every person is seen: the crop has to follow the prompt, or the person drawn."""
    people, model = render_people(SOMEBODY, 192, occlusion=0.6), load_mini_phac(store.MINI_DIR)
    amodal, visible = people.amodal_mask, people.visible_mask.clone()
    for seen, whole in zip(visible, amodal, strict=True):
        box = Box.around_mask(whole[0])
        seen[:, int(box.y0 + box.height / 3) :] = 0
    given = ~people.joint_visible & (people.joints[..., 2] > 0)
    prompts = [
        PointPrompt("pose", 192, 192, joints.numpy(), marked.numpy())
        for joints, marked in zip(people.joints, given, strict=True)
    ]
    overlaps = {}
    for level in (1.0, 0.95, 0.89, 0.5, 0.0):
        coarse = torch.where(amodal > 0.5, people.complete, level)
        _, exact = invisible_images(
            model, people.occluded, coarse, visible, prompts=prompts if said else None
        )
        overlaps[level] = float(mask_iou(exact, amodal * (1 - visible)).mean())
    assert overlaps[1.0] > 0.6
    assert max(abs(overlap - overlaps[1.0]) for overlap in overlaps.values()) <= 0.05, overlaps
