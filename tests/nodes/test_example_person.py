"""The example person: what it gives belongs together."""

import numpy as np
import pytest
import torch
from figura.host import Cancelled
from figura.nodes.example_person import FiguraExamplePerson
from figura.people.keypoints import BODY_18, read_pose_keypoint
from figura.people.synthetic import HELD_OUT_FIRST_SEED, render_people


@pytest.fixture(scope="module")
def example():
    return dict(zip(FiguraExamplePerson.RETURN_NAMES, FiguraExamplePerson().run(10_000_007, 128, 0.4)))


def test_outputs(example):
    assert list(example)[:8] == [
        "occluded", "complete", "pose_keypoint", "visible_mask", "amodal_mask", "densepose", "caption",
        "other_pose",
    ]  # fmt: skip
    assert example["occluded"].shape == example["complete"].shape == (1, 128, 128, 3)
    visible, amodal = example["visible_mask"], example["amodal_mask"]
    assert visible.shape == amodal.shape == (1, 128, 128)
    assert ((amodal - visible) >= 0).all()
    assert 1 - visible.sum() / amodal.sum() == pytest.approx(0.4, abs=0.15)
    assert example["densepose"].labels.shape == (1, 128, 128)
    assert isinstance(example["caption"], str) and example["caption"]


def test_the_default_person_is_held_out():
    seed = FiguraExamplePerson.INPUT_TYPES()["required"]["seed"][1]
    assert seed["default"] >= HELD_OUT_FIRST_SEED
    FiguraExamplePerson().run(seed["max"], 64, 0.0)


def test_the_pose_has_hidden_joints_and_hands_on_their_wrists(example):
    (pose,) = read_pose_keypoint(example["pose_keypoint"])
    (person,) = pose.people
    truth = render_people([10_000_007], 128, occlusion=0.4)
    np.testing.assert_array_equal(person.body, truth.joints[0].numpy() * (truth.joints[0, :, 2:] > 0).numpy())
    assert (truth.joints[0, :, 2] > 0).sum() > truth.joint_visible[0].sum()
    for side, hand in (("left", person.left_hand), ("right", person.right_hand)):
        wrist = person.body[BODY_18.index(f"{side}_wrist")]
        assert np.linalg.norm(hand[0, :2] - wrist[:2]) < 2


def test_the_same_seed_is_the_same_person_in_two_poses(example):
    again = FiguraExamplePerson().run(10_000_007, 128, 0.4)
    assert torch.equal(again[0], example["occluded"])
    assert again[2] != again[8]
    assert not torch.equal(again[7], again[1])


def test_before_white_everybody_is_a_cutout():
    made = FiguraExamplePerson().run(10_000_007, 128, 0.0, background="white")
    outputs = dict(zip(FiguraExamplePerson.RETURN_NAMES, made))
    cutout = render_people([10_000_007], 128, occlusion=0.0).cutout.permute(0, 2, 3, 1)
    other = render_people([10_000_007], 128, pose_seeds=[10_000_008], occlusion=0.0).cutout.permute(
        0, 2, 3, 1
    )
    assert torch.equal(outputs["occluded"], cutout) and torch.equal(outputs["complete"], cutout)
    assert torch.equal(outputs["other_pose"], other)


def test_the_bar_moves_while_it_draws(reports):
    FiguraExamplePerson().run(10_000_007, 64, 0.4, unique_id="7")
    assert [report[:3] for report in reports] == [("7", done, 10) for done in range(1, 11)]


def test_cancelling_stops_the_drawing(reports_until_cancelled):
    with pytest.raises(Cancelled):
        FiguraExamplePerson().run(10_000_007, 64, 0.4, unique_id="7")
    assert [done for _, done, _, _ in reports_until_cancelled] == [1]


def test_the_editors_picture_is_not_cancelled_with_the_graph_that_runs_meanwhile(host, reports):
    host.cancel()
    FiguraExamplePerson().run(10_000_007, 64, 0.4)
    assert reports == []
