"""The node that proposes missing joints: people, boxes, batches, seeds, and the way on into a prompt."""

import json

import numpy as np
import pytest
import torch
from figura.host import use_host
from figura.host.plain import PlainHost
from figura.models.perception.pose_completion import PoseCompletion
from figura.nodes import complete_pose as module
from figura.nodes.complete_pose import FiguraCompletePose
from figura.nodes.people import FiguraPointPrompt
from figura.people.keypoints import BODY_18, STATES_KEY, Person, Pose, read_pose_keypoint, write_pose_keypoint
from figura.people.synthetic import render_people

LEGS = [8, 9, 10, 11, 12, 13]
JOINTS = render_people([10_000_003, 10_000_004]).joints.numpy()


@pytest.fixture(autouse=True)
def network(monkeypatch, tmp_path):
    """A random network, which believes in every joint."""
    torch.manual_seed(0)
    net = PoseCompletion().eval()
    net.mean_pose.copy_(torch.from_numpy(JOINTS[0, :, :2]) / 105 - 0.6)
    torch.nn.init.constant_(net.presence.bias, 9.0)
    monkeypatch.setattr(module, "load_pose_completion", lambda path: net)
    with use_host(PlainHost(models_dir=tmp_path, device="cpu")) as host:
        monkeypatch.setattr(type(host), "find_model", lambda self, file_kind, name: tmp_path)
        yield net


def person(number: int = 0, hidden: tuple[int, ...] = tuple(LEGS)) -> Person:
    body = JOINTS[number].copy()
    body[:, 2] = 1
    body[list(hidden)] = 0
    return Person(body)


def value(*people: Person, size: int = 128) -> list[dict]:
    return write_pose_keypoint([Pose(people, size, size)])


def run(pose_keypoint, seed: int = 0, count: int = 1, variety: float = 0.2, **others):
    return FiguraCompletePose().run(pose_keypoint, seed, count, variety, **others)


def test_missing_joints_are_proposed_and_the_others_stay() -> None:
    given = value(person())
    out, skeleton = run(given)
    before, after = read_pose_keypoint(given)[0].people[0], read_pose_keypoint(out)[0].people[0]
    kept = before.body[:, 2] > 0
    assert after.body[kept].tobytes() == before.body[kept].tobytes()
    assert (after.body[LEGS, 2] > 0).sum() >= 4
    assert [after.states[i] for i in range(18) if kept[i]] == ["detected"] * kept.sum()
    assert {after.states[i] for i in LEGS} <= {"proposed", None}
    assert skeleton.shape == (1, 128, 128, 3) and skeleton.max() > 0.5
    assert len(out[0]["people"][0]["pose_keypoints_2d"]) == 54
    assert json.loads(json.dumps(out)) == out


def test_candidates_have_seeds_of_their_own_and_follow_as_in_repeat_image_batch() -> None:
    two = value(person()) + value(person(1))
    out, skeleton = run(two, seed=7, count=2)
    assert len(out) == 4 and len(skeleton) == 4
    third, _ = run(two[:1], seed=9)
    assert out[2] == third[0] and out[0] != out[2]


def test_hands_and_other_people_are_passed_on() -> None:
    hand = np.ones((21, 3), np.float32) * 9
    first = Person(person().body, left_hand=hand)
    (pose,) = read_pose_keypoint(run(value(first, person(1, ())))[0])
    assert np.array_equal(pose.people[0].left_hand[:, :2], hand[:, :2])
    assert np.array_equal(pose.people[1].body, person(1, ()).body)


def test_the_box_belongs_to_the_person_in_it() -> None:
    left, right = person(), person(1)
    right.body[right.body[:, 2] > 0, 0] += 200
    joints = right.body[right.body[:, 2] > 0]
    x0, y0 = joints[:, :2].min(0) - 3
    box = {"x": float(x0), "y": float(y0), "width": 60.0, "height": 300.0}
    given = write_pose_keypoint([Pose((left, right), 400, 400)])
    plain = read_pose_keypoint(run(given, variety=0.0)[0])[0]
    boxed = read_pose_keypoint(run(given, variety=0.0, bounding_box=box)[0])[0]
    assert np.array_equal(plain.people[0].body, boxed.people[0].body)
    assert not np.array_equal(plain.people[1].body, boxed.people[1].body)


def test_a_box_alone_gives_a_person_and_nobody_at_all_a_warning(caplog) -> None:
    nobody = value()
    (pose,) = read_pose_keypoint(run(nobody, bounding_box={"x": 20, "y": 9, "width": 60, "height": 110})[0])
    assert (pose.people[0].body[:, 2] > 0).sum() > 9
    assert run(nobody)[0][0]["people"] == [] and "nobody in this picture" in caplog.text
    empty = value(person(0, tuple(range(18))))
    assert not np.any(run(empty)[0][0]["people"][0]["pose_keypoints_2d"])
    assert "cannot be completed" in caplog.text


def test_a_frame_in_which_no_box_was_found_is_completed_as_without_one() -> None:
    given = value(person())
    assert run(given, bounding_box=[[]])[0] == run(given)[0]
    box = {"x": 20, "y": 9, "width": 60, "height": 110}
    first, second = run([*given, *given], bounding_box=[[], [box]])[0]
    assert first == run(given)[0][0] and second != run(given, seed=1)[0][0]
    assert run(value(), bounding_box=[[]])[0][0]["people"] == []


def test_batches_that_do_not_match_are_named() -> None:
    with pytest.raises(ValueError, match="bounding_box has 3 entries"):
        run(value(person()) * 2, bounding_box=[[0, 0, 9, 9]] * 3)


def test_a_prompt_takes_proposals_for_the_hidden_part_and_the_users_points_win() -> None:
    out, _ = run(value(person()))
    image = torch.zeros(1, 128, 128, 3)
    _, (prompt,), keypoint, *_ = FiguraPointPrompt().run(image, "pose", "", out)["result"]
    assert prompt.given.nonzero()[0].tolist() == [i for i in LEGS if prompt.joints[i, 2] > 0]
    assert keypoint[0]["people"][0][STATES_KEY][0] == "detected"
    dragged = json.dumps({"people": [{"joints": {"right_knee": {"x": 3, "y": 4}}}]})
    _, (prompt,), *_ = FiguraPointPrompt().run(image, "pose", dragged, out)["result"]
    assert prompt.joints[BODY_18.index("right_knee")].tolist() == [3, 4, 1]


def test_what_it_proposed_before_is_not_taken_for_seen() -> None:
    out, _ = run(value(person()))
    again, _ = run(out, seed=5)
    assert again[0]["people"][0] == out[0]["people"][0]
