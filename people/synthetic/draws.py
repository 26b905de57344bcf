"""Random numbers that depend on the seed of a picture alone, never on the batch or the device it is
drawn with.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

STREAMS = ("body", "pose", "clothes", "camera", "background", "occluder")


class Draws:
    """A stream of uniform numbers per picture, consumed column by column, the same columns for every picture.

    Each aspect of a person has a stream of its own, so that the same person can be drawn in another pose and
    a later change to, say, the backgrounds leaves every body as it was.
    """

    def __init__(
        self, seeds: Sequence[int], stream: str, device: torch.device | str, columns: int = 1024
    ) -> None:
        offset = STREAMS.index(stream)
        generators = [torch.Generator().manual_seed(int(seed) * len(STREAMS) + offset) for seed in seeds]
        self._numbers = torch.stack([torch.rand(columns, generator=g) for g in generators]).to(device)
        self._next = 0
        self.device = self._numbers.device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """(B, *shape) numbers in [low, high)."""
        count = 1
        for side in shape:
            count *= side
        taken = self._numbers[:, self._next : self._next + count]
        if taken.shape[1] < count:
            raise ValueError(f"a stream of {self._numbers.shape[1]} numbers is used up")
        self._next += count
        return low + (high - low) * taken.reshape(-1, *shape)

    def normal(self, mean: float, std: float, *shape: int) -> Tensor:
        """(B, *shape) normal numbers, cut at 2.5 standard deviations so that no limb is ever absurd."""
        u = self.uniform(0.0062, 0.9938, *shape)
        return mean + std * 1.41421356 * torch.erfinv(2 * u - 1)

    def choice(self, weights: Sequence[float]) -> Tensor:
        """(B,) int64 indices drawn with the given weights."""
        edges = torch.tensor(weights, dtype=torch.float32, device=self._numbers.device).cumsum(0)
        u = self.uniform(0.0, float(edges[-1]))
        return torch.searchsorted(edges, u.reshape(-1)).clamp_max(len(weights) - 1)

    def chance(self, probability: float) -> Tensor:
        """(B,) bool."""
        return self.uniform(0.0, 1.0).reshape(-1) < probability
