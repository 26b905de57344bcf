"""What people sit on: stools, boxes, benches, stones, under them and out of the way of their legs."""

from __future__ import annotations

import math

from .draws import Draws
from .finishes import STONES, Finish, cloth, lively, shade_of, wood
from .raycast import Things
from .skeleton import Figure

Seat = tuple[float, float, float]
"""x, z and height in metres of a place to sit."""

_HIPS, _KNEES = (8, 11), (9, 12)
_BELOW_HIPS = 0.085
_METAL = Finish((0.3, 0.3, 0.31))


def seat_of(figure: Figure) -> Seat | None:
    """Where somebody who sits needs a seat, in the world; None for others."""
    if figure.pose.name != "sitting":
        return None
    hips, knees = (figure.joints[list(pair)].mean(0).tolist() for pair in (_HIPS, _KNEES))
    ahead = (knees[0] - hips[0], knees[2] - hips[2])
    length = math.hypot(*ahead) or 1.0
    return (hips[0] - 0.06 * ahead[0] / length, hips[2] - 0.06 * ahead[1] / length, hips[1] - _BELOW_HIPS)


def place_seat(draws: Draws, things: Things, seat: Seat, indoors: bool) -> None:
    """A seat of that height at that place.

    Args:
        draws: of the scene.
        things: what it is added to.
        seat: its x, its z and its height, metres.
        indoors: whether it is one for a room.
    """
    x, z, tall = seat
    if tall < 0.12:
        return
    things.begin()
    if indoors:
        draws.pick((_stool, _stool, _pouf, _block))(draws, things, x, z, tall)
    else:
        draws.pick((_bench, _bench, _block, _stone))(draws, things, x, z, tall)


def _stool(draws: Draws, things: Things, x: float, z: float, tall: float) -> None:
    finish = wood(draws) if draws.chance(0.6) else Finish(lively(draws))
    leg, half = finish if draws.chance(0.5) else _METAL, draws.uniform(0.16, 0.21)
    things.box((x - half, tall - 0.045, z - half), (x + half, tall, z + half), finish)
    for side in (x - half, x + half - 0.03):
        for end in (z - half, z + half - 0.03):
            things.box((side, 0, end), (side + 0.03, tall - 0.04, end + 0.03), leg)


def _pouf(draws: Draws, things: Things, x: float, z: float, tall: float) -> None:
    half = draws.uniform(0.2, 0.27)
    things.ball((x, tall * 0.5, z), (half, tall * 0.56, half), cloth(draws))


def _block(draws: Draws, things: Things, x: float, z: float, tall: float) -> None:
    half = draws.uniform(0.17, 0.22)
    finish = draws.pick(
        (wood(draws, 0.1), Finish(lively(draws), grain=0.06), Finish((0.55, 0.54, 0.52), grain=0.15))
    )
    things.box((x - half, 0, z - half), (x + half, tall, z + half), finish)


def _bench(draws: Draws, things: Things, x: float, z: float, tall: float) -> None:
    start, long = draws.uniform(0.3, 1.2), draws.uniform(1.4, 2.0)
    slats = Finish(
        shade_of(draws, (0.45, 0.32, 0.22)),
        (0.1, 0.08, 0.06),
        (100.0, 0.1),
        (0, 0.12),
        grain=0.2,
        grain_size=(0.4, 0.03),
    )
    things.box((x - start, tall - 0.05, z - 0.2), (x - start + long, tall, z + 0.18), slats)
    for side in (x - start + 0.1, x - start + long - 0.16):
        things.box((side, 0, z - 0.18), (side + 0.06, tall - 0.05, z + 0.16), _METAL)


def _stone(draws: Draws, things: Things, x: float, z: float, tall: float) -> None:
    finish = Finish(shade_of(draws, draws.pick(STONES)), grain=0.5, grain_size=(0.15, 0.15))
    things.ball((x, tall * 0.45, z), (draws.uniform(0.24, 0.34), tall * 0.58, 0.24), finish, ragged=0.12)
