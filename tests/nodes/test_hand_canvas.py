"""Hand Canvas: which close-up belongs to which hand, and what the node refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.nodes.hand_canvas import FiguraHandCanvas
from figura.people.hands import LEFT, RIGHT, Hand, close_up, hand_pose
from figura.people.keypoints import Person, Pose, write_pose_keypoint

SIZE, WIDTH, HEIGHT = 64, 90, 70
COLOURS = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.9, 0.2], [0.2, 0.1, 0.9], [0.9, 0.9, 0.1]])
PLACES = {RIGHT: (20.0, 25.0), LEFT: (62.0, 40.0)}


def hand_joints(side: str, seed: int) -> np.ndarray:
    """A hand of about 16 px round its place in the body's picture."""
    joints = np.random.default_rng(seed).uniform(-8, 8, (21, 3)).astype(np.float32)
    joints[:, :2] += PLACES[side]
    joints[:, 2] = 1
    return joints


def body(*sides: str, seed: int = 0) -> Pose:
    hands = {f"{side}_hand": hand_joints(side, seed + index) for index, side in enumerate(sides)}
    return Pose((Person(np.zeros((18, 3), np.float32), **hands),), WIDTH, HEIGHT)


def close_ups(*bodies: Pose, only: str | None = None) -> list[Pose]:
    """What Hand Sampler gives as hand_pose."""
    hands = [
        Hand(side, joints)
        for pose in bodies
        for side, joints in ((RIGHT, pose.people[0].right_hand), (LEFT, pose.people[0].left_hand))
        if joints is not None and only in (None, side)
    ]
    return [hand_pose(close_up(hand, SIZE).moved(hand), SIZE) for hand in hands]


def images(count: int, size: int = SIZE) -> torch.Tensor:
    """One colour per hand, as IMAGE."""
    return COLOURS[:count, None, None, :].expand(-1, size, size, -1).contiguous()


