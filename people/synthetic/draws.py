"""Random numbers that depend on the seed of a picture alone, a stream for each aspect of a person."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

STREAMS = (
    "body", "pose", "clothes", "camera", "background", "occluder", "hair", "face", "accessories", "light",
    "bystander", "photo", "hand",
)  # fmt: skip
_CUT = 2.5
_MIX = 0x9E3779B97F4A7C15
Item = TypeVar("Item")


class Draws:
    """A stream of numbers for one seed.

    Each aspect of a person has a stream of its own, so that the same person can be drawn in another pose and
    a later change to, say, the backgrounds leaves every body as it was.
    """

    def __init__(self, seed: int, stream: str) -> None:
        self._number = (int(seed) * len(STREAMS) + STREAMS.index(stream)) * _MIX % (1 << 63)
        self._random = random.Random(self._number)
        self._generator: torch.Generator | None = None

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self._random.random()

    def normal(self, mean: float = 0.0, std: float = 1.0) -> float:
        """A normal number, cut at 2.5 standard deviations so that nothing is ever absurd."""
        value = self._random.gauss(0.0, 1.0)
        while abs(value) > _CUT:
            value = self._random.gauss(0.0, 1.0)
        return mean + std * value

    def choice(self, weights: Sequence[float]) -> int:
        """An index drawn with the given weights."""
        left = self.uniform(0.0, float(sum(weights)))
        for index, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return index
        return len(weights) - 1

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, all alike."""
        return items[self.choice([1.0] * len(items))]

    def chance(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self._random.random() < probability

    def numbers(self, count: int, low: float = 0.0, high: float = 1.0) -> list[float]:
        """That many numbers in [low, high)."""
        return [self.uniform(low, high) for _ in range(count)]

    def array(self, *shape: int) -> Tensor:
        """float32 numbers in [0, 1) of that shape, on the CPU."""
        if self._generator is None:
            # torch's generator on the CPU takes 32 bits of a seed and drops what is above them
            self._generator = torch.Generator().manual_seed(self._number & 0xFFFFFFFF)
        return torch.rand(shape, generator=self._generator)
