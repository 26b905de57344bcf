"""Training silhouettes: what is hidden was visible, what is given lies where it should."""

from __future__ import annotations

import pytest
import torch
from figura.models.phac.amodal_mask import GRID
from figura.people.synthetic import render_people
from figura.training.data.amodal_masks import (
    as_segmented,
    draw_silhouettes,
    given_joints,
    hidden_further,
    mask_edges,
)
from figura.training.run.recipe import random_generator

PEOPLE = render_people(list(range(8)))
VISIBLE, AMODAL = PEOPLE.visible_mask.float(), PEOPLE.amodal_mask.float()
JOINTS, SEEN = PEOPLE.joints, PEOPLE.joint_visible.float()


def drawn(seed: int = 0):
    return draw_silhouettes(VISIBLE, AMODAL, JOINTS, SEEN, random_generator(seed))


def test_a_batch_depends_on_its_generator_alone() -> None:
    first, second, other = drawn(), drawn(), drawn(1)
    assert all(torch.equal(a, b) for a, b in zip(first[0], second[0], strict=True))
    assert torch.equal(first[1], second[1]) and not torch.equal(first[1], other[1])


def test_only_visible_pixels_are_hidden_further_and_some_stay() -> None:
    left = torch.cat([hidden_further(VISIBLE, AMODAL, random_generator(seed)) for seed in range(20)])
    before = VISIBLE.repeat(20, 1, 1, 1)
    assert bool((left <= before).all())
    changed = (left != before).flatten(1).any(1)
    assert 0.2 < changed.float().mean() < 0.8
    assert bool((left.sum((1, 2, 3)) > 0.07 * AMODAL.repeat(20, 1, 1, 1).sum((1, 2, 3)))[changed].all())


def test_the_clean_visible_part_lies_in_the_person() -> None:
    for seed in range(5):
        _, target, clean = drawn(seed)
        assert target.shape == clean.shape == (8, 1, GRID, GRID)
        assert bool((clean <= target + 1e-4).all())


def test_given_joints_lie_on_the_person() -> None:
    on, all_of_them = 0, 0
    for seed in range(5):
        known, target, _ = drawn(seed)
        x, y = known.joints[..., 0].long(), known.joints[..., 1].long()
        there = (known.joints[..., 2] > 0) & (x >= 0) & (y >= 0) & (x < GRID) & (y < GRID)
        grown = torch.nn.functional.max_pool2d(target, 7, 1, 3).flatten(1)
        hit = grown.gather(1, (y.clamp(0, GRID - 1) * GRID + x.clamp(0, GRID - 1))) > 0.5
        on, all_of_them = on + int((hit & there).sum()), all_of_them + int(there.sum())
    assert all_of_them > 100 and on / all_of_them > 0.97


def test_a_given_box_holds_the_person() -> None:
    shares = []
    for seed in range(6):
        known, target, _ = drawn(seed)
        for row in torch.nonzero(known.boxed).flatten().tolist():
            edges = mask_edges(target[row : row + 1])[0]
            size = float((edges[2:] - edges[:2]).max())
            shares.append(float((known.boxes[row] - edges).abs().max()) / max(size, 1))
    assert len(shares) > 8 and sorted(shares)[len(shares) // 2] < 0.08


def test_every_way_of_giving_joints_occurs() -> None:
    given = torch.cat([given_joints(JOINTS, SEEN, random_generator(seed)) for seed in range(40)])
    present = (JOINTS[..., 2] > 0).float().repeat(40, 1)
    assert bool((given <= present).all())
    counts = given.sum(1)
    assert (counts == 0).any() and (counts == present.sum(1)).any() and ((counts > 0) & (counts < 6)).any()


def test_segmented_masks_have_holes_and_spills() -> None:
    rough = torch.cat([as_segmented(VISIBLE, random_generator(seed)) for seed in range(10)])
    clean = VISIBLE.repeat(10, 1, 1, 1)
    assert bool(((rough > clean).flatten(1).sum(1) > 60).any())
    assert bool(((rough < clean).flatten(1).sum(1) > 60).any())
    assert float((rough != clean).float().mean()) < 0.06


@pytest.mark.parametrize("box", [(3, 5, 20, 30), (0, 0, 32, 32)])
def test_edges_of_a_mask(box: tuple[int, int, int, int]) -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[0, 0, box[1] : box[3], box[0] : box[2]] = 1
    assert mask_edges(mask)[0].tolist() == list(box)
    assert mask_edges(torch.zeros(1, 1, 32, 32))[0].tolist() == [0, 0, 0, 0]
