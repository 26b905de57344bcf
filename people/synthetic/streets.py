"""Streets and squares: houses with windows, pavement and road, cars, lamps, trees along the kerb."""

from __future__ import annotations

import math

from .draws import Draws
from .finishes import BRICKS, GREENS, STONES, WALLS, Colour, Finish, lively, masonry, shade_of, tiles
from .place import Lamp, Place, Point, open_walls, warm
from .raycast import Things

_DARK = Finish((0.06, 0.06, 0.07))
_GLASS = Finish((0.12, 0.15, 0.18), grain=0.3)


def sample_street(draws: Draws, eye: Point) -> Place:
    """Houses behind the person, along a street or round a square."""
    things = Things()
    ground = _ground(draws)
    far = -draws.uniform(2.5, 14.0)
    _row_of_houses(draws, things, far)
    if draws.chance(0.5):
        _side_houses(draws, things, far)
    if far < -5:
        _road(draws, things, far)
    if draws.chance(0.6):
        for _ in range(draws.pick((1, 2, 3))):
            tree(draws, things, draws.uniform(-8, 8), draws.uniform(far + 0.8, -1.2), draws.uniform(3, 7))
    for _ in range(draws.pick((0, 1, 2, 3))):
        draws.pick((_lamp_post, _bollard, _bench, _bin, _sign))(
            draws, things, draws.uniform(-5, 5), draws.uniform(far + 0.6, -1.0)
        )
    return outdoors(draws, Place(things, open_walls(ground), [], (0, 0, 0), ground.colour, False))


def outdoors(draws: Draws, place: Place) -> Place:
    """Give a place its weather: sun with blue sky, thin cloud, overcast, evening."""
    which = draws.choice([0.4, 0.2, 0.28, 0.12])
    turn, height = (
        draws.uniform(-math.pi, math.pi),
        draws.uniform(0.5, 1.2) if which != 3 else draws.uniform(0.12, 0.35),
    )
    if draws.chance(0.6):
        turn = draws.uniform(-1.3, 1.3)  # more often from the camera's side
    sun = (
        300 * math.sin(turn) * math.cos(height),
        300 * math.sin(height),
        300 * math.cos(turn) * math.cos(height),
    )
    strength = (
        draws.uniform(0.8, 1.3),
        draws.uniform(0.4, 0.7),
        draws.uniform(0.05, 0.2),
        draws.uniform(0.5, 0.9),
    )[which]
    sky = (draws.uniform(0.3, 0.45), 0.45, draws.uniform(0.6, 0.8), draws.uniform(0.25, 0.36))[which]
    tint: Colour = ((0.8, 0.95, 1.2), (0.92, 0.98, 1.06), (0.97, 1.0, 1.03), (1.0, 0.94, 0.93))[which]
    place.zenith = ((0.25, 0.45, 0.78), (0.5, 0.62, 0.8), (0.78, 0.8, 0.83), (0.4, 0.45, 0.62))[which]
    place.horizon = ((0.72, 0.82, 0.92), (0.85, 0.88, 0.92), (0.88, 0.89, 0.9), (0.95, 0.75, 0.58))[which]
    place.clouds = draws.uniform(0, 0.7)
    place.haze = draws.uniform(0, 0.006) if which != 2 else draws.uniform(0.002, 0.025)
    place.above = (sky * tint[0], sky * tint[1], sky * tint[2])
    bounce = 0.3 * (sky + 0.6 * strength * math.sin(height))
    red, green, blue = (bounce * (0.3 + 0.7 * c) for c in place.below)
    place.below = (red, green, blue)
    colour = warm((5600, 5900, 6500, 3300)[which])
    place.lamps = [Lamp(sun, colour, strength, (0.08, 0.3, 0.9, 0.12)[which])]
    return place


def tree(draws: Draws, things: Things, x: float, z: float, tall: float) -> None:
    """A trunk and a crown of a few ragged balls; now and then in autumn.

    Args:
        draws: of the street.
        things: what it is added to.
        x: metres.
        z: metres.
        tall: metres.
    """
    green = draws.pick(GREENS) if draws.chance(0.85) else draws.pick(((0.6, 0.4, 0.12), (0.55, 0.25, 0.1)))
    leaf = Finish(shade_of(draws, green, 0.1), grain=1.0, grain_size=(0.14, 0.14))
    things.begin()
    thick = 0.03 * tall
    things.box(
        (x - thick, 0, z - thick),
        (x + thick, tall * 0.6, z + thick),
        Finish((0.25, 0.2, 0.16), grain=0.4, grain_size=(0.05, 0.4)),
    )
    for _ in range(4):
        place = (
            x + draws.normal(0, 0.14) * tall,
            tall * draws.uniform(0.55, 0.9),
            z + draws.normal(0, 0.1) * tall,
        )
        size = tall * draws.uniform(0.14, 0.26)
        things.ball(place, (size * 1.15, size, size), leaf, ragged=0.85)


