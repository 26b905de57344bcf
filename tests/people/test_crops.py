"""Crop and stitch: what is not in the mask does not change."""

import numpy as np
import pytest
import torch
from figura.people import crops
from figura.people.boxes import EMPTY, Box
from figura.people.crops import box_to_crop, crop, plan_crop, points_to_crop, stitch
from figura.tests.people.strips import sizes_of_strips
from hypothesis import given, settings
from hypothesis import strategies as st

sides = st.integers(1, 40)
corners = st.floats(-30, 60)


@st.composite
def plans(draw):
    x, y = sorted([draw(corners), draw(corners)]), sorted([draw(corners), draw(corners)])
    size = draw(sides), draw(sides)
    model = draw(sides), draw(sides)
    return plan_crop(Box(x[0], y[0], x[1], y[1]), size, model, draw(st.sampled_from([0.0, 0.15, 1.0])))


@settings(max_examples=150, deadline=None)
@given(plans())
def test_a_stitched_picture_is_the_input_outside_the_mask(plan):
    torch.manual_seed(0)
    image = torch.rand(2, 3, plan.source_height, plan.source_width)
    patch = torch.rand(2, 3, plan.model_height, plan.model_width)
    mask = (torch.rand(2, 1, plan.model_height, plan.model_width) > 0.5).float()
    out, full_mask = stitch(image, patch, mask, plan)
    outside = (full_mask == 0).expand_as(image)
    assert torch.equal(out[outside], image[outside])
    assert out.shape == image.shape and full_mask.shape == image[:, :1].shape
    empty, none = stitch(image, patch, torch.zeros_like(mask), plan)
    assert torch.equal(empty, image) and not none.any()


@settings(max_examples=150, deadline=None)
@given(plans())
def test_a_crop_at_the_boxs_own_size_comes_back_unchanged(plan):
    plan = type(plan)(
        plan.source_width, plan.source_height, plan.box, int(plan.box.width), int(plan.box.height)
    )
    image = torch.rand(1, 3, plan.source_height, plan.source_width)
    patch = crop(image, plan)
    out, mask = stitch(torch.zeros_like(image), patch, torch.ones_like(patch[:, :1]), plan)
    assert not plan.resamples
    assert torch.equal(out, torch.where(mask > 0, image, 0.0))
    assert torch.equal(stitch(image, patch, torch.ones_like(patch[:, :1]), plan)[0], image)


@settings(max_examples=150, deadline=None)
@given(plans(), st.floats(-50, 90), st.floats(-50, 90))
def test_points_lie_in_a_crop_where_they_lie_in_its_box(plan, x, y):
    points = np.array([[x, y, 1.0], [0.0, 0.0, 0.0]])
    there = points_to_crop(points, plan)
    (width, height), box = (plan.model_width, plan.model_height), plan.box
    shares = [(x - box.x0) / box.width, (y - box.y0) / box.height]
    np.testing.assert_allclose(there[0], [shares[0] * width, shares[1] * height, 1.0], atol=1e-6)
    assert (there[1] == 0).all()
    moved = points_to_crop(torch.tensor(points), plan)
    np.testing.assert_allclose(moved.numpy(), there)


@settings(max_examples=200, deadline=None)
@given(plans(), corners, corners, st.floats(1, 30), st.floats(1, 30))
def test_a_plan_holds_its_box_and_keeps_inside_when_it_can(plan, x, y, width, height):
    size, model = (plan.source_height, plan.source_width), (plan.model_height, plan.model_width)
    box = Box(x, y, x + width, y + height)
    made = plan_crop(box, size, model)
    assert made.box.union(box) == made.box
    image = Box(0, 0, size[1], size[0])
    if image.union(box) == image and made.box.width <= size[1] and made.box.height <= size[0]:
        assert image.union(made.box) == image


def test_the_crop_has_the_models_aspect():
    plan = plan_crop(Box(100, 50, 140, 250), (5000, 7000), (128, 128))
    assert plan.box.width == plan.box.height == 260
    assert (plan.model_width, plan.model_height) == (128, 128)


