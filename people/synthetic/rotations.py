"""Rotations as (3,3) matrices on the CPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def unit(vector: Tensor) -> Tensor:
    """The vector with length 1."""
    return vector / vector.norm(dim=-1, keepdim=True).clamp_min(1e-9)


def about(axis: Tensor, angle: float) -> Tensor:
    """The rotation by `angle` radians about an axis (3,), counter-clockwise when it points to the viewer."""
    x, y, z = unit(axis).tolist()
    c, s = math.cos(angle), math.sin(angle)
    t = 1 - c
    return torch.tensor([
        [c + x * x * t, x * y * t - z * s, x * z * t + y * s],
        [y * x * t + z * s, c + y * y * t, y * z * t - x * s],
        [z * x * t - y * s, z * y * t + x * s, c + z * z * t],
    ])  # fmt: skip


def turn_x(angle: float) -> Tensor:
    """Leaning forward: up goes towards the front."""
    return about(torch.tensor([1.0, 0, 0]), angle)


def turn_y(angle: float) -> Tensor:
    """Turning: the front goes towards the person's left."""
    return about(torch.tensor([0.0, 1, 0]), angle)


def turn_z(angle: float) -> Tensor:
    """Leaning sideways: up goes towards the person's right."""
    return about(torch.tensor([0.0, 0, 1]), angle)


def frame(along: Tensor, side: Tensor) -> Tensor:
    """(3,3) columns: along, side made square to it, and the third."""
    first = unit(along)
    second = unit(side - (side @ first) * first)
    return torch.stack([first, second, torch.linalg.cross(first, second)], 1)


def swing(start: Tensor, end: Tensor) -> Tensor:
    """The smallest rotation that takes one direction to another."""
    start, end = unit(start), unit(end)
    axis = torch.linalg.cross(start, end)
    if float(axis.norm()) < 1e-6:
        return torch.eye(3) if float(start @ end) > 0 else about(torch.tensor([0.0, 0, 1]), math.pi)
    return about(axis, math.atan2(float(axis.norm()), float(start @ end)))


def axis_angle(rotation: Tensor) -> tuple[Tensor, float]:
    """Axis (3,) and angle 0..pi of a rotation."""
    axis = torch.stack([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0],
                        rotation[1, 0] - rotation[0, 1]])  # fmt: skip
    sine, cosine = float(axis.norm()) / 2, (float(rotation.trace()) - 1) / 2
    if sine < 1e-6:
        return torch.tensor([1.0, 0, 0]), 0.0
    return axis, math.atan2(sine, cosine)


def part_of(rotation: Tensor, share: float) -> Tensor:
    """That share of a rotation, about the same axis."""
    axis, angle = axis_angle(rotation)
    return about(axis, angle * share)