def _ground(draws: Draws) -> Finish:
    which = draws.choice([0.4, 0.3, 0.3])
    if which == 0:
        return Finish(
            shade_of(draws, draws.pick(STONES)),
            (0.3, 0.3, 0.3),
            (draws.uniform(0.3, 0.9), draws.uniform(0.3, 0.9)),
            (0.02, 0.02),
            0.5,
            0.18,
            0,
            0.16,
            (0.3, 0.3),
        )
    if which == 1:
        return Finish(shade_of(draws, (0.36, 0.36, 0.37)), grain=0.22, grain_size=(0.08, 0.08))
    return Finish(
        shade_of(draws, draws.pick(STONES)),
        (0.25, 0.24, 0.22),
        (0.16, 0.11),
        (0.08, 0.1),
        0.5,
        0.35,
        0.04,
        0.15,
        (0.3, 0.3),
    )


def _facade(draws: Draws) -> tuple[Finish, Finish]:
    """A wall and its storeys of windows. The windows are cells, the wall between them their lines."""
    brick = draws.chance(0.35)
    wall = masonry(draws).colour if brick else shade_of(draws, draws.pick(WALLS + STONES + BRICKS))
    pitch, storey = draws.uniform(1.3, 3.2), draws.uniform(2.9, 3.6)
    glass = draws.pick(((0.16, 0.2, 0.24), (0.35, 0.42, 0.48), (0.1, 0.1, 0.1), (0.5, 0.55, 0.58)))
    windows = Finish(
        glass,
        wall,
        (pitch, storey),
        (draws.uniform(0.35, 0.6), draws.uniform(0.4, 0.55)),
        0,
        0.9,
        0.06,
        0.12,
        (1.5, 1.5),
    )
    shop = Finish(
        draws.pick(((0.2, 0.22, 0.25), (0.6, 0.55, 0.45), lively(draws, 0.3))),
        lively(draws, 0.35),
        (draws.uniform(1.2, 3), 2.6),
        (0.08, 0.2),
        0,
        0.8,
        0.15,
        0.2,
        (1.2, 0.6),
        draws.pick((0.0, 0.0, 0.4)),
    )
    return windows, shop


def _row_of_houses(draws: Draws, things: Things, far: float) -> None:
    x = draws.uniform(-16, -12)
    while x < 14:
        wide, tall = draws.uniform(4, 9), draws.uniform(5, 16)
        windows, shop = _facade(draws)
        front = far - draws.pick((0, 0, 0, draws.uniform(0, 3)))
        street_door = draws.chance(0.6)
        things.begin()
        things.box((x, 3.2 if street_door else 0.6, front - 9), (x + wide, tall, front), windows)
        if street_door:
            things.box((x, 0, front - 9), (x + wide, 3.0, front), shop)
            things.box(
                (x, 2.7, front),
                (x + wide, 3.3, front + draws.pick((0.1, 0.9))),
                Finish(lively(draws), (0.9, 0.9, 0.9), (0.5, 1e3), (draws.pick((0, 0, 0.5)), 0)),
            )
        else:
            things.box((x, 0, front - 9), (x + wide, 0.6, front + 0.05), tiles(draws))
            at = x + draws.uniform(0.6, wide - 1.6)
            things.box(
                (at, 0, front),
                (at + 1.0, 2.1, front + 0.06),
                Finish(lively(draws, 0.6), (0.9, 0.9, 0.88), (1e3, 0.7), (0, 0.04)),
            )
        x += wide + draws.pick((0, 0, 0, 2.5))


def _side_houses(draws: Draws, things: Things, far: float) -> None:
    """The side of a street that runs away from the camera."""
    side = draws.pick((-1, 1)) * draws.uniform(3.0, 7.0)
    z = far
    while z < 6:
        deep, tall = draws.uniform(4, 8), draws.uniform(4, 12)
        windows, shop = _facade(draws)
        low, high = (side - 8, side) if side < 0 else (side, side + 8)
        things.begin()
        things.box((low, 3, z), (high, tall, z + deep), windows)
        things.box((low, 0, z), (high, 3, z + deep), shop)
        z += deep


def _road(draws: Draws, things: Things, far: float) -> None:
    """A road across with a kerb, a broken line and parked cars."""
    near = draws.uniform(-3.5, -1.8)
    end = max(near - draws.uniform(4, 7), far + 1.0)
    asphalt = Finish(shade_of(draws, (0.3, 0.3, 0.31)), grain=0.18, grain_size=(0.1, 0.1))
    things.begin()
    things.box((-100, 0.0, end), (100, 0.006, near), asphalt)
    things.begin()
    things.box((-100, 0.0, near), (100, 0.1, near + 0.15), Finish((0.6, 0.59, 0.57)))
    if draws.chance(0.5):
        middle = (near + end) / 2
        things.begin()
        things.box(
            (-60, 0.006, middle - 0.07),
            (60, 0.008, middle + 0.07),
            Finish((0.85, 0.85, 0.82), (0.3, 0.3, 0.31), (4.0, 1e3), (0.5, 0)),
        )
    for _ in range(draws.pick((0, 1, 2, 3, 4))):
        _car(draws, things, draws.uniform(-9, 9), draws.pick((near - 1.0, end + 1.0)))