def test_a_picture_of_the_models_size_is_not_resampled():
    plan = plan_crop(Box(10, 10, 20, 90), (128, 128), (128, 128))
    assert plan.box == Box(0, 0, 128, 128) and not plan.resamples
    zoomed = plan_crop(Box(10, 10, 20, 90), (128, 128), (128, 128), whole_at_model_size=False)
    assert zoomed.resamples


def test_an_empty_box_takes_the_whole_picture():
    assert plan_crop(EMPTY, (30, 60), (64, 128)).box == Box(0, 0, 60, 30)


def test_the_margin_ends_where_the_picture_does():
    assert plan_crop(Box(0, 0, 40, 40), (100, 100), (64, 64)).box == Box(0, 0, 46, 46)
    assert plan_crop(Box(60, 50, 100, 90), (100, 100), (64, 64)).box == Box(48, 44, 100, 96)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("box", [Box(-1e6, -1e6, 1e6, 1e6), Box(1e5, 5, 1e5 + 1, 9), Box(5, -1e5, 9, -9e4)])
def test_a_box_so_far_outside_that_its_crop_would_fill_the_memory_is_refused(box, whole):
    with pytest.raises(ValueError, match="too far outside.*a picture of 50 x 70 pixels"):
        plan_crop(box, (70, 50), (64, 64), whole_at_model_size=whole)


def test_a_box_outside_by_a_few_sides_is_held():
    box = Box(-300, -200, 600, 700)
    assert plan_crop(box, (70, 50), (64, 64)).box.union(box) == plan_crop(box, (70, 50), (64, 64)).box


def test_fill_and_edge_outside_the_picture():
    plan = plan_crop(Box(-4, 0, 4, 8), (8, 8), (8, 8), margin=0.0)
    image = torch.ones(1, 1, 8, 8)
    assert torch.equal(crop(image, plan), image)
    filled = crop(image, plan, fill=0.25)
    assert (filled[..., :4] == 0.25).all() and (filled[..., 4:] == 1).all()
    below = crop(image, plan_crop(Box(0, 4, 8, 12), (8, 8), (8, 8), margin=0.0), fill=0.25)
    assert (below[..., 4:, :] == 0.25).all() and (below[..., :4, :] == 1).all()


def test_a_soft_mask_blends_the_patch_into_the_picture():
    plan = plan_crop(Box(2, 2, 6, 6), (8, 8), (4, 4), margin=0.0)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 1:3, 1:3] = 0.25
    out, amount = stitch(torch.full((1, 1, 8, 8), 0.2), torch.full((1, 1, 4, 4), 0.6), mask, plan)
    expected = torch.full((1, 1, 8, 8), 0.2)
    expected[..., 3:5, 3:5] = 0.3
    torch.testing.assert_close(out, expected)
    assert torch.equal(amount[..., 2:6, 2:6], mask)


def test_a_soft_mask_over_transparent_black_leaves_no_dark_rim():
    colour = torch.tensor([0.2, 0.6, 0.9])[None, :, None, None]
    patch = torch.cat([colour.expand(1, 3, 4, 4), torch.ones(1, 1, 4, 4)], dim=1)
    mask = torch.full((1, 1, 4, 4), 0.25)
    plan = plan_crop(Box(0, 0, 4, 4), (4, 4), (4, 4), 0.0)
    over_nothing, _ = stitch(torch.zeros(1, 4, 4, 4), patch, mask, plan)
    torch.testing.assert_close(over_nothing[:, :3], colour.expand(1, 3, 4, 4))
    torch.testing.assert_close(over_nothing[:, 3:], mask)
    opaque = torch.cat([torch.rand(1, 3, 4, 4), torch.ones(1, 1, 4, 4)], dim=1)
    assert torch.equal(
        stitch(opaque, patch, mask, plan)[0][:, :3], stitch(opaque[:, :3], patch[:, :3], mask, plan)[0]
    )


