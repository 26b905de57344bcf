"""Compositing keeps bits; dilation equals a brute-force oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from figura.models.diffusion import compose
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage


def brute_force(mask: np.ndarray, vertical: float, horizontal: float) -> np.ndarray:
    height, width = mask.shape
    grown = mask.copy()
    for y, x in zip(*np.nonzero(mask), strict=True):
        for v in range(height):
            for u in range(width):
                if ((v - y) / vertical) ** 2 + ((u - x) / horizontal) ** 2 <= 1 + 1e-9:
                    grown[v, u] = True
    return grown


masks = arrays.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.booleans())


@settings(max_examples=40, deadline=None)
@given(
    mask=masks, vertical=st.sampled_from([0.5, 1, 1.5, 2, 3, 5]), horizontal=st.sampled_from([1, 2, 2.5, 5])
)
def test_dilation_equals_brute_force(mask: np.ndarray, vertical: float, horizontal: float) -> None:
    tensor = torch.from_numpy(mask)[None, None].float()
    grown = compose.dilate(tensor, (vertical, horizontal))[0, 0].numpy()
    assert np.array_equal(grown > 0, brute_force(mask, vertical, horizontal))


def test_a_radius_of_five_reaches_three_four_five() -> None:
    mask = torch.zeros(1, 1, 21, 21)
    mask[..., 10, 10] = 1
    grown = compose.dilate(mask, 5)
    assert grown[0, 0, 13, 14] == 1 and grown[0, 0, 14, 14] == 0 and grown[0, 0, 15, 10] == 1


@pytest.mark.parametrize("radius", [0, 3, 200])
def test_empty_and_full_masks_stay(radius: int) -> None:
    empty, full = torch.zeros(1, 1, 9, 7), torch.ones(1, 1, 9, 7)
    assert torch.equal(compose.dilate(empty, radius), empty) and torch.equal(
        compose.dilate(full, radius), full
    )
    assert torch.equal(compose.erode(empty, radius), empty) and torch.equal(compose.erode(full, radius), full)
    assert torch.equal(compose.feather_inside(full, radius), full)


def test_radius_zero_changes_nothing() -> None:
    mask = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    assert torch.equal(compose.dilate(mask, 0), mask)


@pytest.mark.parametrize("radius", [-1, float("nan"), float("inf")])
def test_impossible_radius_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match="radius"):
        compose.dilate(torch.zeros(1, 1, 4, 4), radius)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="B,1,H,W"):
        compose.dilate(torch.zeros(4, 4), 1)


@pytest.mark.parametrize(
    ("height", "width", "radius"), [(512, 512, 15), (128, 128, 4), (256, 512, 8), (1, 1, 2)]
)
def test_default_dilation_follows_the_size(height: int, width: int, radius: int) -> None:
    assert compose.default_dilation(height, width) == radius


@settings(max_examples=40, deadline=None)
@given(
    mask=arrays.arrays(np.float32, (1, 1, 6, 5), elements=st.floats(0, 1, width=32)), seed=st.integers(0, 99)
)
def test_composite_is_exact_where_the_mask_is(mask: np.ndarray, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    outside, inside = torch.rand(2, 1, 3, 6, 5, generator=generator)
    m = torch.from_numpy(mask)
    result = compose.composite(outside, inside, m)
    assert torch.equal(result[(m == 0).expand_as(result)], outside[(m == 0).expand_as(result)])
    assert torch.equal(result[(m == 1).expand_as(result)], inside[(m == 1).expand_as(result)])


def test_nan_inside_does_not_leak_outside() -> None:
    outside, mask = torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    assert torch.equal(compose.composite(outside, torch.full_like(outside, float("nan")), mask), outside)


def test_between_0_and_1_the_mask_blends() -> None:
    outside, inside = torch.full((1, 1, 1, 3), 0.2), torch.full((1, 1, 1, 3), 0.6)
    blended = compose.composite(outside, inside, torch.tensor([[[[0.25, 0.5, 0.75]]]]))
    torch.testing.assert_close(blended, torch.tensor([[[[0.3, 0.4, 0.5]]]]))


def test_feather_is_zero_outside_and_rises_inwards() -> None:
    mask = torch.zeros(1, 1, 1, 20)
    mask[..., 5:] = 1
    soft = compose.feather_inside(mask, 3)[0, 0, 0]
    assert soft[:5].abs().max() == 0 and soft[5] > 0
    assert torch.equal(soft.sort().values, soft) and soft[5:9].tolist() == [0.25, 0.5, 0.75, 1]


def test_closing_fills_a_crack_and_keeps_the_mask() -> None:
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 4:16, 4:9] = mask[..., 4:16, 10:16] = 1
    closed = compose.close_gaps(mask, 2)
    assert closed[..., 8:12, 9].min() == 1 and (closed >= mask).all() and closed[..., :3, :].max() == 0


def test_band_lies_on_both_sides_of_the_boundary() -> None:
    mask = torch.zeros(1, 1, 1, 20)
    mask[..., 10:] = 1
    assert compose.boundary_band(mask, 3)[0, 0, 0].nonzero().flatten().tolist() == [7, 8, 9, 10, 11, 12]


def test_cover_takes_every_touched_cell() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8, 31] = 1
    cells = compose.cover(mask, (4, 4))
    assert cells.sum() == 1 and cells[0, 0, 1, 3] == 1


@settings(max_examples=40, deadline=None)
@given(mask=masks, radius=st.sampled_from([0.5, 1, 1.5, 2, 3, 5]))
def test_erosion_and_feather_equal_brute_force(mask: np.ndarray, radius: float) -> None:
    tensor = torch.from_numpy(mask)[None, None].float()
    left = compose.erode(tensor, radius)[0, 0].numpy()
    assert np.array_equal(left == 0, brute_force(~mask, radius, radius))
    soft = compose.feather_inside(tensor, radius)[0, 0].numpy()
    for y, x in zip(*np.nonzero(mask), strict=True):
        away = [math.hypot(v - y, u - x) for v, u in zip(*np.nonzero(~mask), strict=True)]
        assert soft[y, x] == pytest.approx(min(1, min(away, default=math.inf) / (radius + 1)))
    assert not soft[~mask].any()


def test_of_a_small_mask_in_a_photograph_only_the_box_round_it_is_looked_at(monkeypatch) -> None:
    measured, measure = [], ndimage.distance_transform_edt
    monkeypatch.setattr(
        ndimage, "distance_transform_edt", lambda x, **more: measured.append(x.size) or measure(x, **more)
    )
    mask = torch.zeros(1, 1, 400, 600)
    mask[..., 100:120, 580:] = 1
    assert compose.dilate(mask, 5).sum() > mask.sum() > compose.erode(mask, 5).sum() > 0
    compose.close_gaps(compose.feather_inside(mask, 3), 4)
    assert len(measured) == 5 and max(measured) <= 40 * 40
