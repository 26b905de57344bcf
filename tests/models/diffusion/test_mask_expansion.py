"""The ring shrinks step by step to the original mask, and equals a brute-force oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figura.models.diffusion.mask_expansion import MaskExpansion, ring_share, step_fraction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

sizes = st.tuples(st.integers(1, 13), st.integers(1, 13))
masks = arrays.arrays(
    np.float32, sizes, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]).map(np.float32)
).map(lambda mask: torch.from_numpy(mask)[None, None])
rings = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.9, 3.0, 40.0])
fractions = st.floats(0, 1)


def expanded(mask: torch.Tensor, fraction: float, ring: float) -> torch.Tensor:
    return MaskExpansion(mask, ring).at(fraction)


def brute_force(mask: np.ndarray, width: float) -> np.ndarray:
    """0 on free cells that lie within `width` cells of a known one."""
    grown = mask.copy()
    known = np.argwhere(mask < 0.5)
    for cell in np.argwhere(mask >= 0.5):
        if len(known) and np.sqrt(((known - cell) ** 2).sum(1)).min() <= width + 1e-4:
            grown[tuple(cell)] = 0
    return grown


@settings(max_examples=60)
@given(masks, fractions, rings)
def test_the_expanded_mask_equals_brute_force(mask, fraction, ring):
    found = expanded(mask, fraction, ring)[0, 0].numpy()
    assert np.array_equal(found, brute_force(mask[0, 0].numpy(), ring * (1 - fraction)))


@given(masks, rings, st.integers(1, 60))
def test_the_known_region_shrinks_step_by_step_to_the_mask_itself(mask, ring, steps):
    expansion = MaskExpansion(mask, ring)
    along = [expansion.at(step_fraction(step, steps)) for step in range(steps)]
    for earlier, later in zip(along, along[1:]):
        assert bool((later >= earlier).all())
    assert torch.equal(along[-1], mask)


@given(masks, rings)
def test_one_step_gives_the_original(mask, ring):
    assert torch.equal(expanded(mask, step_fraction(0, 1), ring), mask)


@given(masks, rings, st.integers(0, 20), st.integers(1, 20), st.integers(2, 5))
def test_only_the_fraction_matters_not_the_number_of_steps(mask, ring, step, more, times):
    steps = step + more + 1
    finer = step_fraction(times * step, times * (steps - 1) + 1)
    assert torch.equal(expanded(mask, step_fraction(step, steps), ring), expanded(mask, finer, ring))


@given(rings, fractions, sizes)
def test_all_known_and_all_free_masks_stay(ring, fraction, size):
    for mask in (torch.zeros(1, 1, *size), torch.ones(1, 1, *size)):
        assert torch.equal(expanded(mask, fraction, ring), mask)


@given(rings, fractions)
def test_rows_of_a_batch_are_independent(ring, fraction):
    generator = torch.Generator().manual_seed(3)
    mask = (torch.rand(4, 1, 9, 7, generator=generator) > 0.1).float()
    mask[2] = 1
    together = expanded(mask, fraction, ring)
    for row in range(4):
        assert torch.equal(together[row : row + 1], expanded(mask[row : row + 1], fraction, ring))


def test_a_ring_of_five_reaches_three_four_five():
    mask = torch.ones(1, 1, 21, 21)
    mask[..., 10, 10] = 0
    grown = expanded(mask, 0.0, 5.0)[0, 0]
    assert grown[13, 14] == 0 and grown[14, 14] == 1 and grown[10, 15] == 0
    halfway = expanded(mask, 0.5, 5.0)[0, 0]
    assert halfway[10, 12] == 0 and halfway[10, 13] == 1


def test_the_mask_that_came_is_left_alone():
    mask = torch.ones(1, 1, 5, 5)
    mask[..., 2, 2] = 0
    before = mask.clone()
    expanded(mask, 0.0, 3.0)
    assert torch.equal(mask, before)


def test_the_largest_ring_is_the_papers_pixel_of_512_per_step():
    assert ring_share(1) == 0 and ring_share(2) == 1 / 512
    assert ring_share(50) == 49 / 512 == ring_share(1000)


def test_steps_run_from_zero_to_one():
    assert [step_fraction(step, 5) for step in range(5)] == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize("wrong", [lambda: ring_share(0), lambda: step_fraction(0, 0)])
def test_fewer_than_one_step_is_refused(wrong):
    with pytest.raises(ValueError, match="steps is 0; at least 1"):
        wrong()


@pytest.mark.parametrize("step", [-1, 5])
def test_a_step_outside_is_refused(step):
    with pytest.raises(ValueError, match=f"step {step} of 5 came"):
        step_fraction(step, 5)


@pytest.mark.parametrize(
    ("shape", "ring", "fraction", "message"),
    [
        ((1, 4, 8, 8), 1.0, 0.0, r"\(1, 4, 8, 8\) came"),
        ((8, 8), 1.0, 0.0, r"\(8, 8\) came"),
        ((1, 1, 8, 8), -1.0, 0.0, "a ring of -1.0 cells"),
        ((1, 1, 8, 8), float("nan"), 0.0, "a ring of nan cells"),
        ((1, 1, 8, 8), 1.0, 1.5, "a fraction of 1.5"),
        ((1, 1, 8, 8), 1.0, float("nan"), "a fraction of nan"),
    ],
)
def test_nonsense_is_refused(shape, ring, fraction, message):
    with pytest.raises(ValueError, match=message):
        expanded(torch.ones(shape), fraction, ring)
