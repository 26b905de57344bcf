"""Parks, fields and shores: grass, paths, hedges, trees, hills far away."""

from __future__ import annotations

from .draws import Draws
from .finishes import GREENS, Finish, shade_of, wood
from .place import Place, Point, open_walls
from .raycast import Things
from .streets import outdoors, tree


def sample_park(draws: Draws, eye: Point) -> Place:
    """Open ground with growth behind."""
    things = Things()
    ground = _ground(draws)
    for _ in range(draws.pick((2, 4, 6, 9))):
        far = -draws.uniform(2.5, 26)
        tree(draws, things, draws.uniform(-0.8, 0.8) * (4 - far), far, draws.uniform(3, 9))
    if draws.chance(0.55):
        _hedge(draws, things, -draws.uniform(2.0, 9.0))
    if draws.chance(0.5):
        _path(draws, things)
    if draws.chance(0.35):
        _fence(draws, things, -draws.uniform(1.5, 6.0))
    if draws.chance(0.6):
        _hills(draws, things)
    for _ in range(draws.pick((0, 1, 3))):
        _bush(draws, things, draws.uniform(-5, 5), -draws.uniform(0.8, 6))
    return outdoors(draws, Place(things, open_walls(ground), [], (0, 0, 0), ground.colour, False))


def _ground(draws: Draws) -> Finish:
    which = draws.choice([0.65, 0.15, 0.2])
    if which == 0:
        return Finish(shade_of(draws, draws.pick(GREENS), 0.1), grain=0.55, grain_size=(0.05, 0.08))
    sand = which == 1
    colour = shade_of(draws, (0.76, 0.68, 0.52) if sand else (0.5, 0.44, 0.36))
    return Finish(colour, grain=0.15 if sand else 0.35, grain_size=(0.12, 0.1))


def _hedge(draws: Draws, things: Things, z: float) -> None:
    tall = draws.uniform(0.8, 2.6)
    leaf = Finish(shade_of(draws, draws.pick(GREENS), 0.1), grain=0.9, grain_size=(0.07, 0.07))
    things.begin()
    x = -draws.uniform(8, 12)
    while x < 10:
        wide = draws.uniform(0.7, 1.5)
        things.ball((x, tall * 0.45, z), (wide, tall * draws.uniform(0.5, 0.62), 0.6), leaf, ragged=0.5)
        x += wide * 1.1


def _bush(draws: Draws, things: Things, x: float, z: float) -> None:
    size = draws.uniform(0.3, 0.8)
    leaf = Finish(shade_of(draws, draws.pick(GREENS), 0.1), grain=0.9, grain_size=(0.06, 0.06))
    things.begin()
    things.ball((x, size * 0.7, z), (size, size * 0.9, size), leaf, ragged=0.7)


def _path(draws: Draws, things: Things) -> None:
    finish = Finish(
        shade_of(draws, draws.pick(((0.6, 0.55, 0.47), (0.45, 0.45, 0.45), (0.7, 0.62, 0.5)))),
        grain=0.25,
        grain_size=(0.12, 0.12),
    )
    half, x = draws.uniform(0.7, 1.8), draws.uniform(-1, 1)
    things.begin()
    if draws.chance(0.6):
        things.box((x - half, 0, -80), (x + half, 0.005, 30), finish)
    else:
        z = draws.uniform(-4, 0)
        things.box((-80, 0, z - half), (80, 0.005, z + half), finish)


def _fence(draws: Draws, things: Things, z: float) -> None:
    finish = draws.pick((wood(draws), Finish((0.9, 0.9, 0.88)), Finish((0.15, 0.2, 0.16))))
    things.begin()
    for y in (0.45, 0.9):
        things.box((-12, y, z), (12, y + 0.08, z + 0.03), finish)
    for post in range(-5, 6):
        things.box((post * 2.2 - 0.05, 0, z - 0.04), (post * 2.2 + 0.05, 1.1, z + 0.06), finish)


def _hills(draws: Draws, things: Things) -> None:
    things.begin()
    for _ in range(3):
        tall = draws.uniform(4, 16)
        colour = shade_of(draws, draws.pick(((0.3, 0.38, 0.28), (0.35, 0.42, 0.45), (0.25, 0.32, 0.2))))
        finish = Finish(colour, grain=0.3, grain_size=(1.5, 0.8))
        things.ball(
            (draws.uniform(-60, 60), 0, -draws.uniform(70, 110)),
            (draws.uniform(25, 60), tall, 15),
            finish,
            ragged=0.1,
        )
