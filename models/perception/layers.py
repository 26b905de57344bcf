"""Layers that the perception networks share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    """Two 3x3 convolutions with group normalisation and a shortcut."""

    def __init__(self, channels: int, operations: Any = torch.nn) -> None:
        super().__init__()
        self.norm1, self.norm2 = operations.GroupNorm(8, channels), operations.GroupNorm(8, channels)
        self.conv1 = operations.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = operations.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))
