"""The points text: hands, several people, and whatever else comes, also through the node."""

import json

import numpy as np
import pytest
import torch
from figura.nodes.people import FiguraPointPrompt
from figura.people.keypoints import BODY_18, HAND_21, STATES, Person, Pose
from figura.people.points_json import MAX_POINTS, JointPoint, read_points_text
from figura.people.prompt_kinds import PROMPT_KINDS
from figura.people.prompts import PointPrompt, parse_points
from hypothesis import example, given
from hypothesis import strategies as st

SIDE = 32
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
PIXELS = st.integers(0, SIDE) | st.floats(0, SIDE)
POINT = st.fixed_dictionaries({"x": PIXELS, "y": PIXELS}, optional={"state": st.sampled_from(STATES)})
PAIR = st.tuples(PIXELS, PIXELS).map(list)
PERSON = st.fixed_dictionaries(
    {"joints": st.dictionaries(st.sampled_from(BODY_18), POINT | st.none())},
    optional={
        "left_hand": st.dictionaries(st.sampled_from(HAND_21), POINT | st.none()),
        "right_hand": st.dictionaries(st.sampled_from(HAND_21), POINT | st.none()),
        "name": JSON,
    },
)
BOX = st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(11, SIDE), st.integers(11, SIDE)).map(
    list
)
GOOD = st.fixed_dictionaries(
    {"people": st.lists(PERSON, min_size=1, max_size=3)},
    optional={
        "version": st.just(1),
        "active": st.just(0),
        "roi_box": BOX | st.none(),
        "full_box": BOX | st.none(),
        "positive": st.lists(PAIR, max_size=5),
        "negative": st.lists(PAIR, max_size=5),
        "note": JSON,
    },
)
# Right keys with anything in them: the mistakes that people and programs make.
ALMOST = st.dictionaries(
    st.sampled_from(["version", "width", "height", "active", "people", "roi_box", "full_box", "positive"]),
    JSON | PAIR | BOX | st.lists(PERSON | JSON, max_size=2),
)


def hand_text(**parts) -> str:
    return json.dumps({"people": [{"joints": {"neck": {"x": 5, "y": 5}}, **parts}]})


@given(text=st.text() | JSON.map(json.dumps) | ALMOST.map(json.dumps))
@example(text="<script>alert(1)</script>")
@example(text='{"people": [{"joints": {"<img src=x onerror=alert(1)>": {"x": 1, "y": 1}}}]}')
@example(text='{"version": 0}')
@example(text='{"positive": [[1e999, 1]]}')
@example(text='{"width": NaN, "height": Infinity}')
@example(text='{"width": ' + "9" * 5000 + "}")
@example(text=json.dumps({"version": "x" * 5000}))
@example(text=json.dumps({"people": [{"joints": {"x" * 5000: None}}]}))
@example(text=json.dumps({"people": [{"joints": {"neck": {"x": 1, "y": 1, "state": "x" * 5000}}}]}))
@example(text=json.dumps({"people": [{}], "active": "x" * 5000}))
@example(text='{"positive": [' + "[" * 480 + "]" * 480 + "]}")
@example(text='{"positive": [' + "[" * 970 + "]" * 970 + "]}")
@example(text='{"width": ' + "[" * 20_000 + "]" * 20_000 + "}")
@example(text="[" * 100_000)
@example(text='{"people":' * 50_000)
@example(text=json.dumps({"positive": [[1, 1]] * 200_000}))
def test_whatever_the_text_is_it_is_read_or_refused_with_its_place(text):
    answer = FiguraPointPrompt.VALIDATE_INPUTS(text)
    if answer is not True:
        assert isinstance(answer, str) and answer.startswith("points: ") and len(answer) < 1000
        with pytest.raises(ValueError, match="^points: "):
            FiguraPointPrompt().run(torch.zeros(1, SIDE, SIDE, 3), "pose", text)


@given(said=GOOD, kind=st.sampled_from(list(PROMPT_KINDS)))
def test_good_texts_give_a_prompt_or_say_what_the_kind_needs(said, kind):
    try:
        prompt = parse_points(json.dumps(said), SIDE, SIDE, kind)
    except ValueError as error:
        assert "needs" in str(error)
        return
    joints = said["people"][0]["joints"]
    placed = [name for name, joint in joints.items() if joint is not None]
    assert sorted(placed) == sorted(np.array(BODY_18)[prompt.present].tolist())
    assert np.isfinite(prompt.joints).all() and len(prompt.positive_px) == len(said.get("positive", []))


@given(said=GOOD)
def test_keys_that_nobody_knows_change_nothing(said):
    plain = {key: value for key, value in said.items() if key != "note"}
    assert read_points_text(json.dumps(said)) == read_points_text(json.dumps(plain))


