"""The hand generator's loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

MASK_WEIGHT = 0.1
"""lambda; the paper gives no value. The noise term is about 0.1 to 0.4 and the mask term begins at 0.1 to
0.2, so that the mask stays the smaller one by an order."""


def mask_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1/N sum_i (M_i - m_theta)^2: mean squared error of masks (B,1,h,w), truth 0..1 at the latent size."""
    if predicted.shape != truth.shape:
        raise ValueError(
            f"masks of shapes {tuple(predicted.shape)} and {tuple(truth.shape)}: they must agree"
        )
    return F.mse_loss(predicted, truth)
