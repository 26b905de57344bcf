"""Random masks: binary, of a useful size, and decided by their generator alone."""

import pytest
import torch
from figura.training.data import masks

SIZE = 48


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("maker", [masks.rectangle, masks.strokes, masks.blobs])
def test_masks_are_binary_and_neither_empty_nor_full(maker) -> None:
    made = torch.stack([maker(SIZE, generator(seed)) for seed in range(12)])
    assert made.shape == (12, 1, SIZE, SIZE)
    assert set(made.unique().tolist()) == {0.0, 1.0}
    covered = made.mean(dim=(1, 2, 3))
    assert 0.005 < covered.min() and covered.max() < 0.75
    assert covered.std() > 0.01


def test_all_kinds_are_drawn_and_the_seed_decides() -> None:
    first, again, other = (masks.random_masks(6, SIZE, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_growing_and_shrinking() -> None:
    spot = torch.zeros(1, 1, SIZE, SIZE)
    spot[..., 20:26, 20:26] = 1
    assert masks.dilate_square(spot, 2).sum() == 100
    assert masks.dilate_square(spot, -2).sum() == 4
    assert torch.equal(masks.dilate_square(masks.dilate_square(spot, 3), -3), spot)
    assert masks.dilate_square(spot, 0) is spot


def test_disturbed_masks_stay_within_reach() -> None:
    spots = torch.zeros(64, 1, SIZE, SIZE)
    spots[..., 15:33, 15:33] = 1
    moved = masks.disturbed(spots, generator(), reach=3)
    assert (moved <= masks.dilate_square(spots, 3)).all() and (moved >= masks.dilate_square(spots, -3)).all()
    same = (moved == spots).flatten(1).all(dim=1).float().mean()
    assert 0.35 < same < 0.85


def test_a_segmenters_faults_are_of_all_kinds_and_stay_near() -> None:
    spots = torch.zeros(96, 1, SIZE, SIZE)
    spots[..., 12:36, 12:36] = 1
    made = masks.as_segmented(spots, generator(), reach=3, spill=8)
    assert set(made.unique().tolist()) == {0.0, 1.0} and torch.equal(
        spots[0].unique(), torch.tensor([0.0, 1.0])
    )
    grown = ((made > spots).flatten(1).any(1) & ~(made < spots).flatten(1).any(1)).float().mean()
    lost = ((made < spots).flatten(1).any(1) & ~(made > spots).flatten(1).any(1)).float().mean()
    same = (made == spots).flatten(1).all(1).float().mean()
    assert 0.35 < same < 0.75 and grown > 0.08 and lost > 0.08
    assert (made <= masks.dilate_square(spots, 8)).all()
    assert torch.equal(made, masks.as_segmented(spots, generator(), reach=3, spill=8))
