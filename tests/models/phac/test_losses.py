"""BCE + 0.5 Dice: values that can be computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from figura.models.phac.losses import bce_dice_loss, dice_loss


def half_mask() -> torch.Tensor:
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, :8] = 1
    return mask


def confident(mask: torch.Tensor) -> torch.Tensor:
    return (mask * 2 - 1) * 30


def test_perfect_prediction_costs_nothing() -> None:
    assert bce_dice_loss(confident(half_mask()), half_mask()) < 1e-5


def test_inverted_prediction_costs_much() -> None:
    assert bce_dice_loss(confident(1 - half_mask()), half_mask()) > 10


def test_undecided_prediction_costs_ln2_and_a_quarter() -> None:
    # Dice of p = 0.5 on half a picture: 1 - (2*64+1)/(128+128+1)
    expected = math.log(2) + 0.5 * (1 - 129 / 257)
    assert bce_dice_loss(torch.zeros(2, 1, 16, 16), half_mask()).item() == pytest.approx(expected, abs=1e-5)


def test_empty_target_predicted_empty_costs_nothing() -> None:
    empty = torch.zeros(1, 1, 8, 8)
    assert dice_loss(confident(empty), empty) < 1e-5


def test_dice_is_averaged_over_pictures() -> None:
    target = half_mask()
    target[1] = 0
    target[1, 0, 5, 5] = 1  # a pixel that is missed: 1 - (0 + 1) / (0 + 1 + 1)
    logits = torch.cat([confident(target[:1]), torch.full((1, 1, 16, 16), -30.0)])
    assert dice_loss(logits, target).item() == pytest.approx(0.25, abs=1e-4)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="logits"):
        bce_dice_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))
