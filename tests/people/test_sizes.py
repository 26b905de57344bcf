"""Sizes that somebody only says: a sentence, before memory is taken."""

import pytest
import torch
from figura.people.boxes import Box
from figura.people.crops import LARGEST_SIDE, crop, plan_crop
from figura.people.keypoints import Person, Pose, read_pose_keypoint
from figura.people.skeleton import draw_poses
from figura.people.skeleton_coco import draw_coco_pose

BODY = [100.0, 100.0, 1.0] * 18


@pytest.mark.parametrize(
    "box",
    [Box(-15_000, -15_000, 15_000, 15_000), Box(0, 0, 1e6, 5), Box(0, 0, 5, 1e6),
     Box(0, 0, 40_000, 40_000), Box(0, 0, 100, 8000)],
)  # fmt: skip
@pytest.mark.parametrize("model_size", [(512, 512), (512, 1024), (1024, 512)])
def test_no_crop_is_larger_than_memory(box, model_size):
    try:
        plan = plan_crop(box, (600, 800), model_size)
    except ValueError as error:
        assert "too far outside" in str(error)
    else:
        assert max(plan.box.width, plan.box.height) <= LARGEST_SIDE


@pytest.mark.parametrize("box", [Box(-600, -700, 1400, 1500), Box(0, 0, 800, 600), Box(790, 590, 2400, 2000)])
def test_what_is_real_is_cut(box):
    made = crop(torch.rand(1, 3, 600, 800), plan_crop(box, (600, 800), (64, 64)))
    assert made.shape == (1, 3, 64, 64)


def test_large_pictures_have_large_crops():
    plan = plan_crop(Box(0, 0, 10_000, 9000), (9000, 10_000), (512, 512))
    assert plan.box.width == plan.box.height == 10_000


@pytest.mark.parametrize("draw", [lambda pose: draw_poses([pose]), draw_coco_pose])
def test_a_canvas_of_any_size_is_a_sentence(draw):
    given = {"people": [{"pose_keypoints_2d": BODY}], "canvas_width": 30_000, "canvas_height": 30_000}
    (pose,) = read_pose_keypoint(given)
    with pytest.raises(ValueError, match="30000 x 30000 pixels, which is more than is drawn"):
        draw(pose)
    assert draw(Pose((Person(pose.people[0].body),), 640, 480)).shape[-2:] == (480, 640)
