"""DensePose labels: which part of the body's surface each pixel shows, and where on that part."""

from __future__ import annotations

from dataclasses import dataclass

import torch

LABELS = 25


@dataclass(frozen=True)
class DensePose:
    """The FIGURA_DENSEPOSE value of B pictures.

    labels: (B, H, W) uint8, 0 background and 1..24 the parts in DensePose order. uv: (B, 2, H, W) in
    0..1, or None where only labels are known.
    """

    labels: torch.Tensor
    uv: torch.Tensor | None = None
