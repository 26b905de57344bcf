"""I_base: what comes from the coarse picture, where, and how far it counts in the end."""

from __future__ import annotations

import torch
from figura.models.phac.base_picture import compose_base, joined_person
from torch import Tensor

SIDE = 64


def region(rows: slice, columns: slice) -> Tensor:
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., rows, columns] = 1
    return mask


VISIBLE = region(slice(4, 20), slice(16, 40))
CHANGED = region(slice(16, 60), slice(8, 50))
OCCLUDED, COARSE = torch.rand(2, 1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def test_the_completed_part_counts_in_full_however_wide_the_soft_edge() -> None:
    exact = region(slice(20, 59), slice(16, 40))
    base = compose_base(OCCLUDED, COARSE, VISIBLE, CHANGED, exact, feather_px=8.0)
    assert torch.equal(base.part, exact) and (base.alpha[base.part == 1] == 1).all()
    assert not base.alpha[CHANGED == 0].any()
    beside = base.alpha[..., 20:59, 42:50]
    assert 0 < beside.min() and beside.max() < 1


def test_nothing_is_taken_from_beyond_what_may_change() -> None:
    base = compose_base(OCCLUDED, COARSE, VISIBLE, CHANGED, torch.ones_like(CHANGED))
    taken = CHANGED * (1 - VISIBLE)
    assert torch.equal(base.part, taken) and torch.equal(base.amodal, torch.maximum(CHANGED, VISIBLE))
    assert torch.equal(base.image, torch.where(taken > 0, COARSE, OCCLUDED))


def test_a_crack_is_closed_only_where_the_picture_may_change() -> None:
    visible, exact = region(slice(4, 20), slice(8, 56)), region(slice(21, 60), slice(8, 56))
    person = joined_person(visible, exact, region(slice(16, 60), slice(0, 30)))
    assert person[..., 20, 10:30].all() and not person[..., 20, 30:54].any()
