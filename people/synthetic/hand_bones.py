"""The bones of a hand: the forearm's turn, the wrist, and five fingers that bend and spread."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from .poses import Hand
from .rotations import Array, about, cross, unit


class Bones(Protocol):
    """What a hand needs of the skeleton: where joints are at rest, and to turn bones."""

    def joint(self, name: str) -> Array: ...

    def turn(self, name: str, rotation: Array) -> None: ...


_SIGN = (-1.0, 1.0)
_BEND = (82.0, 98.0, 62.0)
"""Degrees of the three joints of a finger that is bent wholly."""
_THUMB = (24.0, 42.0, 72.0)
_OPEN_THUMB = -14.0
_FOREARM = 1.5
"""Radians the hand turns about the forearm, either way."""


def palm_normal(skeleton: Bones, letter: str, side: int) -> Array:
    """(3,) out of the palm, at rest."""
    wrist, index, little = (
        skeleton.joint(f"{bone}.{letter}") for bone in ("wrist", "finger2-1", "finger5-1")
    )
    return unit(cross(index - wrist, little - wrist)) * -_SIGN[side]


def pose_hand(
    skeleton: Bones, forearm: Array, rest_lower: Array, side: int, turn: float, hand: Hand,
    stance: Array,
) -> None:  # fmt: skip
    """Turn the forearm so that the palm faces where it shall, bend the wrist, and close the fingers.

    Args:
        skeleton: its bones are turned.
        forearm: rotation of the lower arm (3,3).
        rest_lower: the lower arm at rest (3,).
        side: 0 right, 1 left.
        turn: of the palm in radians, where `hand` does not say what it faces.
        hand: bends of wrist and fingers.
        stance: rotation of the body (3,3).
    """
    letter, sign = "RL"[side], _SIGN[side]
    normal, axis = palm_normal(skeleton, letter, side), unit(rest_lower)
    twist = -sign * turn
    if hand.facing is not None:
        twist = _twist_to(forearm @ axis, forearm @ normal, stance @ np.array(hand.facing))
    twist = min(max(twist, -_FOREARM), _FOREARM)
    skeleton.turn(f"lowerarm01.{letter}", forearm @ about(axis, 0.3 * twist))
    skeleton.turn(f"lowerarm02.{letter}", forearm @ about(axis, 0.75 * twist))
    wrist = forearm @ about(axis, twist) @ about(cross(axis, normal), math.radians(hand.bend))
    skeleton.turn(f"wrist.{letter}", wrist)
    for finger in range(2, 6):
        _bend_finger(skeleton, wrist, normal, letter, finger, hand)
    _bend_thumb(skeleton, wrist, normal, letter, hand)


def _twist_to(axis: Array, normal: Array, facing: Array) -> float:
    """Radians about the forearm's axis that bring the palm nearest to facing that way."""
    flat = [vector - (vector @ axis) * axis for vector in (normal, facing)]
    sine = float(cross(flat[0], flat[1]) @ axis)
    return math.atan2(sine, float(flat[0] @ flat[1]))


def _bend_finger(skeleton: Bones, wrist: Array, normal: Array, letter: str, finger: int, hand: Hand) -> None:
    """Bends are measured from the straight finger, so what the finger is bent at rest is taken off."""
    joints = [skeleton.joint(f"finger{finger}-{k}.{letter}") for k in (1, 2, 3)]
    along = unit(joints[1] - joints[0])
    hinge = unit(cross(along, normal))
    knuckle = unit(joints[0] - skeleton.joint(f"wrist.{letter}"))
    rest = [_angle(knuckle, along, hinge), _angle(along, joints[2] - joints[1], hinge)]
    rest.append(0.6 * rest[1])
    curl = hand.curl[finger - 1]
    apart = (3.3 - finger) * math.radians(7.0) * (hand.spread - 0.45) * (1 - curl)
    side = -1.0 if letter == "R" else 1.0
    turned = wrist @ about(normal, -side * apart)
    for k, (full, already) in enumerate(zip(_BEND, rest, strict=True)):
        turned = turned @ about(hinge, math.radians(full) * curl - 0.85 * already)
        skeleton.turn(f"finger{finger}-{k + 1}.{letter}", turned)


def _bend_thumb(skeleton: Bones, wrist: Array, normal: Array, letter: str, hand: Hand) -> None:
    joints = [skeleton.joint(f"finger1-{k}.{letter}") for k in (1, 2, 3)]
    index, little = (skeleton.joint(f"finger{k}-1.{letter}") for k in (2, 5))
    across = unit(unit(little - index) + 0.55 * normal)
    hinge = unit(cross(unit(joints[2] - joints[0]), across))
    curl, turned = hand.curl[0], wrist
    for k, full in enumerate(_THUMB):
        open_ = _OPEN_THUMB if k == 0 else -6.0
        turned = turned @ about(hinge, math.radians(open_ + (full - open_) * curl))
        skeleton.turn(f"finger1-{k + 1}.{letter}", turned)


def _angle(start: Array, end: Array, hinge: Array) -> float:
    """Radians about the hinge from one direction to the other."""
    start, end = unit(start), unit(end)
    return math.atan2(float(cross(start, end) @ hinge), float(start @ end))
