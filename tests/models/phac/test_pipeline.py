"""Where in a picture the refinement works, and what of the coarse picture it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.models import store
from figura.models.diffusion import batches
from figura.models.phac.checkpoint import load_mini_phac
from figura.models.phac.pipeline import invisible_images, refine_images
from figura.models.phac.plans import LARGEST_ZOOM, box_mask, plan_region
from figura.people.boxes import Box
from figura.people.crops import CropPlan
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


def test_a_box_takes_every_pixel_that_it_touches() -> None:
    expected = torch.zeros(1, 1, 8, 6)
    expected[..., 3:6, 4:6] = 1
    assert torch.equal(box_mask(Box(4.5, 3.0, 9.0, 5.2), 8, 6), expected)


def test_the_dilation_is_in_pixels_of_the_picture_however_large_the_crop() -> None:
    class Spot(torch.nn.Module):
        """Finds 4 x 4 of its pixels."""

        def __init__(self) -> None:
            super().__init__()
            self.config, self.anything = {"size": 32}, torch.nn.Parameter(torch.zeros(1))

        def forward(self, *pictures: torch.Tensor) -> torch.Tensor:
            logits = torch.full_like(pictures[2], -30.0)
            logits[..., 20:24, 14:18] = 30.0
            return logits

    model = tiny.tiny_phac()
    model.mask_net = Spot()
    image, visible = torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    visible[..., :16, :] = 1  # so that the crop is the whole picture, at a quarter of its size
    dilated, exact = invisible_images(model, image, image, visible, dilation_px=8.0)
    found, grown = Box.around_mask(exact[0, 0]), Box.around_mask(dilated[0, 0])
    assert found == Box(56, 80, 72, 96)
    for side, wanted in zip(grown, found.expand(8), strict=True):
        assert abs(side - wanted) <= 2


class Watched(torch.nn.Module):
    """Finds nothing, and keeps the prompt pictures it is shown."""

    def __init__(self, sees_prompt: bool) -> None:
        super().__init__()
        self.config, self.anything = {"size": 64}, torch.nn.Parameter(torch.zeros(1))
        self.sees_prompt, self.shown = sees_prompt, []

    def forward(self, *pictures: torch.Tensor) -> torch.Tensor:
        self.shown += pictures[3:]
        return torch.full_like(pictures[2], -30.0)


@pytest.mark.parametrize("kind", ["pose", "roi_box"])
def test_a_mask_network_that_sees_prompts_is_shown_them_where_they_lie_in_its_crop(kind: str) -> None:
    """The prompt was set on a picture of half the size; the tiny model has no ControlNet for the box."""
    model, joints = tiny.tiny_phac(), np.zeros((18, 3), np.float32)
    joints[0] = 72, 40, 1
    box = Box(68, 36, 76, 44)
    prompt = PointPrompt(kind, 128, 128, joints, np.zeros(18, bool), roi_box=box)
    image, visible = torch.rand(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    visible[..., 64:192, 64:192] = 1
    plan = CropPlan(256, 256, Box(64, 64, 192, 192), 32, 32)
    for sees in (True, False):
        model.mask_net = Watched(sees)
        invisible_images(model, image, image, visible, prompts=[prompt], plans=[plan])
        assert len(model.mask_net.shown) == sees
        if sees:
            shown = model.mask_net.shown[0]
            drawn = Box.around_mask((shown[0].amax(0) > 0.2).float())
            centre = (drawn.x0 + drawn.x1) / 2, (drawn.y0 + drawn.y1) / 2
            assert shown.shape == (1, 3, 64, 64)
            assert centre == pytest.approx(((144 - 64) / 2, (80 - 64) / 2), abs=1)
    model.mask_net = Watched(True)
    invisible_images(model, image, image, visible)
    assert model.mask_net.shown == []


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
