"""Classifier-free guidance: plain, cumulative over two conditions, and decaying over time."""

from __future__ import annotations

from torch import Tensor


def cfg(eps_uncond: Tensor, eps_cond: Tensor, scale: float) -> Tensor:
    """eps_u + w (eps_c - eps_u), all (B,C,h,w). Scale 1 is eps_c and scale 0 is eps_u, bit for bit.

    >>> import torch
    >>> cfg(torch.tensor([0.0]), torch.tensor([1.0]), 7.5)
    tensor([7.5000])
    """
    _check_shapes(eps_uncond, eps_cond)
    if scale == 1.0:
        return eps_cond
    if scale == 0.0:
        return eps_uncond
    return eps_uncond + scale * (eps_cond - eps_uncond)


def cumulative(
    eps_none: Tensor, eps_one: Tensor, eps_both: Tensor, scale_one: float, scale_both: float
) -> Tensor:
    """e(0,0) + w_1 (e(1,0) - e(0,0)) + w_2 (e(1,1) - e(1,0)): guidance by two conditions.

    CFLD and PoCoLD: the first condition is the pose, the second the appearance.

    Args:
        eps_none: e(0,0), the noise predicted without a condition, (B,C,h,w).
        eps_one: e(1,0), with the first, (B,C,h,w).
        eps_both: e(1,1), with both, (B,C,h,w).
        scale_one: w_1; 1 is no guidance.
        scale_both: w_2; 1 is no guidance.

    Returns:
        (B,C,h,w); with both scales 1 it is e(1,1) exactly.

    >>> import torch
    >>> none, pose, both = (torch.tensor([value]) for value in (0.0, 1.0, 3.0))
    >>> cumulative(none, pose, both, 2.0, 2.0)
    tensor([6.])
    """
    _check_shapes(eps_none, eps_one)
    _check_shapes(eps_one, eps_both)
    if scale_both == 1.0 and scale_one == 1.0:
        return eps_both
    return eps_none + scale_one * (eps_one - eps_none) + scale_both * (eps_both - eps_one)


def decaying(scale: float, t: int, floor: float = 3.0, training_steps: int = 1000) -> float:
    """w(t) = max(w t / T, floor): PoCoLD's released inference, strong early and `floor` at the end.

    Args:
        scale: w.
        t: the time step, 0..T-1.
        floor: the least weight.
        training_steps: T.

    Returns:
        The weight at time t.

    >>> decaying(7.0, 999), decaying(7.0, 100)
    (6.993, 3.0)
    """
    return max(scale * t / training_steps, floor)


def _check_shapes(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ValueError(
            f"guidance: predictions of shapes {tuple(first.shape)} and {tuple(second.shape)} differ"
        )
