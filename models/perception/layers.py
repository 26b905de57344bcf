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


class Hourglass(nn.Module):
    """From pictures down to 1/16 of their side and up again to 1/4, with shortcuts.

    channels: at 1/2, 1/4, 1/8, 1/16. blocks: residual blocks at 1/8 and 1/16.
    """

    def __init__(
        self, channels: tuple[int, int, int, int], blocks: tuple[int, int], operations: Any = torch.nn
    ) -> None:
        super().__init__()
        half, quarter, eighth, deep = channels
        conv = operations.Conv2d
        self.stem = conv(3, half, 5, stride=2, padding=2)
        self.down4, self.block4 = conv(half, quarter, 3, stride=2, padding=1), Residual(quarter, operations)
        self.down8 = conv(quarter, eighth, 3, stride=2, padding=1)
        self.blocks8 = nn.Sequential(*(Residual(eighth, operations) for _ in range(blocks[0])))
        self.down16 = conv(eighth, deep, 3, stride=2, padding=1)
        self.blocks16 = nn.Sequential(*(Residual(deep, operations) for _ in range(blocks[1])))
        self.up8, self.join8 = conv(deep, eighth, 1), Residual(eighth, operations)
        self.up4, self.join4 = conv(eighth, quarter, 1), Residual(quarter, operations)

    def features(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures (B,3,S,S) in 0..1 -> features (B,half,S/2,S/2) of the way down, (B,quarter,S/4,S/4) up."""
        x2 = F.silu(self.stem(images * 2 - 1))
        x4 = self.block4(self.down4(x2))
        x8 = self.blocks8(self.down8(x4))
        x16 = self.blocks16(self.down16(x8))
        y8 = self.join8(x8 + F.interpolate(self.up8(x16), scale_factor=2.0))
        return x2, self.join4(x4 + F.interpolate(self.up4(y8), scale_factor=2.0))
