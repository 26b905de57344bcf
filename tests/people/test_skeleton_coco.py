"""HumanSD's skeleton drawing against the released table, pixel by pixel, and against OpenCV."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.people.keypoints import Person, Pose, body18_from_coco17
from figura.people.skeleton_coco import draw_coco_bodies, draw_coco_pose, draw_coco_poses, line_thickness
from hypothesis import given, settings
from hypothesis import strategies as st

# Limb: colour (RGB) and its two COCO-17 joints, as the released code has them.
TABLE = [
    ((219, 94, 86), 0, 1), ((219, 144, 86), 0, 2), ((219, 194, 86), 1, 3), ((194, 219, 86), 2, 4),
    ((145, 219, 86), 3, 5), ((95, 219, 86), 4, 6), ((86, 219, 127), 5, 7), ((86, 219, 177), 6, 8),
    ((86, 211, 219), 7, 9), ((86, 161, 219), 8, 10), ((86, 111, 219), 5, 11), ((111, 86, 219), 6, 12),
    ((160, 86, 219), 11, 13), ((210, 86, 219), 12, 14), ((219, 86, 178), 13, 15), ((219, 86, 128), 14, 16),
]  # fmt: skip


def coco_joints(seed: int, height: int, width: int) -> np.ndarray:
    """(17,3) whole pixels anywhere in the picture, three of them unknown."""
    random = np.random.default_rng(seed)
    joints = np.stack([random.integers(0, width, 17), random.integers(0, height, 17), np.ones(17)], 1)
    joints[random.choice(np.arange(1, 17), 3, replace=False), 2] = 0.0
    return joints.astype(np.float32)


def pose_of(*people: np.ndarray, height: int, width: int) -> Pose:
    return Pose(tuple(Person(body18_from_coco17(joints)) for joints in people), width, height)


def golden(*people: np.ndarray, height: int, width: int, thickness: int) -> np.ndarray:
    """Every pixel by its distance to every limb of the table, later limbs and people on top."""
    rows, columns = np.mgrid[:height, :width].astype(float)
    image = np.zeros((height, width, 3), np.uint8)
    for joints in people:
        for colour, one, other in TABLE:
            (x0, y0, seen), (x1, y1, also) = joints[one].astype(float), joints[other].astype(float)
            if not (seen and also):
                continue
            length = max((x1 - x0) ** 2 + (y1 - y0) ** 2, 1e-9)
            share = np.clip(((columns - x0) * (x1 - x0) + (rows - y0) * (y1 - y0)) / length, 0, 1)
            away = np.hypot(columns - x0 - share * (x1 - x0), rows - y0 - share * (y1 - y0))
            image[away <= thickness / 2 + 0.5] = colour
    return image


def as_bytes(image: torch.Tensor) -> np.ndarray:
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("height", "width", "thickness"), [(256, 320, 5), (128, 128, 4), (512, 512, 10), (768, 1024, 10)]
)
def test_it_equals_the_golden_picture_of_the_table(height: int, width: int, thickness: int) -> None:
    people = [coco_joints(seed, height, width) for seed in (1, 2)]
    drawn = as_bytes(draw_coco_pose(pose_of(*people, height=height, width=width)))
    assert line_thickness(height, width) == thickness
    assert np.array_equal(drawn, golden(*people, height=height, width=width, thickness=thickness))


def test_lines_may_be_as_thick_as_the_released_ones_at_any_size() -> None:
    joints = coco_joints(1, 256, 320)
    drawn = as_bytes(draw_coco_pose(pose_of(joints, height=256, width=320), thickness=10))
    assert np.array_equal(drawn, golden(joints, height=256, width=320, thickness=10))


def test_it_differs_from_opencv_in_outline_pixels_alone() -> None:
    cv2 = pytest.importorskip("cv2")
    joints = coco_joints(3, 512, 512)
    theirs = np.zeros((512, 512, 3), np.uint8)
    for colour, one, other in TABLE:
        if joints[one, 2] and joints[other, 2]:
            ends = [tuple(map(int, joints[index, :2])) for index in (one, other)]
            cv2.line(theirs, *ends, colour, 10)
            for end in ends:
                cv2.circle(theirs, end, 5, colour, -1)
    ours = as_bytes(draw_coco_pose(pose_of(joints, height=512, width=512)))
    assert (ours != theirs).any(-1).sum() < 0.06 * theirs.any(-1).sum()
    core = cv2.erode(theirs.any(-1).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    around = cv2.dilate(theirs.any(-1).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert ours.any(-1)[core].all() and not ours.any(-1)[~around].any()


def test_edges_are_hard() -> None:
    drawn = as_bytes(draw_coco_pose(pose_of(coco_joints(4, 200, 200), height=200, width=200)))
    assert {tuple(colour) for colour in drawn.reshape(-1, 3)} <= {(0, 0, 0), *(row[0] for row in TABLE)}


def test_limbs_need_both_ends_above_the_score() -> None:
    joints = np.zeros((17, 3), np.float32)
    joints[5], joints[7], joints[9] = (40, 40, 1), (60, 60, 0.06), (20, 90, 0.05)
    drawn = draw_coco_pose(pose_of(joints, height=100, width=100))
    assert {tuple(colour) for colour in as_bytes(drawn).reshape(-1, 3)} == {(0, 0, 0), (86, 219, 127)}
    assert not draw_coco_pose(pose_of(joints, height=100, width=100), score=0.06).any()


def test_a_person_in_front_is_the_later_one() -> None:
    one, other = (np.zeros((17, 3), np.float32) for _ in range(2))
    one[[5, 7]], other[[6, 8]] = [(10, 50, 1), (90, 50, 1)], [(50, 10, 1), (50, 90, 1)]
    both = as_bytes(draw_coco_pose(pose_of(one, other, height=100, width=100)))
    assert tuple(both[50, 50]) == (86, 219, 177) and tuple(both[50, 20]) == (86, 219, 127)


def test_bodies_of_a_batch_are_drawn_as_poses() -> None:
    poses = [pose_of(coco_joints(seed, 64, 96), height=64, width=96) for seed in (5, 6)]
    bodies = torch.from_numpy(np.stack([pose.people[0].body for pose in poses]))
    assert torch.equal(draw_coco_bodies(bodies, 64, 96), draw_coco_poses(poses))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-300, 400), st.floats(-300, 400)), min_size=17, max_size=17),
    st.integers(1, 90),
)
def test_joints_may_lie_anywhere(points: list[tuple[float, float]], side: int) -> None:
    joints = np.array([(*point, 1.0) for point in points], np.float32)
    drawn = draw_coco_pose(pose_of(joints, height=side, width=64))
    assert drawn.shape == (3, side, 64) and 0 <= drawn.min() and drawn.max() <= 1
