"""U_iv on disturbed inputs: the faults are what their names say, and who sees the truth scores 1."""

from __future__ import annotations

import pytest
import torch
from figura.models.phac.checkpoint import load_mini_phac
from figura.models.store import MINI_DIR
from figura.people.synthetic import HELD_OUT_FIRST_SEED, render_people
from figura.training.evaluation import invisible_mask
from figura.training.evaluation.invisible_mask import GROUNDS, MASKS, photograph, with_fault

SEEDS = range(HELD_OUT_FIRST_SEED + 40, HELD_OUT_FIRST_SEED + 44)


def test_faults_are_what_their_names_say() -> None:
    masks = render_people(SEEDS, size=64).visible_mask
    made = {name: with_fault(name, masks, SEEDS) for name in MASKS}
    for name in ("eroded", "holes"):
        assert (made[name] <= masks).all() and made[name].sum() < masks.sum()
    for name in ("dilated", "spilling"):
        assert (made[name] >= masks).all() and made[name].sum() > masks.sum()
    assert torch.equal(made["holes"], with_fault("holes", masks, SEEDS))
    with pytest.raises(ValueError, match="'torn'.*eroded, dilated, spilling, holes"):
        with_fault("torn", masks, SEEDS)


def test_photographs_are_parts_drawn_by_the_seed() -> None:
    first, again, other = photograph(3, 64), photograph(3, 64), photograph(4, 64)
    assert first.shape == (3, 64, 64) and torch.equal(first, again) and not torch.equal(first, other)
    assert float(first.min()) >= 0 and float(first.max()) <= 1 and float(first.std()) > 0.02


def test_every_input_is_measured_and_the_whole_truth_scores_one(monkeypatch: pytest.MonkeyPatch) -> None:
    people = render_people(SEEDS, size=invisible_mask.SIZE)

    def sees_the_truth(model, images, coarse, visible, **options) -> tuple[torch.Tensor, torch.Tensor]:
        mask = people.invisible_mask * (visible <= 0.5)
        return mask, mask

    monkeypatch.setattr(invisible_mask, "invisible_images", sees_the_truth)
    monkeypatch.setattr(invisible_mask, "complete_images", lambda *args, **options: (people.cutout, None))
    batches: list[invisible_mask.Batch] = []
    found = invisible_mask.evaluate_invisible_masks(load_mini_phac(MINI_DIR), SEEDS, on_batch=batches.append)
    names = {f"invisible_iou.{name}{suffix}" for name in (*GROUNDS, *MASKS) for suffix in ("", ".drawn")}
    assert set(found) == {*names, "samples.measured"} and found["samples.measured"] > 0
    assert all(found[name] == 1 for name in names)
    white = batches[0].coarse["perfect"][people.amodal_mask.expand(-1, 3, -1, -1) == 0]
    assert (white == 1).all() and len(invisible_mask.mask_rows(batches[0])) == len(SEEDS)
    for name in ("off_white", "grey", "photograph", "scene"):
        inside = people.amodal_mask.expand(-1, 3, -1, -1) > 0.5
        assert torch.equal(batches[0].coarse[name][inside], people.cutout[inside])
        assert not torch.equal(batches[0].coarse[name], batches[0].coarse["perfect"])
