"""Long lines are drawn in bands: the same pixels as in the square round them, in far less work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from figura.people import bands, skeleton
from figura.people.bands import Window, bands_along
from figura.people.keypoints import Person, Pose
from figura.people.skeleton_coco import draw_coco_pose
from figura.people.skeleton_openpose import draw_openpose
from hypothesis import given, settings
from hypothesis import strategies as st

WHOLE_PX = 1 << 62


def skeleton_of(joints: torch.Tensor, height: int, width: int) -> torch.Tensor:
    hands = joints.flip(1).repeat(1, 3, 1)[:, :42].unflatten(1, (2, 21))
    return skeleton.draw_skeleton(joints, height, width, hands=hands)


def openpose_of(joints: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return draw_openpose(joints, height, width, joints.repeat(1, 3, 1)[:, :42].unflatten(1, (2, 21)))


def coco_of(joints: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return draw_coco_pose(Pose(tuple(Person(body) for body in joints.numpy()), width, height))


def areas(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pixels of every part of a window that is drawn from here on."""
    seen: list[int] = []

    def watched(*args: object) -> object:
        for part in bands_along(*args):
            seen.append((part.bottom - part.top) * (part.right - part.left))
            yield part

    for module in ("skeleton", "skeleton_coco", "skeleton_openpose"):
        monkeypatch.setattr(f"figura.people.{module}.bands_along", watched)
    return seen


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.floats(-90, 190), st.floats(-90, 190)),
    st.tuples(st.floats(-90, 190), st.floats(-90, 190)),
    st.floats(0, 30),
    st.integers(1, 200),
    st.integers(1, 200),
)
def test_every_pixel_near_the_line_is_in_one_band_and_only_one(start, end, reach, height, width) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands, "SMALL_PX", 0)
        parts = list(bands_along(start, end, reach, Window(0, height, 0, width)))
    times = np.zeros((height, width), int)
    for part in parts:
        times[part.top : part.bottom, part.left : part.right] += 1
    y, x = np.mgrid[:height, :width]
    (x0, y0), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    share = np.clip(((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    assert times.max() <= 1
    assert times[np.hypot(x - x0 - share * dx, y - y0 - share * dy) <= reach].all()


@settings(max_examples=5, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(100, 400),
    st.integers(100, 400),
    st.sampled_from([0.5, 1.0, 40.0]),
    st.sampled_from([skeleton_of, openpose_of, coco_of]),
)
def test_bands_draw_the_same_bits_as_whole_windows(
    seed: int, height: int, width: int, spread: float, draw: Callable[..., torch.Tensor]
) -> None:
    random = torch.Generator().manual_seed(seed)
    joints = torch.rand(2, 18, 3, generator=random)
    joints[..., :2] = 0.5 + (joints[..., :2] - 0.5) * spread
    joints *= torch.tensor([width, height, 1.0])
    joints[..., 2] = joints[..., 2] > 0.1
    drawn = []
    for small_px in (WHOLE_PX, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bands, "SMALL_PX", small_px)
            patch.setattr(skeleton, "SMALL_PX", small_px)
            drawn.append(draw(joints, height, width))
    assert torch.equal(*drawn)


@pytest.mark.parametrize("draw", [skeleton_of, openpose_of, coco_of])
def test_a_long_diagonal_limb_is_no_square_of_work(draw, monkeypatch: pytest.MonkeyPatch) -> None:
    joints = torch.zeros(1, 18, 3)
    joints[0, 2], joints[0, 3] = torch.tensor([[100.0, 100, 1], [1900, 1900, 1]])  # the right upper arm
    seen = areas(monkeypatch)
    assert draw(joints, 2000, 2000).any()
    assert 0 < sum(seen) < 0.25 * 1800 * 1800


def test_a_line_without_an_end_is_sought_everywhere() -> None:
    window = Window(0, 500, 0, 500)
    assert list(bands_along((0.0, 0.0), (float("inf"), 1.0), 3.0, window)) == [window]
    assert list(bands_along((0.0, 0.0), (400.0, 400.0), 3.0, Window(9, 9, 0, 500))) == []