def _car(draws: Draws, things: Things, x: float, z: float) -> None:
    paint = Finish(
        draws.pick(
            (
                (0.85, 0.85, 0.85),
                (0.12, 0.12, 0.13),
                (0.5, 0.51, 0.53),
                (0.3, 0.31, 0.33),
                lively(draws),
                (0.6, 0.1, 0.1),
                (0.15, 0.2, 0.4),
            )
        ),
        grain=0.1,
    )
    long, tall = draws.uniform(1.9, 2.3), draws.uniform(1.4, 1.75)
    things.begin()
    things.ball((x, 0.58, z), (long, 0.36, 0.85), paint)
    things.box((x - long * 0.9, 0.3, z - 0.8), (x + long * 0.9, 0.72, z + 0.8), paint)
    things.ball((x + 0.1, 0.85, z), (long * 0.62, tall - 0.85, 0.72), _GLASS)
    things.ball((x + 0.1, 0.98, z), (long * 0.5, tall - 0.94, 0.66), paint)
    for place in (x - long * 0.6, x + long * 0.6):
        things.ball((place, 0.31, z + 0.72), (0.31, 0.31, 0.13), _DARK)
    things.box(
        (x - long * 0.97, 0.52, z + 0.35),
        (x - long * 0.9, 0.64, z + 0.75),
        Finish((0.95, 0.95, 0.9), glow=draws.pick((0.0, 0.6))),
    )


def _lamp_post(draws: Draws, things: Things, x: float, z: float) -> None:
    tall, metal = (
        draws.uniform(3, 6),
        Finish(draws.pick(((0.15, 0.16, 0.16), (0.5, 0.5, 0.5), (0.15, 0.25, 0.2)))),
    )
    things.begin()
    things.box((x - 0.05, 0, z - 0.05), (x + 0.05, tall, z + 0.05), metal)
    things.box((x - 0.1, 0, z - 0.1), (x + 0.1, 0.6, z + 0.1), metal)
    things.ball((x, tall, z), (0.22, 0.28, 0.22), Finish((0.95, 0.94, 0.88), glow=0.5))


def _bollard(draws: Draws, things: Things, x: float, z: float) -> None:
    metal = Finish(draws.pick(((0.15, 0.15, 0.15), (0.55, 0.55, 0.55), (0.6, 0.2, 0.15))))
    for step in range(4):
        things.begin()
        things.box((x + step * 1.4 - 0.06, 0, z - 0.06), (x + step * 1.4 + 0.06, 0.95, z + 0.06), metal)


def _bench(draws: Draws, things: Things, x: float, z: float) -> None:
    slats = Finish(
        shade_of(draws, (0.45, 0.3, 0.2)),
        (0.1, 0.08, 0.06),
        (1e3, 0.12),
        (0, 0.2),
        grain=0.2,
        grain_size=(0.4, 0.03),
    )
    things.begin()
    things.box((x - 0.8, 0.42, z - 0.2), (x + 0.8, 0.46, z + 0.25), slats)
    things.box((x - 0.8, 0.52, z - 0.25), (x + 0.8, 0.9, z - 0.2), slats)
    for side in (x - 0.7, x + 0.65):
        things.box((side, 0, z - 0.22), (side + 0.05, 0.44, z + 0.22), _DARK)


def _bin(draws: Draws, things: Things, x: float, z: float) -> None:
    finish = Finish(
        draws.pick(((0.2, 0.3, 0.2), (0.25, 0.25, 0.26), (0.5, 0.3, 0.1), (0.2, 0.3, 0.45))), grain=0.1
    )
    things.begin()
    things.box((x - 0.28, 0, z - 0.28), (x + 0.28, draws.uniform(0.8, 1.1), z + 0.28), finish)


def _sign(draws: Draws, things: Things, x: float, z: float) -> None:
    face = Finish(
        draws.pick(((0.8, 0.1, 0.1), (0.1, 0.25, 0.6), (0.9, 0.9, 0.9), (0.9, 0.75, 0.1))),
        (0.95, 0.95, 0.95),
        (0.25, 0.12),
        (0.2, 0.3),
    )
    things.begin()
    things.box((x - 0.03, 0, z - 0.03), (x + 0.03, 2.3, z + 0.03), Finish((0.5, 0.5, 0.5)))
    things.box((x - 0.3, 2.2, z), (x + 0.3, 2.8, z + 0.03), face)