def test_what_is_null_is_as_good_as_left_out():
    knee = {"x": 1, "y": 2, "state": None}
    person = {"joints": {"left_knee": knee}, "left_hand": None, "positive": None}
    said = read_points_text(json.dumps({"active": None, "width": None, "people": [person]}))
    assert said.joints["left_knee"] == JointPoint(1, 2, "given") and not said.left_hand
    assert read_points_text('{"people": [{"joints": null}]}').says_nothing


def test_hands_are_placed_scaled_and_shown_in_the_pose():
    text = json.dumps(
        {"width": 50, "height": 50, **json.loads(hand_text(left_hand={"wrist": {"x": 10, "y": 20}}))}
    )
    prompt = parse_points(text, 100, 200)
    assert prompt.left_hand[0].tolist() == [20, 80, 1] and not prompt.left_hand[1:].any()
    assert prompt.right_hand is None
    assert prompt.to_pose().people[0].left_hand is prompt.left_hand


def test_placed_hand_joints_replace_detected_ones_and_null_takes_them_away():
    hand = np.stack([np.arange(21), np.arange(21), np.ones(21)], 1).astype(np.float32)
    pose = Pose((Person(np.ones((18, 3), np.float32), right_hand=hand),), 100, 100)
    text = hand_text(right_hand={"thumb_1": {"x": 50, "y": 60}, "wrist": None})
    prompt = parse_points(text, 100, 100, pose=pose)
    assert prompt.right_hand[1].tolist() == [50, 60, 1] and not prompt.right_hand[0].any()
    assert prompt.right_hand[2].tolist() == [2, 2, 1] and hand[0, 2] == 1


def test_a_hand_that_was_taken_away_altogether_is_none():
    gone = {name: None for name in HAND_21}
    assert parse_points(hand_text(left_hand=gone), 100, 100).left_hand is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (hand_text(left_hand=3), r"people\[0\] must be .*left_hand"),
        (hand_text(left_hand={"tip": {"x": 1, "y": 1}}), "no joint 'tip'"),
        (hand_text(right_hand={"wrist": {"x": 1}}), "right_hand.wrist must be"),
        (hand_text(right_hand={"wrist": {"x": 200, "y": 1}}), "right_hand.wrist at .* outside"),
        (json.dumps({"positive": [[1, 1]] * (MAX_POINTS + 1)}), "at most 256"),
    ],
)
def test_mistakes_in_hands_are_named(text, says):
    with pytest.raises(ValueError, match=says):
        parse_points(text, 100, 100)


def test_the_active_person_is_the_one_that_counts():
    people = [{"joints": {"neck": {"x": x, "y": 5}}} for x in (10, 20)]
    prompt: PointPrompt = parse_points(json.dumps({"people": people, "active": 1}), 100, 100)
    assert prompt.joints[1].tolist() == [20, 5, 1]


def test_boxes_and_points_on_top_are_the_active_persons_and_others_keep_their_own():
    people = [
        {"joints": {}, "roi_box": [1, 1, 9, 9], "positive": [[2, 2]]},
        {"joints": {}, "full_box": [3, 3, 9, 9]},
    ]
    first = read_points_text(json.dumps({"people": people, "positive": [[5, 5]]}))
    assert first.roi_box == (1, 1, 9, 9) and first.positive == ((5, 5),) and first.full_box is None
    second = read_points_text(json.dumps({"people": people, "active": 1, "roi_box": [0, 0, 4, 4]}))
    assert second.roi_box == (0, 0, 4, 4) and second.full_box == (3, 3, 9, 9) and second.positive == ()
    with pytest.raises(ValueError, match="full_box .* has no area"):
        read_points_text(json.dumps({"people": [{"full_box": [1, 1, 1, 5]}]}))


