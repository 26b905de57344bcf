"""What Segment Anything makes of a data set's people is made once, shard by shard, from points on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.perception.sam import visible_mask
from figura.models.perception.sam_networks import load_sam
from figura.training.data import segmented
from figura.training.data.coarse_outputs import CoarseOutputs
from figura.training.data.people import PeopleDataset
from figura.training.data.segmented import JITTER_PX, segmented_masks, told_points
from figura.training.recipes.invisible_mask import segmented_or_true

COUNT = 4


@pytest.fixture
def people(toy_data: Path) -> PeopleDataset:
    return PeopleDataset.open(toy_data / "train")


def test_masks_are_those_of_the_last_people_as_the_nodes_make_them(
    toy_data: Path, toy_weights: Mapping[str, Path], people: PeopleDataset
) -> None:
    masks = segmented_masks(toy_data / "train", toy_weights, COUNT)
    assert masks.shape == (COUNT, 1, people.size, people.size) and set(np.unique(masks)) <= {0, 255}
    sam = load_sam(toy_weights["sam"])
    for row, index in enumerate(range(len(people) - COUNT, len(people))):
        points = told_points(people, index)
        assert len(points)
        wanted, _ = visible_mask(sam, people.images("occluded", [index])[0], points, torch.ones(len(points)))
        np.testing.assert_array_equal(masks[row, 0] > 0, wanted.numpy() > 0)


def test_what_is_missing_is_made_again_and_nothing_else(
    toy_data: Path, toy_weights: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmented, "SHARD", 2)
    before = segmented_masks(toy_data / "train", toy_weights, 3).copy()
    folder = next((toy_data / "train").glob("segmented_*_3"))
    (folder / "done_0000001").unlink()
    np.load(folder / "masks.npy", mmap_mode="r+")[2] = 7
    np.testing.assert_array_equal(segmented_masks(toy_data / "train", toy_weights, 3), before)
    monkeypatch.setattr(segmented, "_segment_shard", None)
    segmented_masks(toy_data / "train", toy_weights, 3)


def test_points_lie_on_visible_joints_and_any_number_of_them_is_told(people: PeopleDataset) -> None:
    shares = []
    for index in range(len(people)):
        seen = (people.joints[index, :, 2] > 0) & people.joint_visible[index]
        joints = torch.from_numpy(people.joints[index, seen, :2].copy())
        points = told_points(people, index)
        nearest = (points[:, None] - joints[None]).abs().amax(2).amin(1)
        assert (nearest <= JITTER_PX).all() and points.min() >= 0 and points.max() < people.size
        assert torch.equal(points, told_points(people, index))
        shares.append(len(points) / len(joints))
    assert min(shares) < 0.9 < max(shares)


def test_of_imported_people_joints_on_the_visible_mask_are_told(people: PeopleDataset) -> None:
    """They come without `joint_visible`."""
    imported = replace(people, joint_visible=np.zeros((0,), np.uint8))
    for index in range(len(people)):
        x, y = people.joints[index, :, :2].astype(int).clip(0, people.size - 1).T
        seen = (people.joints[index, :, 2] > 0) & (people.visible_mask[index, 0, y, x] > 127)
        joints = torch.from_numpy(people.joints[index, seen, :2].copy())
        points = told_points(imported, index)
        assert 0 < len(points) <= len(joints)
        assert ((points[:, None] - joints[None]).abs().amax(2).amin(1) <= JITTER_PX).all()


def test_nobody_seen_has_no_points_and_an_empty_mask(
    people: PeopleDataset, toy_data: Path, toy_weights: Mapping[str, Path]
) -> None:
    hidden = replace(people, joint_visible=np.zeros_like(people.joint_visible))
    assert told_points(hidden, 0).shape == (0, 2)
    mask = segmented._segment_person(load_sam(toy_weights["sam"]), hidden, 0)
    assert mask.shape == (1, people.size, people.size) and not mask.any()


def test_a_mask_of_somebody_else_is_replaced_by_the_true_one(people: PeopleDataset) -> None:
    made = np.stack([people.visible_mask[-2], 255 - people.visible_mask[-1]])
    data = CoarseOutputs(people, np.zeros((2, 1, 3, people.size, people.size), np.uint8), made)
    visible = (people.images("visible_mask", [len(people) - 2, len(people) - 1]) > 0.5).float()
    made[0, :, :4] = 255  # a fault that stays
    given = segmented_or_true(data, np.arange(2), visible)
    assert given[0, :, :4].min() == 1 and torch.equal(given[0, :, 4:] > 0.5, visible[0, :, 4:] > 0.5)
    assert torch.equal(given[1], visible[1])
    assert segmented_or_true(replace(data, segmented=None), np.arange(2), visible) is visible
