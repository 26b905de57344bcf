"""What stands in front of a person: it grows until it hides the share of them that is wanted."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .bystanders import person_in_front
from .draws import Draws
from .focus import blurred
from .foliage import bush, grass, hanging_leaves
from .foreground import (
    bag,
    ball,
    board,
    car,
    carton,
    chair,
    counter,
    curtain,
    fence,
    frame,
    post,
    railing,
    sofa,
    wall,
)
from .light import Light, to_image
from .sheet import Occluder, Sheet

OCCLUDERS = {
    counter: 1.5, wall: 0.8, post: 0.9, board: 0.9, carton: 1.0, ball: 0.5, sofa: 0.7, chair: 0.9,
    curtain: 0.5, car: 0.7, fence: 0.6, railing: 0.6, frame: 0.4, bag: 0.8, bush: 1.1, hanging_leaves: 0.7,
    grass: 0.5,
}  # fmt: skip
"""How often each comes."""

_JOINTS = (0.4, 0.5, 0.8, 1, 1, 0.8, 1, 1, 1, 1.3, 1.2, 1, 1.3, 1.2, 0.1, 0.1, 0.1, 0.1)
_TWO = 0.15
_PEOPLE, _MOST_BY_PEOPLE = 0.15, 0.7
_NONE = -1e6


class Front(NamedTuple):
    """coverage (1, S, S) 0..1, at least 0.5 where it hides; picture (3, S, S) 0..1; is_person."""

    coverage: Tensor
    image: Tensor
    is_person: bool


def place(seed: int, share: float | None, amodal: Tensor, joints: Tensor, light: Light) -> Front:
    """A thing or a person in front of the person.

    Args:
        seed: of the picture.
        share: 0..0.9 that is hidden; None draws it between 0.08 and 0.6.
        amodal: (1, S, S), the whole person.
        joints: (18, 3), pixels.
        light: that falls on both.
    """
    draws = Draws(seed, "occluder")
    drawn = draws.uniform(0.08, 0.6)
    share = drawn if share is None else share
    other = None
    if draws.chance(_PEOPLE) and 0 < share <= _MOST_BY_PEOPLE and amodal.any():
        other = person_in_front(seed, share, amodal[0], light)
    thing = _sample(draws, joints, light, amodal.shape[-1]) if other is None else other
    return Front(*grown(thing, share, amodal[0]), other is not None)


def grown(thing: Occluder, share: float, amodal: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage (1, S, S) and picture (3, S, S) of a thing grown until it hides that share of a mask (S,
    S).
    """
    size = amodal.shape[-1]
    extent = reach_for(thing.reach, share, amodal)
    coverage = ((extent - thing.reach) * size / max(thing.soft, 1.0) + 0.5).clamp(0, 1)
    image = to_image(thing.paint(max(extent, 0.0)))
    if thing.soft > 1.5:
        image = blurred(image[None], 0.8 * thing.soft)[0]
    return coverage[None], image


def reach_for(reach: Tensor, share: float, amodal: Tensor) -> float:
    """The extent at which as many of the mask's pixels have a reach below it as the share says."""
    inside = reach[amodal > 0.5]
    count = round(share * len(inside))
    if count <= 0 or not len(inside):
        return _NONE
    ordered = inside.sort().values
    last = ordered[count - 1]
    following = ordered[count] if count < len(inside) else last + 1e-2
    return float((last + following) / 2)


def _sample(draws: Draws, joints: Tensor, light: Light, size: int) -> Occluder:
    """One of the kinds, now and then two."""
    first = _one(draws, joints, light, size)
    if not draws.chance(_TWO):
        return first
    second = _one(draws, joints, light, size)
    later = second.reach + draws.uniform(-0.05, 0.15)
    nearer = (later < first.reach)[None]

    def paint(extent: float) -> Tensor:
        return torch.where(nearer, second.paint(extent), first.paint(extent))

    return Occluder(torch.minimum(first.reach, later), paint, first.soft)


def _one(draws: Draws, joints: Tensor, light: Light, size: int) -> Occluder:
    occluder = list(OCCLUDERS)[draws.choice(list(OCCLUDERS.values()))]
    joint = joints[draws.choice(_JOINTS), :2] / size
    hands = (joints[4, :2] + joints[7, :2]) / (2 * size)
    sheet = Sheet(size, light, draws.uniform(0, 16), _on_image(joint), _on_image(hands))
    return occluder(draws, sheet)


def _on_image(point: Tensor) -> tuple[float, float]:
    x, y = point.clamp(0.05, 0.95).tolist()
    return x, y