class TestOtherForms:
    """Texts that people bring."""

    SAID = {"people": [{"joints": {"nose": {"x": 4, "y": 5}, "neck": None}}], "roi_box": [1, 1, 9, 9]}

    def test_an_object_sent_over_the_api_is_read_as_comfyui_writes_it(self):
        assert read_points_text(str(self.SAID)) == read_points_text(json.dumps(self.SAID))

    @pytest.mark.parametrize("as_list", [True, False])
    def test_an_openpose_file_is_read(self, as_list):
        body = [value for index in range(18) for value in (index + 2, 2 * index + 2, 1)]
        frame = {"people": [{"pose_keypoints_2d": body}], "canvas_width": 64, "canvas_height": 48}
        read = read_points_text(json.dumps([frame] if as_list else frame))
        assert (read.width, read.height) == (64, 48)
        assert len(read.joints) == 18
        assert (read.joints["neck"].x, read.joints["neck"].y, read.joints["neck"].state) == (3, 4, "given")

    def test_a_pose_that_says_how_its_joints_are_known_keeps_that_as_in_the_editor(self):
        states = ["detected", "occluded", *[None] * 16]
        body = [value for index in range(18) for value in (index, 9, int(index < 2))]
        person = {"pose_keypoints_2d": body, "figura_joint_states": states}
        read = read_points_text(json.dumps({"people": [person], "canvas_width": 64, "canvas_height": 48}))
        assert {name: joint.state for name, joint in read.joints.items()} == {
            "nose": "detected", "neck": "occluded",
        }  # fmt: skip

    def test_a_file_of_older_openpose_is_read(self):
        text = json.dumps({"version": 1.1, "people": [{"pose_keypoints": [30, 40, 1] * 18}]})
        assert len(read_points_text(text).joints) == 18

    @pytest.mark.parametrize(
        "value",
        [{"version": 1.3, "people": []}, [{"people": [], "canvas_width": 64, "canvas_height": 48}]],
    )
    def test_a_pose_of_nobody_says_nothing(self, value):
        assert read_points_text(json.dumps(value)).says_nothing
        with pytest.raises(ValueError, match="needs joints, and there are none"):
            parse_points(json.dumps(value), 100, 200)

    @pytest.mark.parametrize("canvas", [{}, {"canvas_width": 64, "canvas_height": 48}])
    def test_a_pose_of_a_hand_alone_places_the_hand(self, canvas):
        person = {"pose_keypoints_2d": [0, 0, 0] * 18, "hand_right_keypoints_2d": [20, 30, 1] * 21}
        read = read_points_text(json.dumps([{"people": [person], **canvas}]))
        assert not read.joints and len(read.right_hand) == 21
        assert (read.right_hand["wrist"].x, read.width) == (20, canvas.get("canvas_width"))

    def test_what_openpose_editor_saves_is_read(self):
        places = [[30 + index, 40] for index in range(17)]
        saved = {"width": 100, "height": 200, "keypoints": [[*places, None]]}
        read = read_points_text(json.dumps(saved))
        assert (len(read.joints), read.joints["neck"].x, read.width, read.height) == (17, 31, 100, 200)
        with pytest.raises(ValueError, match="points: POSE_KEYPOINT, person 0"):
            read_points_text(json.dumps({**saved, "keypoints": [places[:5]]}))

    def test_a_hand_alone_and_a_body_behind_an_empty_person_are_poses(self):
        hand, body = [20, 30, 1] * 21, [30, 40, 1] * 18
        assert read_points_text(json.dumps({"people": [{"hand_left_keypoints_2d": hand}]})).left_hand
        second = {"people": [{"person_id": [-1]}, {"pose_keypoints_2d": body}]}
        assert len(read_points_text(json.dumps(second)).joints) == 18

    @pytest.mark.parametrize("way", ["\ufeff{}".format, json.dumps])
    def test_a_byte_order_mark_and_quotes_round_the_text_are_passed_over(self, way):
        assert read_points_text(way(json.dumps(self.SAID))) == read_points_text(json.dumps(self.SAID))
        assert read_points_text(way("")) == read_points_text("")

    def test_points_of_other_editors_with_x_and_y_are_read(self):
        text = '{"positive": [{"x": 3, "y": 4}], "negative": [{"x": 5, "y": 6}, [7, 8]]}'
        read = read_points_text(text)
        assert (read.positive, read.negative) == (((3, 4),), ((5, 6), (7, 8)))
        with pytest.raises(ValueError, match=r"positive\[0\] must be \[x, y\]"):
            read_points_text('{"positive": [{"x": 3}]}')

    def test_without_a_canvas_pixels_are_the_pictures_and_shares_are_of_it(self):
        shares = {"people": [{"pose_keypoints_2d": [0.5, 0.25, 1] * 17 + [0.5, 1.02, 1]}]}
        prompt = parse_points(json.dumps(shares), 100, 200)
        assert prompt.joints[0].tolist() == [50, 50, 1]
        np.testing.assert_allclose(prompt.joints[17], [50, 204, 1], rtol=1e-5)
        pixels = {"people": [{"pose_keypoints_2d": [30, 40, 1] * 18}]}
        assert parse_points(json.dumps(pixels), 100, 200).joints[0].tolist() == [30, 40, 1]

    @pytest.mark.parametrize(
        "text", ["{", "{'a'", "{1: 2", "[" * 9999, "{'a': open('x')}", "__import__('os')"]
    )
    def test_what_is_neither_is_refused_and_never_run(self, text):
        with pytest.raises(ValueError, match="points"):
            read_points_text(text)

    def test_a_wrong_pose_is_named(self):
        with pytest.raises(ValueError, match="points: POSE_KEYPOINT, person 0"):
            read_points_text('{"people": [{"pose_keypoints_2d": [1, 2]}]}')
