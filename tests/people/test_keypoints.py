"""Joint orders and the POSE_KEYPOINT value."""

import numpy as np
import pytest
from figura.people.keypoints import (
    BODY_18,
    HAND_21,
    HAND_EDGES,
    HFLIP_18,
    LIMBS,
    STATES_KEY,
    Person,
    Pose,
    body18_from_coco17,
    coco17_from_body18,
    read_pose_keypoint,
    write_pose_keypoint,
)


def body(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(2, 90, (18, 2)), np.ones((18, 1))], axis=1).astype(np.float32)


def frame(joints, width=100, height=100, **parts):
    return {
        "people": [{"pose_keypoints_2d": np.asarray(joints).ravel().tolist(), **parts}],
        "canvas_width": width,
        "canvas_height": height,
    }


def test_tables():
    assert len(BODY_18) == 18 and len(LIMBS) == 17 and len(HAND_21) == 21 and len(HAND_EDGES) == 20
    assert HAND_EDGES[4] == (0, 5) and HAND_EDGES[7] == (7, 8)
    for index, name in enumerate(BODY_18):
        mirrored = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert BODY_18[HFLIP_18[index]] == mirrored


def test_pixels_round_trip_with_hands_and_absent_joints():
    joints = body()
    joints[5] = 0
    hand = np.ones((21, 3), np.float32) * 7
    hand[:, 2] = 1
    pose = Pose((Person(joints, left_hand=hand), Person(body(1))), 100, 80)
    (read,) = read_pose_keypoint(write_pose_keypoint([pose]))
    assert (read.width, read.height, len(read.people)) == (100, 80, 2)
    np.testing.assert_array_equal(read.people[0].body, joints)
    np.testing.assert_array_equal(read.people[0].left_hand, hand)
    assert read.people[0].right_hand is None and read.people[0].face is None


def test_what_is_written_is_flat_and_has_confidence_one():
    joints = body()
    joints[3, 2] = 0.4
    (written,) = write_pose_keypoint([Pose((Person(joints),), 100, 80)])
    numbers = written["people"][0]["pose_keypoints_2d"]
    assert len(numbers) == 54 and all(isinstance(number, float) for number in numbers)
    assert set(numbers[2::3]) == {1.0}


@pytest.mark.parametrize(
    ("width", "height", "sides"),
    [(600, 800, (600, 800)), (100, 130, (100, 130)), (512, 700, (512, 704)), (512, 768, (512, 768))],
)
def test_normalised_points_are_scaled_by_their_own_canvas_or_by_the_padded_one(width, height, sides):
    unit = np.tile([0.5, 0.25, 1.0], (18, 1))
    (pose,) = read_pose_keypoint(frame(unit, width=width, height=height))
    np.testing.assert_allclose(pose.people[0].body[0], [sides[0] / 2, sides[1] / 4, 1])


def test_a_normalised_pose_with_a_joint_outside_stays_normalised():
    unit = np.tile([0.5, 0.5, 1.0], (18, 1))
    unit[10, 1] = 1.02
    (pose,) = read_pose_keypoint(frame(unit, width=720, height=1280))
    np.testing.assert_allclose(pose.people[0].body[[0, 10], :2], [[360, 640], [360, 1305.6]], rtol=1e-5)


def test_each_list_of_each_person_has_a_dialect_of_its_own():
    unit, hand = np.tile([0.5, 0.5, 1.0], (18, 1)), np.tile([70.0, 30.0, 1.0], (21, 1))
    value = frame(unit, width=100, height=100, hand_left_keypoints_2d=hand.ravel().tolist())
    value["people"].append({"pose_keypoints_2d": np.tile([80.0, 90.0, 1.0], (18, 1)).ravel().tolist()})
    (pose,) = read_pose_keypoint(value)
    first, second = pose.people
    assert first.body[0].tolist() == [50, 50, 1] and first.left_hand[0].tolist() == [70, 30, 1]
    assert second.body[0].tolist() == [80, 90, 1]


@pytest.mark.parametrize("count", [56, 69, 1, 478])
def test_faces_of_any_count_are_left_out(count):
    value = frame(body(), face_keypoints_2d=np.ones(3 * count).tolist())
    assert read_pose_keypoint(value)[0].people[0].face is None


@pytest.mark.parametrize("value", ["x", float("inf"), 1e12, None])
def test_a_face_that_is_no_numbers_is_left_out(value):
    read = read_pose_keypoint(frame(body(), face_keypoints_2d=[value] * 210))
    assert read[0].people[0].face is None and read[0].people[0].is_present


