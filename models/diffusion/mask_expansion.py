"""Sequential mask expansion (Giving a Hand to Diffusion Models, section III-D).

What is known (the hand) is fused into the latents at every step. Its mask starts with a ring of uniform
background round it, and the ring shrinks until at the last step the mask is the original one. The paper
dilates once for every step and does not say by how much: a pixel of 512 is our choice (by a cell of the
latents, the ring would cover nearly the whole picture). The ring is a distance, so that any number of steps
is exact.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SEQUENTIAL, CONSTANT, OFF = EXPANSIONS = ("sequential", "constant", "off")
"""The ring shrinks over the steps; the mask itself at all steps; nothing is fused."""
FULL_SIDE_PX = 512
LARGEST_RING_PX = 49
# Distances between cells are roots of whole numbers, kept in float32: nearer than this they are equal.
_ROUNDING = 1e-4


def ring_share(steps: int) -> float:
    """The largest ring as a share of the picture's shorter side: one pixel of 512 for each step after the
    first, 49 at most. ValueError for fewer than 1 step.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; at least 1 is needed")
    return min(steps - 1, LARGEST_RING_PX) / FULL_SIDE_PX


def step_fraction(step: int, steps: int) -> float:
    """How far the sampling is at step 0..steps-1: 0 at the first (largest ring), 1 at the last.

    A single step is the last one: 1. ValueError for fewer than 1 step and for a step outside.

    >>> [step_fraction(step, 5) for step in range(5)]
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; at least 1 is needed")
    if not 0 <= step < steps:
        raise ValueError(f"step {step} of {steps} came; 0 to {steps - 1} are there")
    return 1.0 if steps == 1 else step / (steps - 1)


class MaskExpansion:
    """The masks of one picture batch along the steps; the distances are computed once."""

    def __init__(self, mask: Tensor, ring: float) -> None:
        """mask: (B,1,h,w) float 0..1, 1 = free to change; below 0.5 counts as known. ring: its largest width
        in cells of the mask, may be fractional. ValueError for other shapes and for a negative ring or NaN.
        """
        if mask.ndim != 4 or mask.shape[1] != 1:
            raise ValueError(f"a mask of shape {tuple(mask.shape)} came; (B,1,h,w) is needed")
        if not (math.isfinite(ring) and ring >= 0):
            raise ValueError(f"a ring of {ring} cells came; a number from 0 up is needed")
        self.mask = mask
        self.ring = ring
        self._distance = _distance_to_known(mask)

    def at(self, fraction: float) -> Tensor:
        """The mask (B,1,h,w) at `fraction` of the steps: 0 on the ring, elsewhere the mask bit for bit.

        The ring holds the free cells whose distance to the nearest known cell is at most ring*(1-fraction).
        Fraction 0 is the first step, 1 the last. ValueError for a fraction outside 0..1.
        """
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"a fraction of {fraction} came; 0 (first step) to 1 (last step) is needed")
        width = self.ring * (1.0 - fraction)
        ring = (self._distance > 0) & (self._distance <= width + _ROUNDING)
        return self.mask.masked_fill(ring, 0.0)


def _distance_to_known(mask: Tensor) -> Tensor:
    """Euclidean distance in cells to the nearest known cell, (B,1,h,w) float32; infinite without one."""
    free = ~(mask.detach() < 0.5).cpu().numpy()
    rows = [_distance(image) for image in free[:, 0]]
    return torch.from_numpy(np.stack(rows)[:, None]).to(mask.device)


def _distance(free: np.ndarray) -> np.ndarray:
    if free.all():
        return np.full(free.shape, np.inf, np.float32)
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(free).astype(np.float32)
