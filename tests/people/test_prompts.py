"""Point prompts: the points text, a detected pose, and the prompt picture."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from figura.people.boxes import Box
from figura.people.crops import plan_crop
from figura.people.keypoints import BODY_18, Person, Pose, write_pose_keypoint
from figura.people.prompt_kinds import PROMPT_KINDS
from figura.people.prompts import PointPrompt, draw_prompt, parse_points
from figura.people.skeleton import draw_skeleton

KNEE, ANKLE = BODY_18.index("right_knee"), BODY_18.index("right_ankle")


def person(x: float = 50.0, count: int = 9) -> Person:
    body = np.zeros((18, 3), np.float32)
    body[:count] = np.stack([np.full(count, x), np.linspace(10, 60, count), np.ones(count)], 1)
    return Person(body)


def text(**joints) -> str:
    return json.dumps({"people": [{"joints": joints}]})


def test_given_joints_override_the_detected_ones():
    said = text(right_knee={"x": 40, "y": 80}, neck={"x": 50, "y": 20, "state": "detected"})
    prompt = parse_points(said, 100, 100, pose=Pose((person(),), 100, 100))
    assert prompt.joints[KNEE].tolist() == [40, 80, 1] and prompt.joints[1].tolist() == [50, 20, 1]
    assert prompt.given.nonzero()[0].tolist() == [KNEE]
    assert len(prompt.visible_joints) == 9
    assert prompt.extent == Box(40, 10, 50, 80)


@pytest.mark.parametrize("joints", [{"neck": (8, 9)}, {"neck": (8, 9), "right_hip": (8, 30)}])
def test_joints_in_one_place_or_line_count_beside_a_box(joints):
    said = json.loads(text(**{name: {"x": x, "y": y} for name, (x, y) in joints.items()}))
    prompt = parse_points(json.dumps({**said, "roi_box": [50, 50, 90, 90]}), 100, 100, "pose_roi_box")
    assert prompt.extent == Box(8, 9, 90, 90)


@pytest.mark.parametrize("state", ["given", "proposed", "occluded"])
def test_only_detected_joints_are_visible(state):
    prompt = parse_points(text(right_knee={"x": 4, "y": 8, "state": state}), 10, 10)
    assert len(prompt.visible_joints) == 0 and prompt.present.sum() == 1


def test_proposed_joints_of_a_pose_are_given_until_the_text_says_otherwise():
    states = ("proposed",) * 4 + ("detected",) * 5 + (None,) * 9
    pose = Pose((replace(person(), states=states),), 100, 100)
    prompt = parse_points("", 100, 100, pose=pose)
    assert prompt.given.nonzero()[0].tolist() == [0, 1, 2, 3] and len(prompt.visible_joints) == 5
    said = text(nose={"x": 40, "y": 8}, neck={"x": 50, "y": 20, "state": "detected"}, right_shoulder=None)
    dragged = parse_points(said, 100, 100, pose=pose)
    assert dragged.joints[0].tolist() == [40, 8, 1]
    assert dragged.given.nonzero()[0].tolist() == [0, 3] and not dragged.present[2]


def test_a_null_joint_takes_a_detected_one_away():
    prompt = parse_points(text(neck=None), 100, 100, pose=Pose((person(),), 100, 100))
    assert not prompt.joints[1].any() and prompt.present.sum() == 8


def test_points_follow_the_pictures_size():
    said = json.dumps(
        {"width": 200, "height": 50, "people": [{"joints": {"right_knee": {"x": 100, "y": 25}}}]}
    )
    prompt = parse_points(said, 100, 100, pose=Pose((person(25),), 50, 50))
    assert prompt.joints[KNEE].tolist() == [50, 50, 1]
    assert prompt.joints[0].tolist() == [50, 20, 1]


def test_the_person_is_the_nearest_or_has_most_joints_or_is_asked_for():
    pose = Pose((person(20, 5), person(80, 7)), 100, 100)
    assert parse_points("", 100, 100, pose=pose).joints[0, 0] == 80
    near = text(right_ankle={"x": 22, "y": 90})
    assert parse_points(near, 100, 100, pose=pose).joints[0, 0] == 20
    assert parse_points("", 100, 100, pose=pose, box=Box(0, 0, 30, 100)).joints[0, 0] == 20
    assert parse_points(near, 100, 100, pose=pose, person=1).joints[0, 0] == 80
    with pytest.raises(ValueError, match="person 2 was asked for, but POSE_KEYPOINT has 2"):
        parse_points("", 100, 100, pose=pose, person=2)


def test_the_nearest_person_of_a_pose_of_another_size_is_told_in_the_pictures_pixels():
    pose = Pose((person(20, 7), person(45, 7)), 50, 100)  # at 40 and 90 of the picture's 100
    assert parse_points(text(right_ankle={"x": 50, "y": 90}), 100, 100, pose=pose).joints[0, 0] == 40
    assert parse_points("", 100, 100, pose=pose, box=Box(30, 0, 60, 100)).joints[0, 0] == 40


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100000, "points:"),
        ("[]", "must be a JSON object"),
        ('{"version": 9}', "version 9"),
        ('{"width": 0}', "width must be above 0"),
        ('{"width": "x"}', "width must be a finite number"),
        ('{"people": {}}', "needs joints"),
        ('{"people": 4}', "people must be a list"),
        ('{"people": [1]}', r"people\[0\]"),
        ('{"people": [{}], "active": 1}', "active"),
        (text(right_knea={"x": 1, "y": 1}), "no joint 'right_knea'"),
        (text(right_knee=[1, 2]), "right_knee must be"),
        (text(right_knee={"x": 1}), "right_knee must be"),
        (text(right_knee={"x": 1, "y": float("nan")}), "right_knee.y must be a finite number"),
        (text(right_knee={"x": True, "y": 1}), "right_knee.x must be a finite number"),
        (text(right_knee={"x": 1, "y": 1, "state": "seen"}), "state of right_knee"),
        (text(right_knee={"x": 151, "y": 1}), "right_knee at .* far outside the picture of 100 x 100"),
        ('{"roi_box": [1, 2, 3]}', "roi_box must be"),
        ('{"roi_box": [1, 2, 1, 9]}', "roi_box .* no area"),
        ('{"full_box": [200, 2, 300, 9]}', "full_box lies outside"),
        ('{"positive": [[1]]}', r"positive\[0\]"),
        ('{"negative": [[-1, 5]]}', r"negative\[0\] at"),
        (json.dumps({"positive": [[1, 1]] * 257}), "at most 256"),
        ("", "needs joints"),
    ],
)
def test_mistakes_are_named(said, says):
    with pytest.raises(ValueError, match=says):
        parse_points(said, 100, 100)


def test_a_joint_below_the_frame_is_taken_from_every_form_alike():
    body = np.zeros((18, 3), np.float32)
    body[[1, 10]] = (40, 60, 1), (45, 130, 1)
    pose = Pose((Person(body),), 100, 100)
    named = text(neck={"x": 40, "y": 60}, right_ankle={"x": 45, "y": 130})
    prompts = (
        parse_points(named, 100, 100),
        parse_points("", 100, 100, pose=pose),
        parse_points(json.dumps(write_pose_keypoint([pose])), 100, 100),
    )
    for prompt in prompts:
        np.testing.assert_array_equal(prompt.joints, body)


def test_a_connected_box_outside_of_the_picture_is_named_where_it_is_shown():
    outside = Box(300, 300, 350, 350)
    with pytest.raises(ValueError, match="bounding_box .* lies outside the picture of 100 x 100 pixels"):
        parse_points("", 100, 100, "roi_box", box=outside)
    assert parse_points("", 100, 100, "roi_box", box=Box(90, 90, 150, 150)).roi_box == (90, 90, 150, 150)
    set_in_text = parse_points('{"roi_box": [1, 1, 9, 9]}', 100, 100, "roi_box", box=outside)
    assert set_in_text.roi_box == (1, 1, 9, 9)


def test_a_kind_says_what_it_needs():
    with pytest.raises(ValueError, match="needs a box. Set roi_box"):
        parse_points(text(neck={"x": 1, "y": 1}), 10, 10, kind="pose_roi_box")
    with pytest.raises(ValueError, match="prompt_type must be one of"):
        parse_points("", 10, 10, kind="box")
    prompt = parse_points("", 10, 10, kind="full_box", box=Box(1, 1, 9, 9))
    assert prompt.box == Box(1, 1, 9, 9) and not prompt.has_joints


def test_a_prompt_follows_its_crop():
    said = json.dumps({"people": [{"joints": {"neck": {"x": 30, "y": 40}}}], "positive": [[30, 40]]})
    prompt = parse_points(said, 100, 100, kind="pose_full_box", box=Box(20, 20, 60, 60))
    cropped = prompt.cropped(plan_crop(Box(20, 20, 60, 60), (100, 100), (80, 80), margin=0))
    assert (cropped.width, cropped.height) == (80, 80)
    assert cropped.joints[1].tolist() == [20, 40, 1] and cropped.positive_px.tolist() == [[20, 40]]
    assert cropped.full_box == Box(0, 0, 80, 80)
    assert not cropped.joints[0].any()


def test_the_papers_five_kinds_are_drawn():
    said = json.dumps(
        {
            "people": [{"joints": {"neck": {"x": 30, "y": 40}}}],
            "roi_box": [10, 50, 90, 90],
            "full_box": [5, 5, 95, 95],
        }
    )
    prompts = [parse_points(said, 100, 100, kind=kind) for kind in PROMPT_KINDS]
    drawn = dict(zip(PROMPT_KINDS, draw_prompt(prompts, 512, 512)))
    joints = torch.from_numpy(prompts[0].joints[None]) * torch.tensor([5.12, 5.12, 1.0])
    torch.testing.assert_close(drawn["pose"], draw_skeleton(joints, 512, 512)[0])
    inside = drawn["roi_box"][:, 350, 256]
    assert (inside * 255).round().tolist() == [128, 128, 128]
    assert drawn["roi_box"][:, 256, 256].tolist() == [1, 1, 1]
    assert drawn["full_box"][:, 350, 256].tolist() == [0, 0, 0] and drawn["full_box"].max() == 1
    outline = drawn["full_box"][0, :60, 256].sum().item()
    assert outline == pytest.approx(4.0, abs=1e-3)
    both = drawn["pose_roi_box"] - drawn["roi_box"]
    torch.testing.assert_close(both, drawn["pose"])


def test_a_prompt_becomes_a_pose():
    prompt = parse_points("", 100, 60, pose=Pose((person(),), 100, 60))
    pose = prompt.to_pose()
    assert (pose.width, pose.height) == (100, 60)
    np.testing.assert_array_equal(pose.people[0].body, person().body)
    assert pose.people[0].states == ("detected",) * 9 + (None,) * 9


def test_visible_joints_alone_are_told_apart_from_hidden_ones_and_from_none() -> None:
    joints, given = np.zeros((18, 3), np.float32), np.zeros(18, bool)
    blank = PointPrompt("pose", 64, 64, joints, given)
    joints = joints.copy()
    joints[:2, 2] = 1
    told = replace(blank, joints=joints)
    hidden = replace(told, given=np.arange(18) == 1)
    unset = replace(told, given=np.arange(18) == 5)  # marked, but without a place
    kinds = (blank, told, hidden, unset, replace(told, kind="full_box"))
    assert [each.tells_visible_joints_alone for each in kinds] == [False, True, False, True, False]
