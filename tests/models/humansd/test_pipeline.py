"""Sizes, poses moved into pictures, several people, texts of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.models.diffusion import batches
from figura.models.humansd import pipeline as images
from figura.people.keypoints import Person, Pose
from figura.people.skeleton_coco import draw_coco_pose
from figura.tests.models.humansd import tiny
from hypothesis import given
from hypothesis import strategies as st

standing = tiny.standing


@given(
    st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 9)
)
def test_sizes_are_multiples_of_64_near_what_was_asked(
    width: int, height: int, pose_width: int, pose_height: int, units: int
) -> None:
    pose = Pose((), pose_width, pose_height)
    size = images.image_size(width, height, pose, 64 * units)
    assert all(side >= 64 and side % 64 == 0 for side in size)
    for asked, given_ in ((width, size.width), (height, size.height)):
        assert asked == 0 or abs(asked - given_) <= 32 or given_ == 64
    if width == height == 0:
        assert min(size) == 64 * units


@pytest.mark.parametrize(
    ("asked", "size"),
    [((0, 0), (512, 768)), ((100, 0), (128, 128)), ((0, 512), (320, 512)), ((96, 95), (128, 64))],
)
def test_sides_that_are_0_follow_the_pose(asked: tuple[int, int], size: tuple[int, int]) -> None:
    assert images.image_size(*asked, Pose((), 640, 960), 512) == size


def test_a_negative_side_is_refused() -> None:
    with pytest.raises(ValueError, match="width is -64"):
        images.image_size(-64, 64, Pose((), 64, 64), 64)


def test_a_pose_is_fitted_with_its_shape_kept() -> None:
    pose = standing(width=100, height=200)
    moved = images.fitted(pose, images.Size(256, 256))
    ours, theirs = moved.people[0].body, pose.people[0].body
    np.testing.assert_allclose(ours[:, 0], theirs[:, 0] * 1.28 + 64, rtol=1e-5)
    np.testing.assert_allclose(ours[:, 1:], theirs[:, 1:] * [1.28, 1], rtol=1e-5)


def test_people_stand_beside_each_other_from_left_to_right() -> None:
    poses = [standing(), standing(width=64, height=64), standing(width=64, height=128)]
    joined = images.beside(poses)
    assert (joined.width, joined.height, len(joined.people)) == (128 + 128 + 64, 128, 3)
    drawn = draw_coco_pose(joined)
    for left, pose in ((0, standing()), (128, standing())):
        assert torch.equal(drawn[..., left : left + 128] > 0, draw_coco_pose(pose) > 0)


def test_pictures_are_those_of_the_fitted_poses() -> None:
    size = images.Size(128, 192)
    drawn = images.skeleton_images([standing(), standing(0.4)], size)
    assert drawn.shape == (2, 3, 192, 128) and drawn.flatten(1).any(1).all()
    assert not torch.equal(drawn[0], drawn[1])


def shown(*joints: int) -> Person:
    body = np.zeros((18, 3), np.float32)
    body[list(joints)] = (30, 30, 1)
    return Person(body)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ((), r"\(picture 2 of 2\) has no person"),
        ((shown(),), r"\(picture 2 of 2\) has nothing to draw: of none of its 1 people"),
        ((shown(4, 0), shown(1)), "of none of its 2 people"),
        ((Person(standing().people[0].body + np.float32([9000, 0, 0])),), r"\(picture 2 of 2\) lies outside"),
    ],
)
def test_poses_without_anything_to_draw_are_named(people: tuple[Person, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        images.skeleton_images([standing(), Pose(people, 128, 128)], images.Size(128, 128))


def test_large_batches_are_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, drawn = tiny.tiny_humansd(), torch.rand(3, 3, 64, 64)
    steps: list[int] = []
    whole = images.draw_people(model, drawn, ["a", "b", "c"], steps=2)
    monkeypatch.setattr(batches, "IMAGES_AT_ONCE", 2)
    parts = images.draw_people(
        model, drawn, ["a", "b", "c"], steps=2, on_step=lambda done, total, _: steps.append(done)
    )
    torch.testing.assert_close(parts, whole, atol=1e-4, rtol=0)
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "texts"),
    [("a man", ["a man"]), ("", [""]), (" \n\n", [""]), ("a man\n\n a woman \r\n", ["a man", "a woman"])],
)
def test_one_text_per_line(text: str, texts: list[str]) -> None:
    assert images.split_texts(text) == texts


def test_the_suffix_is_appended_by_a_comma() -> None:
    assert images.with_suffix(["a man ", ""], " good") == ["a man, good", "good"]
    assert images.with_suffix(["a man", ""], " ") == ["a man", ""]