def test_what_is_transparent_lends_no_colour_to_crops_nor_to_what_is_stitched():
    plan = plan_crop(Box(4, 4, 20, 20), (24, 24), (9, 9), margin=0.0)
    picture = torch.zeros(1, 4, 24, 24)
    picture[:, 0::3, :, 9:] = 1.0  # red and opaque on the right, transparent black on the left
    cut = crop(picture, plan)
    solid = cut[:, 3] > 1e-3
    assert (cut[:, 3] > 0).any() and (cut[:, 3] < 1).any()
    torch.testing.assert_close(cut[:, 0][solid], torch.ones(int(solid.sum())))
    stitched, _ = stitch(torch.zeros_like(picture), cut, torch.ones(1, 1, 9, 9), plan)
    shown = stitched[:, 3] > 1e-3
    torch.testing.assert_close(stitched[:, 0][shown], torch.ones(int(shown.sum())))


@pytest.mark.parametrize("size", [(12, 90), (90, 12), (30, 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_is_made_in_strips_is_the_same_bit_for_bit(monkeypatch, size, channels):
    torch.manual_seed(0)
    pictures = torch.rand(2, *size, channels).permute(0, 3, 1, 2)
    plan = plan_crop(EMPTY, size, (20, 16))
    cut = crop(pictures, plan)
    back = stitch(pictures, cut, torch.rand(2, 1, 20, 16), plan)
    torch.manual_seed(0)
    monkeypatch.setattr(crops, "AT_ONCE", 700)
    assert torch.equal(crop(torch.rand(2, *size, channels).permute(0, 3, 1, 2), plan), cut)
    again = stitch(pictures, cut, torch.rand(2, 1, 20, 16), plan)
    assert all(torch.equal(one, other) for one, other in zip(again, back, strict=True))


def test_a_crop_beyond_its_picture_is_that_of_the_widened_picture():
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 10, 90)
    widened = torch.nn.functional.pad(picture, (0, 0, 40, 40), mode="replicate")
    whole = torch.nn.functional.interpolate(widened, (16, 16), mode="bilinear", antialias=True)
    assert torch.equal(crop(picture, plan_crop(EMPTY, (10, 90), (16, 16))), whole)


def test_a_panorama_is_cropped_and_stitched_without_the_square_round_it(monkeypatch):
    sizes = sizes_of_strips(monkeypatch)
    picture = torch.rand(1, 3, 20, 2000)
    plan = plan_crop(EMPTY, (20, 2000), (32, 32))
    cut = crop(picture, plan)
    stitch(picture, cut, torch.ones(1, 1, 32, 32), plan)
    assert plan.box.height == 2000
    assert sizes and max(sizes) <= 3 * 32 * 2000


def test_nearest_keeps_labels():
    labels = torch.randint(0, 25, (1, 1, 51, 51)).float()
    plan = plan_crop(EMPTY, (51, 51), (17, 17))
    part = crop(labels, plan, mode="nearest")
    assert set(part.unique().tolist()) <= set(labels.unique().tolist())
    assert torch.equal(crop(labels.flip(2, 3), plan, mode="nearest"), part.flip(2, 3))


def test_wrong_sizes_name_both_shapes():
    plan = plan_crop(EMPTY, (8, 8), (4, 4))
    with pytest.raises(ValueError, match=r"image has shape \(1, 3, 9, 8\).*8, 8"):
        crop(torch.zeros(1, 3, 9, 8), plan)
    with pytest.raises(ValueError, match="patch has shape"):
        stitch(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 4, 4), plan)
    with pytest.raises(ValueError, match="crop mode"):
        crop(torch.zeros(1, 3, 8, 8), plan, mode="lanczos")


def test_boxes_follow_points_into_the_crop():
    plan = plan_crop(Box(20, 20, 60, 100), (128, 128), (64, 64), whole_at_model_size=False)
    box = box_to_crop(Box(30, 40, 50, 60), plan)
    corners_px = points_to_crop(np.array([[30.0, 40.0], [50.0, 60.0]]), plan)
    np.testing.assert_allclose(np.array(box).reshape(2, 2), corners_px)
