"""Rotations as (3,3) matrices, for a body's bones: numpy, since there are many small ones."""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray


def unit(vector: Array) -> Array:
    """The vector with length 1."""
    return vector / max(length(vector), 1e-9)


def length(vector: Array) -> float:
    """The length of a vector (3,)."""
    return math.sqrt(float(vector @ vector))


def cross(a: Array, b: Array) -> Array:
    """The vector square to both, by the right-hand rule."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def about(axis: Array, angle: float) -> Array:
    """The rotation by `angle` radians about an axis (3,), counter-clockwise when it points to the viewer."""
    x, y, z = unit(axis).tolist()
    c, s = math.cos(angle), math.sin(angle)
    t = 1 - c
    return np.array([
        [c + x * x * t, x * y * t - z * s, x * z * t + y * s],
        [y * x * t + z * s, c + y * y * t, y * z * t - x * s],
        [z * x * t - y * s, z * y * t + x * s, c + z * z * t],
    ])  # fmt: skip


def turn_x(angle: float) -> Array:
    """Leaning forward: up goes towards the front."""
    return about(np.array([1.0, 0, 0]), angle)


def turn_y(angle: float) -> Array:
    """Turning: the front goes towards the person's left."""
    return about(np.array([0.0, 1, 0]), angle)


def turn_z(angle: float) -> Array:
    """Leaning sideways: up goes towards the person's right."""
    return about(np.array([0.0, 0, 1]), angle)


def frame(along: Array, side: Array) -> Array:
    """(3,3) columns: along, side made square to it, and the third."""
    first = unit(along)
    second = unit(side - (side @ first) * first)
    return np.stack([first, second, cross(first, second)], 1)


def swing(start: Array, end: Array) -> Array:
    """The smallest rotation that takes one direction to another."""
    start, end = unit(start), unit(end)
    axis = cross(start, end)
    if length(axis) < 1e-6:
        return np.eye(3) if float(start @ end) > 0 else about(np.array([0.0, 0, 1]), math.pi)
    return about(axis, math.atan2(length(axis), float(start @ end)))


def axis_angle(rotation: Array) -> tuple[Array, float]:
    """Axis (3,) and angle 0..pi of a rotation."""
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0],
                     rotation[1, 0] - rotation[0, 1]])  # fmt: skip
    sine, cosine = length(axis) / 2, (float(rotation.trace()) - 1) / 2
    if sine < 1e-6:
        return np.array([1.0, 0, 0]), 0.0
    return axis, math.atan2(sine, cosine)


def part_of(rotation: Array, share: float) -> Array:
    """That share of a rotation, about the same axis."""
    axis, angle = axis_angle(rotation)
    return about(axis, angle * share)
