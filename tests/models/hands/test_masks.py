"""Masks of hands for generators that predict none."""

from __future__ import annotations

import pytest
import torch
from figura.models.hands.masks import region_before_plain, segmented
from figura.models.perception.sam import build_mini_sam, visible_mask


def test_the_largest_region_before_the_background_is_the_hand_without_its_holes() -> None:
    images = torch.full((2, 3, 40, 30), 0.9) + 0.02 * torch.rand(2, 3, 40, 30)
    images[0, :, 10:40, 8:20] = torch.tensor([0.8, 0.5, 0.4])[:, None, None]
    images[0, :, 20:23, 12:14] = 0.9
    images[0, :, 2:5, 25:28] = 0.1
    images[1, 2, 4:9, 4:9] = 0.2
    expected = torch.zeros(2, 1, 40, 30)
    expected[0, :, 10:40, 8:20], expected[1, :, 4:9, 4:9] = 1, 1
    assert torch.equal(region_before_plain(images), expected)


def test_a_plain_picture_has_no_hand() -> None:
    assert not region_before_plain(torch.full((1, 3, 8, 8), 0.4)).any()


def test_segment_anything_is_prompted_with_the_joints_that_are_there() -> None:
    torch.manual_seed(0)
    sam = build_mini_sam().eval()
    images = torch.rand(2, 3, 64, 64)
    joints = torch.rand(2, 21, 3) * 64
    joints[..., 2] = 1
    joints[:, 5] = torch.tensor([70.0, 3.0, 1.0])
    joints[:, 6] = 0
    there = [index for index in range(21) if index not in (5, 6)]
    expected = visible_mask(sam, images[1], joints[1, there, :2], torch.ones(19))[0]
    assert torch.equal(segmented(sam, images, joints)[1, 0], expected)
    with pytest.raises(ValueError, match="point"):
        segmented(sam, images, torch.zeros(2, 21, 3))
