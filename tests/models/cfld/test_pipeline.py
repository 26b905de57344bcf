"""Pose pictures, pictures made square and back, and CFLD on pictures of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.models.cfld import pipeline as images
from figura.models.cfld.pipeline import Given
from figura.models.cfld.sampling import Weights
from figura.models.diffusion.schedulers import SCHEDULERS
from figura.people.keypoints import LIMBS, Person, Pose
from figura.people.skeleton import PALETTE_18
from figura.tests.models.cfld import tiny
from figura.tests.people.strips import sizes_of_strips
from hypothesis import given, settings
from hypothesis import strategies as st

FAST = {"weights": Weights(1.0, 1.0), "scheduler": "ddim", "steps": 1}


@pytest.fixture(scope="module")
def model():
    return tiny.tiny_cfld()


def pose(height: int = 64, width: int = 44) -> Pose:
    return Pose((Person(tiny.person(height, width).numpy()),), width, height)


# The pose picture


def test_heatmaps_are_one_at_their_joints_and_fall_as_a_gaussian() -> None:
    joints = torch.zeros(1, 18, 3)
    joints[0, 4] = torch.tensor([100.7, 50.2, 0.9])
    maps = images.pose_image(joints, 256)[:, 3:]
    assert maps[0, 4, 50, 100] == 1 and maps[0, 4].max() == 1
    torch.testing.assert_close(maps[0, 4, 50, 106], torch.tensor(-0.5).exp())
    torch.testing.assert_close(maps[0, 4, 56, 106], torch.tensor(-1.0).exp())
    assert not bool(maps[0, [i for i in range(18) if i != 4]].any())


def test_the_skeleton_has_the_standard_colours() -> None:
    joints = tiny.person(256, 256)[None]
    skeleton = images.pose_image(joints, 256)[0, :3]
    x, y = joints[0, 10, :2].int().tolist()
    torch.testing.assert_close(skeleton[:, y, x], torch.tensor(PALETTE_18[10]) / 255)
    knee, ankle = joints[0, 9, :2], joints[0, 10, :2]
    x, y = ((knee + ankle) / 2).int().tolist()
    shin = torch.tensor([int(0.6 * channel) / 255 for channel in PALETTE_18[8]])
    torch.testing.assert_close(skeleton[:, y, x], shin, atol=0.05, rtol=0)


def drawn_by_opencv(joints: torch.Tensor, size: int) -> np.ndarray:
    """The skeleton as the released code draws it: lines first, then filled circles, at whole pixels."""
    cv2 = pytest.importorskip("cv2")
    image = np.zeros((size, size, 3), np.uint8)
    places = [tuple(int(value) for value in joint[:2]) for joint in joints]
    seen = [bool(joint[2] > 0) for joint in joints]
    for colour, (start, end) in zip(PALETTE_18, LIMBS, strict=False):
        if seen[start] and seen[end]:
            shaded = [int(0.6 * channel) for channel in colour]
            cv2.line(image, places[start], places[end], shaded, 2, cv2.LINE_AA)
    for colour, place, there in zip(PALETTE_18, places, seen, strict=True):
        if there:
            cv2.circle(image, place, 3, list(colour), -1, cv2.LINE_AA)
    return image.astype(np.float32) / 255


@pytest.mark.parametrize("seed", range(4))
def test_the_skeleton_is_what_opencv_draws_at_the_released_size(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    joints = tiny.person(256, 256)[None]
    joints[..., :2] += torch.randn(1, 18, 2, generator=generator) * 12
    joints[..., :2].clamp_(6, 250)
    ours = images.pose_image(joints, 256)[0, :3].permute(1, 2, 0).numpy()
    theirs = drawn_by_opencv(joints[0], 256)
    assert np.abs(ours - theirs).mean() < 0.001
    assert (np.abs(ours - theirs).max(-1) > 8 / 255).mean() < 0.01
    assert (np.abs(ours - theirs).max(2) > 0.25).mean() < 0.01
    assert abs(ours.sum() / theirs.sum() - 1) < 0.03


def test_lines_keep_their_width_to_the_ends() -> None:
    canvas = images.LineCanvas(torch.zeros(1, 3, 64, 64))
    start, end = torch.tensor([[10.0, 32, 1]]), torch.tensor([[50.0, 32, 1]])
    canvas.line(start, end, 1.0, (1.0, 1.0, 1.0))
    assert [float(canvas.pixels[0, 0, :, x].sum()) for x in (11, 30, 48)] == pytest.approx(
        [2.0] * 3, abs=0.02
    )


def test_absent_joints_leave_no_trace() -> None:
    joints = tiny.person(64, 64)[None]
    joints[..., 2] = 0
    assert not bool(images.pose_image(joints, 64).any())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=18, max_size=18))
def test_joints_anywhere_give_values_from_0_to_1(places) -> None:
    joints = torch.tensor([[x, y, 1.0] for x, y in places])[None]
    drawn = images.pose_image(joints, 32)
    assert drawn.shape == (1, 21, 32, 32) and 0 <= drawn.min() and drawn.max() <= 1


def test_the_person_with_the_most_joints_is_drawn() -> None:
    whole, part = tiny.person(64, 44).numpy(), np.zeros((18, 3), np.float32)
    part[0] = (5, 5, 1)
    crowd = Pose((Person(part), Person(whole)), 44, 64)
    assert torch.equal(images.pose_images([crowd], tiny.CONFIG), images.pose_images([pose()], tiny.CONFIG))


@pytest.mark.parametrize("people", [(), (Person(np.zeros((18, 3), np.float32)),)])
def test_a_pose_without_joints_is_refused(people) -> None:
    with pytest.raises(ValueError, match=r"pose_keypoint \(picture 2 of 2\) has no joints"):
        images.pose_images([pose(), Pose(people, 44, 64)], tiny.CONFIG)


# Square and back


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_the_frame_is_the_smallest_of_its_aspect_that_holds_the_picture(height: int, width: int) -> None:
    box = images.frame(height, width, (11, 16), 64).box
    assert box.x0 <= 0 and box.y0 <= 0 and box.x1 >= width and box.y1 >= height
    assert box.width == width or box.height == height
    assert abs(box.width * 16 - box.height * 11) <= 16


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 90), st.integers(20, 90), st.sampled_from([(11, 16), (1, 1)]))
def test_a_smooth_picture_comes_back_from_the_square(
    height: int, width: int, aspect: tuple[int, int]
) -> None:
    ramp = torch.linspace(0.2, 0.8, height)[:, None] + torch.linspace(-0.1, 0.1, width)[None, :]
    image = ramp.expand(1, 3, -1, -1)
    back = images.unsquared(images.squared(image, aspect, 128), aspect, height, width)
    assert back.shape == image.shape
    torch.testing.assert_close(back, image, atol=0.04, rtol=0)


def test_a_square_picture_of_the_models_size_is_only_copied() -> None:
    image = torch.rand(2, 3, 64, 64)
    assert torch.equal(images.squared(image, (1, 1), 64), image)
    assert torch.equal(images.unsquared(image, (1, 1), 64, 64), image)


@pytest.mark.parametrize("size", [(20, 2000), (2000, 20)])
def test_a_panorama_becomes_a_square_and_back_without_the_whole_frame_round_it(monkeypatch, size) -> None:
    picture, square = torch.rand(1, 3, *size), torch.rand(1, 3, 32, 32)
    plan = images.frame(*size, (11, 16), 32)
    top, left = -int(plan.box.y0), -int(plan.box.x0)
    framed = picture[..., (torch.arange(plan.box.height) + int(plan.box.y0)).clamp(0, size[0] - 1), :]
    framed = framed[..., (torch.arange(plan.box.width) + int(plan.box.x0)).clamp(0, size[1] - 1)]
    whole = images.resized(framed, 32, 32)
    back = images.resized(square, int(plan.box.height), int(plan.box.width))
    back = back[..., top : top + size[0], left : left + size[1]]
    sizes = sizes_of_strips(monkeypatch)
    assert torch.equal(images.squared(picture, (11, 16), 32), whole)
    assert torch.equal(images.unsquared(square, (11, 16), *size), back)
    assert sizes and max(sizes) <= 3 * 32 * 3000 < 3 * plan.box.height * plan.box.width


def test_joints_and_pictures_become_square_alike() -> None:
    """A white cell at a joint lands where the joint's heatmap is 1."""
    image, lone = torch.zeros(1, 3, 80, 120), np.zeros((18, 3), np.float32)
    image[..., 28:32, 88:92], lone[3] = 1.0, (90, 30, 1)
    square = images.squared(image, tiny.CONFIG.aspect, tiny.CONFIG.pose_size)[0, 0]
    heat = images.pose_images([Pose((Person(lone),), 120, 80)], tiny.CONFIG)[0, 3 + 3]
    row, column = divmod(int(square.argmax()), 64)
    assert heat[row, column] > 0.5


