"""Patterns on cloth, as functions of where its threads are: u across and v along, metres."""

from __future__ import annotations

import torch
from torch import Tensor


def pattern(
    name: str, u: Tensor, v: Tensor, pitch: float, pixel: Tensor, phase: tuple[float, float]
) -> Tensor:
    """How much of the second colour shows (p,), 0..1; finer patterns than the pixels (p,) metres fade out.

    Args:
        name: of the pattern.
        u: (p,), metres across.
        v: (p,), metres along.
        pitch: metres from one repeat to the next.
        pixel: (p,), metres that a pixel covers.
        phase: shift along u and v.
    """
    a, b = u / pitch + phase[0], v / pitch + phase[1]
    soft = (2.2 * pixel / pitch).clamp(0.03, 1.0)
    if name == "striped":
        return _band(b, 0.5, soft)
    if name == "pinstriped":
        return 0.75 * _band(a, 0.16, soft)
    if name == "checked":
        return 0.5 * _band(a, 0.5, soft) + 0.5 * _band(b, 0.5, soft)
    if name == "dotted":
        row = (2 * b).floor()
        x, y = (a + 0.5 * (row % 2)) % 1 - 0.5, ((2 * b) % 1 - 0.5) / 2
        return _edge(0.17 - (x * x + y * y).sqrt(), soft) * (1 - (soft - 0.4).clamp(0, 0.6))
    if name == "flowered":
        return _flowers(a, b, soft)
    return torch.zeros_like(u)


def _band(x: Tensor, share: float, soft: Tensor) -> Tensor:
    """1 on `share` of every unit, with edges as soft as the pixels are large."""
    away = share / 2 - ((x % 1) - 0.5).abs()
    sharp = _edge(away, soft)
    return torch.lerp(sharp, torch.full_like(sharp, share), ((soft - 0.6) / 0.4).clamp(0, 1))


def _edge(away: Tensor, soft: Tensor) -> Tensor:
    return (0.5 + away / soft).clamp(0, 1)


def scattered(i: Tensor, j: Tensor) -> Tensor:
    """A number in [0,1) for each pair of whole numbers, the same on every device."""
    mixed = (i.long() * 7919 + j.long() * 104729) % 65521
    return (mixed * mixed % 65521 * 31 % 1021).to(i.dtype) / 1021


def _flowers(a: Tensor, b: Tensor, soft: Tensor) -> Tensor:
    """Five petals about scattered places, turned at random."""
    i, j = a.floor(), b.floor()
    jitter, other = scattered(i, j), scattered(j + 17, i)
    x, y = a - i - 0.3 - 0.4 * jitter, b - j - 0.3 - 0.4 * other
    radius = (x * x + y * y).sqrt()
    petals = 0.2 + 0.075 * torch.cos(5 * torch.atan2(y, x) + 6.28 * jitter)
    return _edge(petals * (0.7 + 0.5 * other) - radius, soft) * _edge(radius - 0.05, soft)