def masks(count: int, size: int = SIZE) -> torch.Tensor:
    mask = torch.zeros(count, size, size)
    mask[:, size // 8 : -size // 8, size // 8 : -size // 8] = 0.8
    return mask


def run(hands: list[Pose], bodies: list[Pose], **changes):
    values = {
        "image": images(len(hands)),
        "mask": masks(len(hands)),
        "hand_pose": write_pose_keypoint(hands),
        "pose_keypoint": write_pose_keypoint(bodies),
        "background": "grey",
        "threshold": 0.5,
    }
    return FiguraHandCanvas().run(**{**values, **changes})


def colour_at(canvas: torch.Tensor, image: int, side: str) -> torch.Tensor:
    x, y = PLACES[side]
    return canvas[image, int(y), int(x)]


def test_close_ups_go_in_order_to_right_and_left_hands_of_every_body():
    bodies = [body(LEFT, seed=1), body(RIGHT, LEFT, seed=2), body(RIGHT, seed=4)]
    canvas, known = run(close_ups(*bodies), bodies)
    assert canvas.shape == (3, HEIGHT, WIDTH, 3) and known.shape == (3, HEIGHT, WIDTH)
    wanted = [(0, LEFT), (1, RIGHT), (1, LEFT), (2, RIGHT)]
    for colour, (image, side) in zip(COLOURS, wanted):
        torch.testing.assert_close(colour_at(canvas, image, side), colour, atol=1e-4, rtol=0)
    for image, side in ((0, RIGHT), (2, LEFT)):
        assert colour_at(canvas, image, side).tolist() == [0.5, 0.5, 0.5]
    assert bool((canvas[known == 0] == 0.5).all())


def test_close_ups_of_one_side_go_to_that_side_alone():
    bodies = [body(RIGHT, LEFT, seed=1), body(RIGHT, LEFT, seed=3)]
    canvas, _ = run(close_ups(*bodies, only=LEFT), bodies)
    for image in (0, 1):
        torch.testing.assert_close(colour_at(canvas, image, LEFT), COLOURS[image], atol=1e-4, rtol=0)
        assert colour_at(canvas, image, RIGHT).tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(("background", "value"), [("grey", 0.5), ("black", 0.0), ("white", 1.0)])
def test_the_background_is_uniform(background, value):
    bodies = [body(RIGHT)]
    canvas, known = run(close_ups(*bodies), bodies, background=background)
    assert bool((canvas[known == 0] == value).all()) and bool((known > 0.9).any())


def test_the_threshold_decides_what_is_hand():
    bodies = [body(RIGHT)]
    with pytest.raises(ValueError, match="the mask of the right hand is empty"):
        run(close_ups(*bodies), bodies, threshold=0.8)
    _, tight = run(close_ups(*bodies), bodies, mask=masks(1) + 0.1 * (masks(1) > 0), threshold=0.85)
    assert tight.sum() > 0


def test_close_ups_resized_after_hand_sampler_still_fit():
    bodies = [body(RIGHT, seed=5)]
    canvas, known = run(close_ups(*bodies), bodies)
    double, known_double = run(close_ups(*bodies), bodies, image=images(1, 2 * SIZE), mask=masks(1, 2 * SIZE))
    torch.testing.assert_close(known, known_double, atol=0.05, rtol=0)
    assert (canvas - double).abs().max() < 0.1


def swapped(hand: Pose) -> Pose:
    person = hand.people[0]
    return Pose((Person(person.body, person.right_hand, person.left_hand),), hand.width, hand.height)


ONE, BOTH = body(RIGHT), body(RIGHT, LEFT)
NOBODY = Pose((), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("hands", "bodies", "changes", "message"),
    [
        (close_ups(BOTH), [BOTH, BOTH], {}, r"2 hands \(right, left\) came .* needs 4 hands"),
        (close_ups(BOTH)[::-1], [BOTH], {}, r"\(left, right\) came.*needs 2 hands \(right, left\)"),
        ([swapped(close_ups(ONE)[0])], [ONE], {}, "pose_keypoint has no left hand joints"),
        (close_ups(ONE), [ONE, NOBODY], {}, r"pose_keypoint \(picture 2 of 2\) has no right hand joints"),
        (close_ups(BOTH), [BOTH, NOBODY], {}, r"pose_keypoint \(picture 2 of 2\) has no hand joints"),
        (close_ups(ONE), [], {}, "pose_keypoint is empty"),
        (
            close_ups(ONE),
            [ONE, Pose(ONE.people, 80, 80)],
            {},
            "pictures of 90 x 70 and 80 x 80 pixels",
        ),
        ([BOTH], [BOTH], {}, "hand_pose has 2 hands; each close-up shows one"),
        ([NOBODY], [BOTH], {}, "hand_pose has 0 hands"),
        (close_ups(BOTH), [BOTH], {"image": images(1)}, "image has 1, mask has 2, hand_pose has 2"),
        (close_ups(ONE), [ONE], {"mask": masks(1, 32)}, "mask has 32 x 32 pixels but image has 64 x 64"),
        (close_ups(ONE), [ONE], {"mask": torch.ones(1, SIZE, SIZE)}, "covers its whole close-up"),
        (close_ups(ONE), [ONE], {"image": torch.full((1, SIZE, SIZE, 3), float("nan"))}, "image holds NaN"),
        (close_ups(ONE), [ONE], {"hand_pose": "pose"}, "hand_pose must be a list"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(hands, bodies, changes, message):
    with pytest.raises(ValueError, match=message):
        run(hands, bodies, **changes)


def test_a_canvas_of_a_size_that_no_picture_has_is_refused_before_it_is_made():
    body_pose = body(RIGHT)
    far = Pose(body_pose.people, 2**20, 2**20)
    with pytest.raises(ValueError, match="correct canvas_width and canvas_height"):
        run(close_ups(body_pose), [far])