@pytest.mark.parametrize("empty", [[], np.zeros((0, 3)), np.zeros(0)])
def test_an_empty_part_of_any_kind_is_none(empty):
    (pose,) = read_pose_keypoint(frame(body(), hand_left_keypoints_2d=empty))
    assert pose.people[0].left_hand is None


def test_sentinel_joints_are_absent_in_both_dialects():
    for scale in (1.0, 100.0):
        joints = np.tile([0.5 * scale, 0.5 * scale, 1.0], (18, 1))
        joints[4] = (-1, -1, 1)
        (pose,) = read_pose_keypoint(frame(joints, width=100, height=100))
        np.testing.assert_allclose(pose.people[0].body[[0, 4]], [[50, 50, 1], [0, 0, 0]])


def test_small_negative_points_of_the_normalised_dialect_are_absent():
    unit = body() / np.array([128, 128, 1])
    hand = np.tile([-0.01, -0.01, 1.0], (21, 1))
    (pose,) = read_pose_keypoint(frame(unit, hand_left_keypoints_2d=hand.ravel().tolist()))
    assert not pose.people[0].left_hand.any()


def test_coco17_and_body25_are_told_by_length():
    joints = body()
    coco = coco17_from_body18(joints)
    (pose,) = read_pose_keypoint(frame(coco))
    np.testing.assert_allclose(pose.people[0].body[[0, *range(2, 18)]], joints[[0, *range(2, 18)]])
    np.testing.assert_allclose(pose.people[0].body[1], (joints[2] + joints[5]) / 2)
    twenty_five = np.zeros((25, 3), np.float32)
    twenty_five[[0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]] = joints
    (pose,) = read_pose_keypoint([frame(twenty_five)])
    np.testing.assert_array_equal(pose.people[0].body, joints)


def test_the_neck_needs_both_shoulders():
    coco = coco17_from_body18(body())
    coco[5] = 0
    assert not body18_from_coco17(coco)[1].any()


def test_none_parts_nested_lists_and_empty_people():
    nested = {"people": [{"pose_keypoints_2d": body().tolist(), "face_keypoints_2d": None}]}
    (pose,) = read_pose_keypoint({**nested, "canvas_width": 100, "canvas_height": 100})
    np.testing.assert_array_equal(pose.people[0].body, body())
    holes = body().ravel().tolist()
    holes[6:9] = [None, None, None]
    (pose,) = read_pose_keypoint(frame(np.array(holes, dtype=object)))
    assert not pose.people[0].body[2].any() and pose.people[0].body[3].all()
    (pose,) = read_pose_keypoint(
        {"people": [{"pose_keypoints_2d": None}], "canvas_width": 9, "canvas_height": 9}
    )
    assert not pose.people[0].body.any()
    (pose,) = read_pose_keypoint({"people": None, "canvas_width": 9, "canvas_height": 9})
    assert pose.people == ()


def test_files_of_older_openpose_are_read():
    hand = [10.0, 20.0, 0.9] * 21
    (new,) = read_pose_keypoint(frame([30.0, 40.0, 0.9] * 18, hand_left_keypoints_2d=hand))
    person = {"pose_keypoints": [30.0, 40.0, 0.9] * 18, "hand_left_keypoints": hand}
    (old,) = read_pose_keypoint({**frame([]), "people": [person]})
    np.testing.assert_array_equal(old.people[0].body, new.people[0].body)
    np.testing.assert_array_equal(old.people[0].left_hand, new.people[0].left_hand)


def test_people_may_come_as_an_array():
    (written,) = frame(body().ravel())["people"]
    for count in (0, 1, 2):
        people = np.array([written] * count, dtype=object)
        (pose,) = read_pose_keypoint({"people": people, "canvas_width": 100, "canvas_height": 100})
        assert len(pose.people) == count and all(person.is_present for person in pose.people)
        assert pose.shows_nobody == (count == 0)