# Together


@pytest.mark.parametrize(("height", "width"), [(64, 44), (33, 90), (70, 20)])
def test_the_result_has_the_size_of_the_pose(model, height: int, width: int) -> None:
    things = Given([pose(height, width)], torch.rand(1, 3, 50, 37))
    made, drawn = images.repose_images(model, things, **FAST)
    assert made.shape == (1, 3, height, width) and 0 <= made.min() and made.max() <= 1
    assert drawn.shape == (1, 21, 64, 64)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_pixels_outside_the_mask_are_the_references_own(model, scheduler: str) -> None:
    reference, mask = torch.rand(1, 3, 64, 44), torch.zeros(1, 1, 64, 44)
    mask[..., 20:40, 10:30] = 1
    things = Given([pose()], torch.rand(1, 3, 64, 44), reference=reference, mask=mask)
    made, _ = images.repose_images(model, things, **{**FAST, "steps": 2, "scheduler": scheduler})
    outside = (mask == 0).expand_as(made)
    assert torch.equal(made[outside], reference[outside])
    assert not torch.allclose(made[~outside], reference[~outside], atol=1e-3)


def test_ends_of_a_mixture_equal_single_sources_bit_for_bit(model) -> None:
    first, second = torch.rand(2, 1, 3, 64, 44)

    def make(things: Given) -> torch.Tensor:
        return images.repose_images(model, things, seed=3, **{**FAST, "weights": Weights()})[0]

    mixed = [make(Given([pose()], first, second, mix)) for mix in (0.0, 0.5, 1.0)]
    assert torch.equal(mixed[0], make(Given([pose()], first)))
    assert torch.equal(mixed[2], make(Given([pose()], second)))
    assert not torch.equal(mixed[1], mixed[0]) and not torch.equal(mixed[1], mixed[2])


