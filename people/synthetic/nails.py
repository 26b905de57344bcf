"""Nails, found on the mean hands by the joints of their fingers."""

from __future__ import annotations

from functools import lru_cache

from torch import Tensor

from .asset import body_asset

_HANDS_AFTER = 18
_BASES, _MIDDLES, _ENDS = (2, 5, 9, 13, 17), (3, 6, 10, 14, 18), (4, 8, 12, 16, 20)
HALF_LENGTH, HALF_WIDTH = 0.0062, 0.0048


@lru_cache(maxsize=4)
def _places(device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Middles of the ten nails (10,3) on the mean body, the fingers' directions and the backs' (10,3)."""
    asset = body_asset(device)
    hands = asset.mean[asset.ranges["landmarks"]][_HANDS_AFTER:].view(2, 21, 3)
    base, middle, end = (hands[:, list(which)].reshape(-1, 3) for which in (_BASES, _MIDDLES, _ENDS))
    before = hands[:, [each - 1 for each in _ENDS]].reshape(-1, 3)
    along = end - before
    along = along / along.norm(dim=1, keepdim=True)
    back = middle - (base + end) / 2
    back = back - (back * along).sum(1, keepdim=True) * along
    back = back / back.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return end - 0.004 * along + 0.006 * back, along, back


def nails(place: Tensor) -> Tensor:
    """0..1 on the nails, for places (p,3) of the mean body."""
    middle, along, back = _places(str(place.device))
    away = place[:, None] - middle
    length = (away * along).sum(2) / HALF_LENGTH
    height = (away * back).sum(2)
    width = (away.pow(2).sum(2) - (length * HALF_LENGTH) ** 2 - height**2).clamp_min(0).sqrt() / HALF_WIDTH
    inside = ((1.05 - (length**4 + width**4)) * 4).clamp(0, 1) * (height > -0.004) * (height < 0.01)
    return inside.amax(1)