def test_a_missing_canvas_takes_the_pictures_size():
    (pose,) = read_pose_keypoint({"people": []}, size=(30, 40))
    assert (pose.width, pose.height) == (40, 30)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (3, "must be a list of dicts"),
        ("text", "must be a list of dicts"),
        ([3], "POSE_KEYPOINT must be a dict"),
        ({"version": "ap10k", "animals": []}, "'animals'"),
        ({"people": []}, "canvas_width"),
        ({"people": [], "canvas_width": 0, "canvas_height": 5}, "canvas_width"),
        ({"people": [3], "canvas_width": 5, "canvas_height": 5}, "person 0 must be a dict"),
        ({"people": "x", "canvas_width": 5, "canvas_height": 5}, "must be a list of dicts"),
        ({"people": np.ones(2), "canvas_width": 5, "canvas_height": 5}, "person 0 must be a dict"),
        ({"people": np.array(3), "canvas_width": 5, "canvas_height": 5}, "must be a list of dicts"),
        ({"people": {}, "canvas_width": 5, "canvas_height": 5}, "must be a list of dicts"),
        (frame(np.ones(10)), "51 or 54 or 75 numbers"),
        (frame(["x"] * 54), "51 or 54 or 75 numbers"),
        (frame(np.full(54, np.inf)), "infinite"),
        (frame(np.full(54, 1e39)), "infinite"),
        (frame(np.ones(54), hand_left_keypoints_2d=5), "hand_left_keypoints_2d"),
    ],
)
def test_nonsense_is_refused_by_name(value, says):
    with pytest.raises(ValueError, match=says):
        read_pose_keypoint(value)


STATES = ("detected",) * 9 + ("given", "proposed", "occluded", None, "detected", None, None, None, None)


def marked() -> Person:
    joints = body()
    joints[[state is None for state in STATES]] = 0
    return Person(joints, states=STATES)


def test_states_of_joints_round_trip_and_other_packs_see_no_difference():
    person = marked()
    (written,) = write_pose_keypoint([Pose((person,), 100, 80)])
    (plain,) = write_pose_keypoint([Pose((Person(person.body),), 100, 80)])
    assert written["people"][0].pop(STATES_KEY) == list(STATES)
    assert written == plain
    (read,) = read_pose_keypoint(write_pose_keypoint([Pose((person,), 100, 80)]))
    assert read.people[0].states == STATES
    np.testing.assert_array_equal(read.people[0].body, person.body)
    assert read.people[0].seen.nonzero()[0].tolist() == [*range(9), 13]


def test_a_person_without_states_is_detected_where_present():
    joints = body()
    joints[4] = 0
    (read,) = read_pose_keypoint(frame(joints))
    assert read.people[0].states is None and read.people[0].seen.tolist() == [i != 4 for i in range(18)]


@pytest.mark.parametrize("states", ["detected", 3, ["given"], [["given"]] * 18, {"nose": "given"}])
def test_states_that_are_none_of_ours_count_as_detected(states):
    (read,) = read_pose_keypoint(frame(body(), **{STATES_KEY: states}))
    assert read.people[0].seen.all()


def test_a_pose_of_a_picture_made_larger_keeps_all_but_places():
    hand, face = np.ones((21, 3), np.float32), np.full((70, 3), 2, np.float32)
    person = Person(marked().body, left_hand=hand, face=face, states=STATES)
    larger = Pose((person, Person(body(1))), 100, 80).resized(160, 300)
    assert (larger.width, larger.height, len(larger.people)) == (300, 160, 2)
    np.testing.assert_allclose(larger.people[1].body, body(1) * [3, 2, 1], rtol=1e-6)
    same = larger.people[0]
    np.testing.assert_allclose(same.body, person.body * [3, 2, 1], rtol=1e-6)
    assert same.left_hand[0].tolist() == [3, 2, 1] and same.face[0].tolist() == [6, 4, 2]
    assert same.right_hand is None and same.states == STATES


def test_points_that_a_detector_is_not_sure_of_are_absent():
    """ComfyUI's SDPose writes every joint with its score, and its own drawing leaves out those below 0.3."""
    joints, hand = body(), np.ones((21, 3), np.float32) * 50
    joints[[9, 10], 2], joints[8, 2] = 0.05, 0.3
    hand[:, 2] = 0.1
    flat = hand.ravel().tolist()
    (pose,) = read_pose_keypoint(frame(joints, hand_left_keypoints_2d=flat, hand_right_keypoints_2d=flat))
    (person,) = pose.people
    assert person.seen[8] and not person.seen[[9, 10]].any()
    assert person.left_hand is None and person.right_hand is None


def test_what_is_not_there_is_written_as_zeros():
    """ComfyUI's SDPose nodes bring faces to (70, 3) and hands to (21, 3), whatever there is."""
    (written,) = write_pose_keypoint([Pose((Person(body()),), 100, 80)])
    (person,) = written["people"]
    for key, count in (
        ("face_keypoints_2d", 70),
        ("hand_left_keypoints_2d", 21),
        ("hand_right_keypoints_2d", 21),
    ):
        assert not np.array(person[key]).reshape(count, 3).any()
