"""Giving a Hand on poses and on pictures of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from figura.models.diffusion import batches
from figura.models.diffusion.in_turn import PlainPlacement, placed
from figura.models.hands import pipeline as images
from figura.models.hands import sampling
from figura.people.hands import LEFT, RIGHT, hands_of
from figura.people.keypoints import Person, Pose
from figura.people.skeleton import draw_skeleton
from figura.people.skeleton_openpose import draw_openpose
from figura.tests.models.hands import tiny
from figura.tests.nodes import hands_helpers as helpers
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SIZE = tiny.SIZE
GENERATOR, BODY = tiny.tiny_generator(), tiny.tiny_body()


def canvas_of(height: int, width: int, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    canvas = torch.full((count, 3, height, width), 0.5)
    known = torch.zeros(count, 1, height, width)
    rows, columns = slice(height // 4, height // 2 + 1), slice(width // 6, width // 2 + 1)
    known[..., rows, columns] = 1
    part = canvas[..., rows, columns]
    canvas[..., rows, columns] = torch.rand(part.shape, generator=generator)
    return canvas, known


def outpaint(height: int, width: int, count: int = 1, **change: Any) -> sampling.Outpainted:
    canvas, known = canvas_of(height, width, count)
    poses = [helpers.pose(height, width)] * count
    settings = {"steps": 1, "cfg": 1.0, **change}
    return images.outpaint_images(BODY, canvas, known, poses, ["a man"] * count, **settings)


# Hands of poses


def test_hands_come_picture_by_picture_right_before_left() -> None:
    poses = [helpers.pose(), helpers.pose(left=False), helpers.pose()]
    sides = [hand.side for hand in images.hands_to_draw(poses)]
    assert sides == [RIGHT, LEFT, RIGHT, RIGHT, LEFT]
    assert [hand.side for hand in images.hands_to_draw(poses, RIGHT)] == [RIGHT] * 3


def test_poses_without_the_hand_that_is_wanted_are_named() -> None:
    with pytest.raises(ValueError, match=r"pose_keypoint \(picture 2 of 2\) has no hand: "):
        images.hands_to_draw([helpers.pose(), helpers.pose(left=False, right=False)])
    with pytest.raises(ValueError, match="pose_keypoint has no left hand"):
        images.hands_to_draw([helpers.pose(left=False)], LEFT)
    with pytest.raises(ValueError, match="which is 'front'; it is one of both, right, left"):
        images.hands_to_draw([helpers.pose()], "front")


def test_a_hand_outside_the_picture_is_named() -> None:
    person = helpers.pose().people[0]
    moved = replace(person, left_hand=person.left_hand + np.array([200, 0, 0], np.float32))
    with pytest.raises(ValueError, match="left hand lies outside .* 0 of its 21 joints"):
        images.hands_to_draw([Pose((moved,), 128, 128)])


def test_a_hand_that_no_close_up_can_be_made_of_is_named() -> None:
    person = helpers.pose(left=False).people[0]
    few, one_place = person.right_hand.copy(), person.right_hand.copy()
    few[2:], one_place[:, :2] = 0, 64
    for hand, said in ((few, "has 2 of 21 joints"), (one_place, "lie within 0 px")):
        spoilt = Pose((replace(person, right_hand=hand),), 128, 128)
        with pytest.raises(ValueError, match=f"^picture 2 of 2: the .*right hand {said}"):
            images.hands_to_draw([helpers.pose(), spoilt])


joints = hnp.arrays(np.float32, (21, 3), elements=st.floats(-200, 400, width=32))


@given(hand=joints)
def test_any_hand_is_either_shown_whole_in_the_middle_or_refused(hand: np.ndarray) -> None:
    hand[hand[:, 2] <= 0] = 0
    pose = Pose((Person(np.zeros((18, 3), np.float32), right_hand=hand),), 128, 128)
    try:
        (asked,) = images.hands_to_draw([pose])
        near = images.close_up(asked, SIZE).moved(asked)
    except ValueError as error:
        assert "hand" in str(error)
        return
    shown = near.joints[near.present, :2]
    assert (shown > 0).all() and (shown < SIZE).all()
    np.testing.assert_allclose((shown.min(0) + shown.max(0)) / 2, SIZE / 2, atol=0.05)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a hand with light skin", "a right hand with light skin"),
        ("a left hand, old", "a left hand, old"),
        ("Right hand", "Right hand"),
        ("many hands", "many hands"),
        ("hand in hand", "right hand in hand"),
        ("", ""),
    ],
)
def test_the_side_is_put_into_the_text(text: str, expected: str) -> None:
    assert images.side_named(text, RIGHT) == expected


def test_drawn_hands_are_one_per_hand_with_their_joints_in_the_close_up() -> None:
    asked = images.hands_to_draw([helpers.pose()] * 2)
    drawn = images.draw_hands(GENERATOR, asked, "a hand", steps=1, seed=3)
    assert drawn.images.shape == drawn.skeletons.shape == (4, 3, SIZE, SIZE)
    assert drawn.masks.shape == (4, 1, SIZE, SIZE)
    assert [hand.side for hand in drawn.hands] == [RIGHT, LEFT] * 2
    shown = torch.from_numpy(np.stack([hand.joints for hand in drawn.hands]))
    assert torch.equal(drawn.skeletons, sampling.skeleton_image(shown, SIZE))
    alone = images.draw_hands(GENERATOR, asked[1:2], "a hand", steps=1, seed=4)
    torch.testing.assert_close(alone.images, drawn.images[1:2], atol=1e-4, rtol=1e-4)


def test_what_finds_the_masks_is_brought_back_when_drawing_has_pushed_it_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sam = torch.nn.Identity()
    brought: list[Any] = []

    class Recorded(PlainPlacement):
        def bring(self, networks: Any) -> None:
            brought[:] = networks

    def segmented(given: Any, pictures: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
        assert given is sam and brought == [sam]
        return torch.zeros_like(pictures[:, :1])

    monkeypatch.setattr(images, "segmented", segmented)
    with placed([GENERATOR, sam], Recorded(torch.device("cpu"), 0)):
        images.draw_hands(GENERATOR, images.hands_to_draw([helpers.pose()]), "a hand", sam=sam, steps=1)


# Bodies in pictures


@pytest.mark.parametrize(("height", "width"), [(SIZE, SIZE), (50, 31), (33, 90), (SIZE, 20), (7, 5)])
def test_the_result_has_the_size_of_the_canvas_and_its_hands(height: int, width: int) -> None:
    canvas, known = canvas_of(height, width)
    made = outpaint(height, width, feather_px=0.0)
    assert made.image.shape == made.blended.shape == canvas.shape
    inside = (known == 1).expand_as(canvas)
    assert torch.equal(made.image[inside], canvas[inside])
    assert torch.equal(made.image[~inside], made.blended[~inside])
    assert not torch.equal(made.blended[inside], canvas[inside])


def test_a_picture_of_the_models_size_is_not_resampled() -> None:
    canvas, known = canvas_of(SIZE, SIZE)
    pose = helpers.pose(SIZE, SIZE)
    whole = images.plan_crop(images.EMPTY, (SIZE, SIZE), (SIZE, SIZE))
    skeleton = images.pose_image(pose, whole, BODY.is_public)
    plain = sampling.outpaint_body(BODY, canvas, known, skeleton, ["a man"], steps=2, cfg=1.0)
    made = outpaint(SIZE, SIZE, steps=2)
    assert torch.equal(made.blended, plain.blended) and torch.equal(made.image, plain.image)


def test_the_skeleton_shows_everybody_with_hands_where_they_are() -> None:
    person = helpers.pose().people[0]
    second = replace(person, body=person.body + np.array([5, 0, 0], np.float32), left_hand=None)
    plan = images.plan_crop(images.EMPTY, (128, 128), (128, 128))
    drawn = images.pose_image(Pose((person, second), 128, 128), plan)
    hands = torch.from_numpy(np.stack([person.left_hand, person.right_hand]))[None]
    first = draw_skeleton(torch.from_numpy(person.body)[None], 128, 128, hands=hands)
    hands[:, 0] = 0
    body = torch.from_numpy(second.body)[None]
    assert torch.equal(drawn, draw_skeleton(body, 128, 128, hands=hands, onto=first))


@pytest.mark.parametrize(("attention", "draw"), [({}, draw_openpose), ({"a": torch.ones(1)}, draw_skeleton)])
def test_each_controlnet_sees_the_drawing_that_it_was_taught_with(
    monkeypatch: pytest.MonkeyPatch, attention: dict[str, torch.Tensor], draw: Any
) -> None:
    """A public one that of controlnet_aux; one that was trained here, with its attention, ours."""
    seen: list[torch.Tensor] = []

    def recorded(
        model: Any, canvas: torch.Tensor, known: Any, skeleton: torch.Tensor, *_: Any, **__: Any
    ) -> Any:
        seen.append(skeleton)
        return sampling.Outpainted(canvas, canvas, known)

    monkeypatch.setattr(sampling, "outpaint_body", recorded)
    body = tiny.tiny_body(attention)
    canvas, known = canvas_of(SIZE, SIZE)
    pose = helpers.pose(SIZE, SIZE)
    images.outpaint_images(body, canvas, known, [pose], ["a man"])
    person = pose.people[0]
    hands = torch.from_numpy(np.stack([person.left_hand, person.right_hand]))[None]
    wanted = draw(torch.from_numpy(person.body)[None], SIZE, SIZE, hands=hands)
    assert torch.equal(seen[0], wanted) and bool(wanted.any())


def test_a_pose_set_on_another_size_is_scaled_and_of_another_shape_refused() -> None:
    fitted = images.pose_for(helpers.pose(200, 160), 100, 80)
    expected = helpers.pose(100, 80)
    assert (fitted.height, fitted.width) == (100, 80)
    np.testing.assert_allclose(fitted.people[0].body, expected.people[0].body, atol=1e-4)
    for own, same in zip(hands_of(fitted), hands_of(expected), strict=True):
        np.testing.assert_allclose(own.joints, same.joints, atol=1e-4)
    with pytest.raises(
        ValueError, match=r"\(picture 3 of 4\) is of 160 x 200 pixels and canvas has 200 x 160"
    ):
        images.pose_for(helpers.pose(200, 160), 160, 200, index=2, count=4)


def test_a_pose_without_joints_is_named() -> None:
    for people in ((), (Person(np.zeros((18, 3), np.float32)),)):
        with pytest.raises(ValueError, match="pose_keypoint has no joints"):
            images.pose_for(Pose(people, 64, 64), 64, 64)


def test_without_pasting_the_image_is_what_was_blended() -> None:
    made = outpaint(40, 40, paste=False)
    assert torch.equal(made.image, made.blended)


def test_large_batches_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[int, int]] = []
    whole = outpaint(SIZE, SIZE, count=3, seed=4)
    monkeypatch.setattr(batches, "IMAGES_AT_ONCE", 2)
    parts = outpaint(SIZE, SIZE, count=3, seed=4, on_step=lambda done, total, z: steps.append((done, total)))
    torch.testing.assert_close(parts.image, whole.image, atol=1e-4, rtol=1e-4)
    assert steps == [(1, 2), (2, 2)]


def test_masks_that_leave_nothing_to_do_are_refused_before_any_work() -> None:
    canvas, known = canvas_of(50, 40)
    pose = [helpers.pose(50, 40)]
    for mask, message in ((torch.zeros_like(known), "is empty"), (torch.ones_like(known), "is 1 everywhere")):
        with pytest.raises(ValueError, match=message):
            images.outpaint_images(BODY, canvas, mask, pose, ["a man"], steps=1)
    made = images.outpaint_images(
        BODY, canvas, torch.zeros_like(known), pose, ["a man"], steps=1, expansion="off"
    )
    assert torch.equal(made.image, made.blended)


def test_a_hand_smaller_than_a_pixel_of_the_model_is_still_known() -> None:
    canvas, known = torch.full((1, 3, 400, 400), 0.5), torch.zeros(1, 1, 400, 400)
    known[..., 100:102, 200:202] = 1
    canvas[..., 100:102, 200:202] = 0.9
    made = images.outpaint_images(BODY, canvas, known, [helpers.pose(400, 400)], [""], steps=1, feather_px=0)
    assert torch.equal(made.image[..., 100:102, 200:202], canvas[..., 100:102, 200:202])


def test_beside_a_canvas_that_is_no_square_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas, known = torch.full((1, 3, 64, 32), 0.5), torch.zeros(1, 1, 64, 32)
    known[..., 20:28, :8] = 1  # a hand at the border
    seen = []
    outpaint_body = sampling.outpaint_body

    def look(model: Any, canvas: Any, known: Any, *given: Any, **settings: Any) -> Any:
        seen.append(known)
        return outpaint_body(model, canvas, known, *given, **settings)

    monkeypatch.setattr(sampling, "outpaint_body", look)
    images.outpaint_images(BODY, canvas, known, [helpers.pose(64, 32)], ["a man"], steps=1)
    inside = seen[0][0, 0, :, BODY.size // 4 : -BODY.size // 4]
    assert inside.sum() > 0.9 * seen[0].sum() > 0
