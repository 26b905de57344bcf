"""The loss of PHAC's U_iv (arXiv 2603.14741), BCE + 0.5 Dice."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

DICE_WEIGHT = 0.5


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - 2 |P.T| / (|P| + |T|), per picture and then averaged: 0 is perfect, 1 is no overlap at all.

    logits: (B,1,H,W), before the sigmoid. target: (B,1,H,W) float 0..1. smooth is added above and below,
    in pixels, so that an empty target that is predicted empty costs nothing.
    """
    _check_pair(logits, target)
    probability = logits.float().sigmoid().flatten(1)
    wanted = target.float().flatten(1)
    overlap = (probability * wanted).sum(1)
    total = probability.sum(1) + wanted.sum(1)
    return (1.0 - (2.0 * overlap + smooth) / (total + smooth)).mean()


def bce_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """L = L_BCE + 0.5 L_Dice of the invisible mask, a scalar.

    logits: (B,1,H,W), before the sigmoid. target: M_iv, (B,1,H,W) float 0..1. A perfect confident prediction
    costs about 0, an inverted one more than 1.
    """
    _check_pair(logits, target)
    bce = F.binary_cross_entropy_with_logits(logits.float(), target.float())
    return bce + DICE_WEIGHT * dice_loss(logits, target)


def _check_pair(logits: Tensor, target: Tensor) -> None:
    if logits.ndim != 4 or logits.shape != target.shape:
        raise ValueError(
            f"mask loss: logits are {tuple(logits.shape)} and target is {tuple(target.shape)}; "
            "both must be (B,1,H,W) of one shape."
        )
