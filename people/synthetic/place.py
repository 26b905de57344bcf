"""What a room, a street or a park hands to the one that draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .finishes import Colour, Finish
from .raycast import Things

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Lamp:
    """A light: where it is (metres; the sun is far away), its linear colour, its strength where the person
    stands, and how wide it is: 0 casts sharp shadows, 1 hardly any.
    """

    position: Point
    colour: Colour
    strength: float
    wide: float = 0.3


@dataclass
class Place:
    """The person stands at its origin on the ground y = 0. Walls: (place on the axis, is sky, finish) in
    the order x low, x high, ground, ceiling, z low, z high. above, below: linear colours of the light from
    all over.
    """

    things: Things
    walls: list[tuple[float, bool, Finish]]
    lamps: list[Lamp]
    above: Colour
    below: Colour
    indoors: bool
    zenith: Colour = (0.3, 0.5, 0.8)
    horizon: Colour = (0.75, 0.82, 0.9)
    clouds: float = 0.4
    haze: float = 0.0
    turn: float = 0.0
    name: str = field(default="")


def open_walls(ground: Finish, reach: float = 250.0) -> list[tuple[float, bool, Finish]]:
    """Ground below and sky all around."""
    air = Finish((0.5, 0.6, 0.7))
    return [(-reach, True, air), (reach, True, air), (0.0, False, ground), (reach, True, air),
            (-reach, True, air), (reach, True, air)]  # fmt: skip


def warm(kelvin: float) -> Colour:
    """Linear colour of light of a colour temperature 2500..9000 K, green about 1."""
    x = math.log(kelvin / 5800)
    return (
        math.exp(-0.62 * x) if x > 0 else 1 - 0.42 * x,
        1 + min(x, 0) * 0.28,
        math.exp(0.5 * x) if x > 0 else math.exp(1.35 * x),
    )