def test_a_picture_is_the_same_alone_and_in_a_batch(model) -> None:
    sources = torch.rand(2, 3, 64, 44)
    both, _ = images.repose_images(model, Given([pose(), pose()], sources), seed=5, **FAST)
    alone, _ = images.repose_images(model, Given([pose()], sources[1:]), seed=6, **FAST)
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=1e-4)


def test_pictures_beyond_the_first_part_of_a_batch_have_their_own_inputs_and_seeds(
    model, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, reference = torch.rand(2, 2, 3, 64, 44)
    mask = torch.zeros(2, 1, 64, 44)
    mask[0, :, 20:40], mask[1, :, :20] = 1, 1
    given = Given([pose(), pose()], sources, reference=reference, mask=mask)
    together, _ = images.repose_images(model, given, seed=5, **FAST)
    monkeypatch.setattr("figura.models.diffusion.batches.IMAGES_AT_ONCE", 1)
    parts, _ = images.repose_images(model, given, seed=5, **FAST)
    torch.testing.assert_close(parts, together, atol=1e-5, rtol=1e-4)


IMAGE, MASK = torch.zeros(1, 3, 64, 44), torch.ones(1, 1, 64, 44)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": IMAGE}, "second_source came without mix"),
        ({"mix": 0.5}, "mix came without second_source"),
        ({"second": IMAGE, "mix": 1.5}, "mix is 1.5; it is the share"),
        ({"second": IMAGE, "mix": float("nan")}, "mix is nan"),
        ({"mask": MASK}, "mask came without reference"),
        ({"reference": IMAGE}, "reference came without mask"),
        ({"reference": IMAGE, "mask": torch.zeros_like(MASK)}, "mask is empty"),
        (
            {"reference": IMAGE[..., :40], "mask": MASK},
            "reference has 40 x 64 pixels but pose_keypoint is of 44 x 64",
        ),
        ({"poses": [pose(), pose(32, 32)]}, "pose_keypoint has pictures of 2 sizes"),
        ({"poses": [Pose(pose().people, 2**20, 2**20)]}, "correct canvas_width and canvas_height"),
    ],
)
def test_inputs_that_do_not_go_together_are_named(change: dict, message: str) -> None:
    things = Given([pose()], IMAGE)._replace(**change)
    with pytest.raises(ValueError, match=message):
        images.check_given(things)
