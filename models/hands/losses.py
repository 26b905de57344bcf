"""The hand generator's loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

MASK_WEIGHT = 1.0
"""lambda; the paper gives no value. With the weights that the noise loss has here, its term is about 0.3 and
the mask's 0.03: the mask stays the smaller one by an order. At 0.1 it learned far slower.
"""


def mask_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1/N sum_i (M_i - m_theta)^2: mean squared error of masks (B,1,h,w), truth 0..1 at the latent size."""
    if predicted.shape != truth.shape:
        raise ValueError(
            f"masks of shapes {tuple(predicted.shape)} and {tuple(truth.shape)}: they must agree"
        )
    return F.mse_loss(predicted, truth)
