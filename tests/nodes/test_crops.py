"""Crop, stitch and compare."""

import json
import logging
import math

import numpy as np
import pytest
import torch
from figura.nodes.crops import FiguraCompare, FiguraCropPerson, FiguraStitch
from figura.people.keypoints import Person, Pose, write_pose_keypoint
from figura.people.prompts import parse_points
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

NODES = [FiguraCropPerson, FiguraStitch, FiguraCompare]


def pose(x: float, y: float, size: int = 100):
    body = np.zeros((18, 3), np.float32)
    body[:2] = [[x, y, 1], [x + 10, y + 20, 1]]
    return Pose((Person(body),), size, size)


@given(
    st.integers(1, 50), st.integers(1, 50), st.integers(1, 8), st.integers(1, 8),
    st.tuples(st.integers(-30, 60), st.integers(-30, 60), st.integers(1, 60), st.integers(1, 60)),
)  # fmt: skip
def test_outside_the_mask_nothing_changes(height, width, model_height, model_width, box):
    torch.manual_seed(1)
    image = torch.rand(1, height, width, 3)
    bounding_box = dict(zip(("x", "y", "width", "height"), box))
    crop, _, plans, _, _ = FiguraCropPerson().run(
        image, model_width * 8, model_height * 8, 0.15, bounding_box=bounding_box
    )
    assert crop.shape == (1, model_height * 8, model_width * 8, 3)
    mask = (torch.rand(crop.shape[:3]) > 0.7).float()
    out, changed = FiguraStitch().run(image, 1 - crop, plans, mask)
    assert torch.equal(out[changed == 0], image[changed == 0])
    none, unchanged = FiguraStitch().run(image, 1 - crop, plans, torch.zeros_like(mask))
    assert torch.equal(none, image) and not unchanged.any()


def test_a_crop_without_resampling_comes_back_bit_for_bit():
    image = torch.rand(1, 40, 48, 3)
    crop, mask, plans, _, box = FiguraCropPerson().run(image, 24, 16, 0.0, bounding_box=[8, 8, 32, 24])
    assert torch.equal(crop, image[:, 8:24, 8:32]) and mask.min() == 1
    assert box == {"x": 8, "y": 8, "width": 24, "height": 16}
    out, changed = FiguraStitch().run(torch.zeros_like(image), crop, plans)
    assert torch.equal(out[:, 8:24, 8:32], image[:, 8:24, 8:32]) and changed.sum() == 24 * 16


def test_the_crop_holds_all_that_is_connected():
    image = torch.rand(1, 100, 100, 3)
    mask = torch.zeros(1, 100, 100)
    mask[0, 80:90, 70:75] = 1
    prompt = parse_points(json.dumps({"people": [{"joints": {"neck": {"x": 20, "y": 30}}}]}), 100, 100)
    _, cropped_mask, plans, prompts, box = FiguraCropPerson().run(
        image, 64, 64, 0.0, prompt=[prompt], pose_keypoint=write_pose_keypoint([pose(40, 10)]), mask=mask
    )
    assert (
        box["x"] <= 20 and box["y"] <= 10 and box["y"] + box["height"] >= 90 and box["x"] + box["width"] >= 75
    )
    assert prompts[0].width == 64 and cropped_mask.sum() > 0
    assert plans[0].model_width == 64


@pytest.mark.parametrize("size", [(50, 100), (100, 200), (250, 500)])
def test_a_pose_or_prompt_of_another_canvas_is_meant_for_this_picture(size):
    image, scale = torch.rand(1, 100, 200, 3), size[0] / 100
    body = np.zeros((18, 3), np.float32)
    body[:2] = np.array([[60, 20, 1], [90, 70, 1]]) * [scale, scale, 1]
    keypoint = write_pose_keypoint([Pose((Person(body),), size[1], size[0])])
    _, _, _, _, box = FiguraCropPerson().run(image, 64, 64, 0.0, pose_keypoint=keypoint)
    assert (box["x"], box["y"], box["width"], box["height"]) == pytest.approx((50, 20, 50, 50), abs=1)
    places = {"neck": (90 * scale, 70 * scale), "nose": (60 * scale, 20 * scale)}
    joints = {name: {"x": x, "y": y} for name, (x, y) in places.items()}
    prompt = parse_points(json.dumps({"people": [{"joints": joints}]}), size[1], size[0])
    _, _, _, (cropped,), same = FiguraCropPerson().run(image, 64, 64, 0.0, prompt=[prompt])
    assert list(same.values()) == pytest.approx(list(box.values()), abs=1)
    expected = (np.array([60, 20]) - [box["x"], box["y"]]) * 64 / box["width"]
    np.testing.assert_allclose(cropped.joints[0, :2], expected, atol=2)


def test_an_empty_mask_is_told(caplog):
    mask = torch.zeros(2, 30, 60)
    mask[1, 5:9, 5:9] = 1
    FiguraCropPerson().run(torch.rand(2, 30, 60, 3), 64, 64, 0.15, mask=mask)
    assert "mask (picture 1 of 2) is empty" in caplog.text and "picture 2" not in caplog.text


def test_a_frame_of_nobody_is_named_and_is_cropped_whole(caplog):
    someone = {"pose_keypoints_2d": [60, 35, 1] * 18}
    frames = [{"people": people, "canvas_width": 128, "canvas_height": 128} for people in ([], [someone])]
    with caplog.at_level(logging.WARNING):
        _, _, plans, _, _ = FiguraCropPerson().run(torch.zeros(2, 128, 128, 3), 64, 64, 0.0, None, frames)
    assert "Crop Person: nobody in picture 1 of 2: its crop is the whole picture" in caplog.text
    assert [plan.box.width for plan in plans] == [128, 1]


def test_nothing_connected_takes_the_whole_picture_and_pads():
    image = torch.rand(2, 30, 60, 3)
    crop, mask, plans, prompts, boxes = FiguraCropPerson().run(image, 64, 64, 0.15)
    assert crop.shape == (2, 64, 64, 3) and prompts == [] and len(boxes) == 2
    assert 0 < mask.mean() < 1
    out, _ = FiguraStitch().run(image, crop, plans)
    assert (out - image).abs().mean() < 0.2


def test_the_crop_holds_people_of_a_single_joint_too():
    lone = np.zeros((18, 3), np.float32)
    lone[0] = (90, 5, 1)
    both = write_pose_keypoint([Pose((*pose(20, 50).people, Person(lone)), 100, 100)])
    image = torch.zeros(1, 100, 100, 3)
    *_, box = FiguraCropPerson().run(image, 64, 64, 0.0, pose_keypoint=both)
    assert box["x"] + box["width"] > 90 and box["y"] <= 5


def test_a_larger_patch_is_stitched_too():
    image = torch.zeros(1, 64, 64, 4)
    _, _, plans, _, _ = FiguraCropPerson().run(image, 32, 32, 0.0, bounding_box=[0, 0, 32, 32])
    out, changed = FiguraStitch().run(image, torch.ones(1, 128, 128, 3), plans)
    assert out[:, :32, :32, :3].min() == 1 and out.sum() == 3 * 32 * 32 and changed.sum() == 32 * 32


def test_mismatches_name_the_inputs():
    image = torch.zeros(3, 64, 64, 3)
    crop, _, plans, _, _ = FiguraCropPerson().run(image, 32, 32, 0.0)
    with pytest.raises(ValueError, match="The batches do not match"):
        FiguraStitch().run(image, crop[:2], plans)
    with pytest.raises(ValueError, match="mask has 9 x 9 pixels but patch has 32 x 32"):
        FiguraStitch().run(image, crop, plans, torch.ones(1, 9, 9))
    with pytest.raises(ValueError, match="image has shape .*Use the crop data"):
        FiguraStitch().run(torch.zeros(3, 65, 64, 3), crop, plans)
    with pytest.raises(ValueError, match="mask has 9 x 9 pixels but image has 64 x 64"):
        FiguraCropPerson().run(image, 32, 32, 0.0, mask=torch.ones(1, 9, 9))
    with pytest.raises(ValueError, match="patch holds NaN"):
        FiguraStitch().run(image, crop * float("nan"), plans)


@pytest.mark.slow
def test_a_large_picture_goes_through():
    image = torch.zeros(1, 5000, 7000, 3)
    crop, _, plans, _, _ = FiguraCropPerson().run(
        image, 128, 128, 0.15, bounding_box=[3000, 1000, 3600, 2500]
    )
    out, changed = FiguraStitch().run(image, crop + 1, plans)
    assert out.shape == image.shape and 0 < changed.mean() < 0.15


class TestCompare:
    def test_equal_pictures(self):
        image = torch.rand(1, 20, 20, 3)
        figures, difference, psnr, ssim, largest, outside, changed = FiguraCompare().run(image, image)
        assert psnr == math.inf and ssim == pytest.approx(1) and largest == outside == changed == 0
        assert not difference.any() and figures.startswith("all: psnr inf dB")

    def test_inside_and_outside(self):
        a = torch.rand(1, 32, 40, 3) * 0.5
        b = a.clone()
        b[:, :8, :8] += 0.25
        mask = torch.zeros(1, 32, 40)
        mask[:, :8, :4] = 0.1
        figures, difference, psnr, _, largest, outside, changed = FiguraCompare().run(a, b, 2.0, mask)
        assert psnr == pytest.approx(20 * math.log10(4), abs=1e-3)
        assert largest == pytest.approx(0.25) and outside == pytest.approx(0.25) and changed == 32
        assert difference.max() == pytest.approx(0.5)
        assert "changed 32 of 32 pixels" in figures and "changed 32 of 1248 pixels" in figures

    def test_ssim_agrees_with_scikit_image(self):
        torch.manual_seed(0)
        a = torch.rand(1, 40, 50, 3)
        b = (a + 0.1 * torch.randn_like(a)).clamp(0, 1)
        mask = torch.zeros(1, 40, 50)
        mask[:, 5:-5, 5:-5] = 1
        ours = FiguraCompare().run(a, b, 1.0, mask)[3]
        theirs = structural_similarity(
            a[0].numpy(), b[0].numpy(), channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert ours == pytest.approx(theirs, abs=1e-4)

    def test_small_and_empty_regions(self):
        one = torch.rand(1, 1, 1, 3)
        assert math.isnan(FiguraCompare().run(one, one)[3])
        figures = FiguraCompare().run(one, one, 1.0, torch.zeros(1, 1, 1))[0]
        assert figures.startswith("inside: no pixels")

    def test_other_sizes(self):
        with pytest.raises(ValueError, match="image_b has 4 x 5 pixels but image_a has 4 x 4"):
            FiguraCompare().run(torch.zeros(1, 4, 4, 3), torch.zeros(1, 5, 4, 3))


def test_a_patch_of_another_shape_than_its_crop_is_said(caplog):
    image = torch.zeros(1, 64, 64, 3)
    _, _, plans, _, _ = FiguraCropPerson().run(image, 32, 32, 0.0, bounding_box=[0, 0, 32, 32])
    FiguraStitch().run(image, torch.ones(1, 65, 64, 3), plans)
    assert not caplog.text
    FiguraStitch().run(image, torch.ones(1, 64, 128, 3), plans)
    assert "the patch has 128 x 64 pixels and its crop 32 x 32: it is squashed" in caplog.text
