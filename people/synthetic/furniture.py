"""Furniture of rooms: shelves, cupboards, tables, chairs, beds, kitchens, plants, pictures."""

from __future__ import annotations

from collections.abc import Callable

from .draws import Draws
from .finishes import GREENS, Finish, cloth, darker, lively, shade_of, tiles, wood
from .raycast import Things

WHITE = Finish((0.9, 0.89, 0.87), grain=0.02)
METAL = Finish((0.45, 0.46, 0.48), grain=0.04)


def furnish(draws: Draws, things: Things, left: float, right: float, back: float) -> None:
    """Pieces along the walls, some in the middle of the room, pictures above them.

    Args:
        draws: of the room.
        things: what it is added to.
        left: x of the wall, metres.
        right: x of the other wall.
        back: z of the wall behind.
    """
    pieces: tuple[Callable[[Draws, Things, float, float], None], ...] = (
        _shelf, _cupboard, _sofa, _table, _plant, _floor_lamp, _desk, _counter, _shelf, _bed, _chair,
    )  # fmt: skip
    x = left + draws.uniform(0.1, 0.9)
    while x < right - 0.5:
        if draws.chance(0.75):
            draws.pick(pieces)(draws, things, x + 0.45, back)
        x += draws.uniform(0.9, 1.8)
    for side in (left + 0.5, right - 0.5):
        if draws.chance(0.6):
            draws.pick(pieces)(draws, things, side, draws.uniform(back + 0.8, 0.5))
    for _ in range(draws.pick((0, 1, 1, 2))):
        piece = draws.pick((_chair, _table, _sofa, _plant, _chair))
        piece(draws, things, draws.uniform(left + 0.5, right - 0.5), draws.uniform(back + 0.4, 0.8))
    for _ in range(draws.pick((0, 1, 2, 3))):
        _image(draws, things, draws.uniform(left + 0.4, right - 0.4), back)
    if draws.chance(0.35):
        x, z, half = draws.uniform(-0.6, 0.6), draws.uniform(-0.8, 0.4), draws.uniform(0.8, 1.4)
        things.begin()
        things.box((x - half, 0.0, z - half * 0.7), (x + half, 0.012, z + half * 0.7), cloth(draws))


def _image(draws: Draws, things: Things, x: float, back: float) -> None:
    wide, tall, y = draws.uniform(0.15, 0.55), draws.uniform(0.15, 0.45), draws.uniform(1.3, 1.9)
    frame = draws.pick((wood(draws), Finish((0.1, 0.1, 0.1)), WHITE))
    inside = Finish(
        lively(draws),
        lively(draws),
        (draws.uniform(0.1, 0.6), draws.uniform(0.1, 0.6)),
        (0.3, 0.3),
        varied=0.5,
        tinted=draws.uniform(0, 0.6),
        grain=0.5,
        grain_size=(0.12, 0.12),
    )
    things.begin()
    things.box((x - wide, y - tall, back), (x + wide, y + tall, back + 0.03), frame)
    things.box(
        (x - wide + 0.03, y - tall + 0.03, back), (x + wide - 0.03, y + tall - 0.03, back + 0.035), inside
    )


def _shelf(draws: Draws, things: Things, x: float, back: float) -> None:
    half, tall, deep = draws.uniform(0.35, 0.7), draws.uniform(0.8, 2.2), 0.32
    books = Finish(
        (0.35, 0.26, 0.2), (0.1, 0.08, 0.07), (draws.uniform(0.03, 0.06), draws.uniform(0.28, 0.4)),
        (0.1, draws.uniform(0.15, 0.4)), 0.3, draws.uniform(0.6, 1.2), draws.uniform(0.2, 0.65), 0.2,
        (0.05, 0.6),
    )  # fmt: skip
    board = wood(draws) if draws.chance(0.7) else WHITE
    things.begin()
    things.box((x - half, 0, back), (x + half, tall, back + deep - 0.03), books)
    for edge in (x - half - 0.02, x + half - 0.02):
        things.box((edge, 0, back), (edge + 0.04, tall, back + deep), board)
    things.box((x - half, tall - 0.03, back), (x + half, tall + 0.02, back + deep), board)


def _cupboard(draws: Draws, things: Things, x: float, back: float) -> None:
    half, tall, deep = draws.uniform(0.4, 0.9), draws.pick((0.75, 0.9, 1.2, 2.0)), 0.45
    base = draws.pick((wood(draws), WHITE, Finish(lively(draws, 0.5), grain=0.04)))
    front = Finish(
        base.colour,
        darker(base.colour, 0.4),
        (draws.pick((0.4, 0.5, 0.8)), draws.pick((0.25, 0.4, 1.0))),
        (0.03, 0.04),
        varied=0.05,
        grain=base.grain,
        grain_size=base.grain_size,
    )
    things.begin()
    things.box((x - half, 0.06, back), (x + half, tall, back + deep), front)
    for _ in range(draws.pick((0, 1, 2, 3))):
        _on_top(draws, things, x + draws.uniform(-half * 0.8, half * 0.8), tall, back + 0.22)


def _on_top(draws: Draws, things: Things, x: float, y: float, z: float) -> None:
    """A vase, a box or a bowl on a surface."""
    wide, tall = draws.uniform(0.04, 0.16), draws.uniform(0.05, 0.3)
    finish = Finish(
        lively(draws),
        lively(draws),
        varied=0.3,
        pitch=(0.1, 0.1),
        line=(draws.uniform(0, 0.4), 0),
        grain=0.05,
    )
    if draws.chance(0.5):
        things.ball((x, y + tall / 2, z), (wide, tall / 2, wide), finish)
    else:
        things.box((x - wide, y, z - wide * 0.7), (x + wide, y + tall, z + wide * 0.7), finish)


def _counter(draws: Draws, things: Things, x: float, back: float) -> None:
    """A kitchen: cupboards below and above, things on the worktop."""
    half = draws.uniform(0.8, 1.5)
    front = draws.pick((WHITE, wood(draws), Finish(lively(draws, 0.4))))
    doors = Finish(
        front.colour,
        darker(front.colour, 0.45),
        (0.5, 0.8),
        (0.02, 0.03),
        grain=front.grain,
        grain_size=front.grain_size,
    )
    things.begin()
    things.box((x - half, 0.08, back), (x + half, 0.86, back + 0.6), doors)
    things.box(
        (x - half, 0.86, back), (x + half, 0.9, back + 0.63), draws.pick((wood(draws), tiles(draws), METAL))
    )
    if draws.chance(0.7):
        things.box((x - half, 1.45, back), (x + half, 2.15, back + 0.35), doors)
    for _ in range(draws.pick((1, 2, 4))):
        _on_top(draws, things, x + draws.uniform(-half, half) * 0.8, 0.9, back + 0.3)


def _sofa(draws: Draws, things: Things, x: float, back: float) -> None:
    half, finish = draws.uniform(0.7, 1.1), cloth(draws)
    things.begin()
    things.box((x - half, 0.08, back + 0.05), (x + half, 0.44, back + 0.9), finish)
    things.box((x - half, 0.3, back + 0.02), (x + half, 0.85, back + 0.28), finish)
    for side in (x - half, x + half - 0.18):
        things.box((side, 0.08, back + 0.05), (side + 0.18, 0.62, back + 0.9), finish)
    for _ in range(draws.pick((0, 1, 2, 3))):
        place = x + draws.uniform(-half, half) * 0.6
        things.ball((place, 0.6, back + 0.36), (0.24, 0.2, 0.1), Finish(lively(draws), grain=0.1))


def _table(draws: Draws, things: Things, x: float, back: float) -> None:
    half, deep, tall = draws.uniform(0.4, 0.9), draws.uniform(0.3, 0.5), draws.pick((0.45, 0.73, 0.75, 1.0))
    finish, z = wood(draws) if draws.chance(0.7) else WHITE, back + 0.55
    leg = finish if draws.chance(0.6) else METAL
    things.begin()
    things.box((x - half, tall - 0.04, z - deep), (x + half, tall, z + deep), finish)
    for side in (x - half + 0.04, x + half - 0.1):
        for end in (z - deep + 0.04, z + deep - 0.1):
            things.box((side, 0, end), (side + 0.06, tall, end + 0.06), leg)
    for _ in range(draws.pick((0, 1, 2, 3))):
        _on_top(draws, things, x + draws.uniform(-half, half) * 0.8, tall, z)


def _desk(draws: Draws, things: Things, x: float, back: float) -> None:
    """A table with a screen on it."""
    _table(draws, things, x, back)
    dark = Finish((0.07, 0.07, 0.08))
    screen = Finish(
        lively(draws), lively(draws), (0.2, 0.04), (0.2, 0.4), varied=0.4, glow=draws.pick((0.0, 0.5, 0.8))
    )
    things.begin()
    things.box((x - 0.3, 0.83, back + 0.4), (x + 0.3, 1.22, back + 0.43), dark)
    things.box((x - 0.28, 0.85, back + 0.43), (x + 0.28, 1.2, back + 0.435), screen)


def _chair(draws: Draws, things: Things, x: float, back: float) -> None:
    finish = draws.pick((wood(draws), Finish(lively(draws)), Finish((0.1, 0.1, 0.11))))
    z, away = back + 0.4, draws.pick((-0.2, 0.2))
    things.begin()
    things.box((x - 0.22, 0.42, z - 0.22), (x + 0.22, 0.47, z + 0.22), finish)
    things.box((x - 0.22, 0.55, z + away - 0.02), (x + 0.22, 0.95, z + away + 0.02), finish)
    for side in (x - 0.22, x + 0.18):
        for end in (z - 0.22, z + 0.18):
            things.box(
                (side, 0, end), (side + 0.04, 0.44 if end != z + away - 0.02 else 0.9, end + 0.04), finish
            )


def _bed(draws: Draws, things: Things, x: float, back: float) -> None:
    half = draws.uniform(0.5, 0.9)
    things.begin()
    things.box((x - half, 0.2, back + 0.1), (x + half, 0.52, back + 2.0), cloth(draws))
    things.box((x - half, 0.0, back), (x + half, 1.1, back + 0.08), wood(draws))
    for side in (-0.5, 0.5):
        things.ball((x + side * half, 0.6, back + 0.35), (0.3, 0.12, 0.2), WHITE)


def _plant(draws: Draws, things: Things, x: float, back: float) -> None:
    tall, z = draws.uniform(0.4, 1.2), back + 0.4
    leaf = Finish(shade_of(draws, draws.pick(GREENS)), grain=0.9, grain_size=(0.05, 0.05))
    things.begin()
    things.box(
        (x - 0.15, 0, z - 0.15),
        (x + 0.15, 0.32, z + 0.15),
        Finish(draws.pick(((0.6, 0.35, 0.25), (0.85, 0.85, 0.83), (0.2, 0.2, 0.2)))),
    )
    for _ in range(3):
        place = (x + draws.normal(0, 0.12), 0.3 + tall * draws.uniform(0.4, 1.0), z + draws.normal(0, 0.1))
        things.ball(place, (draws.uniform(0.15, 0.3), tall * 0.35, 0.2), leaf, ragged=0.9)


def _floor_lamp(draws: Draws, things: Things, x: float, back: float) -> None:
    z, lit = back + 0.35, draws.pick((0.0, 1.5, 2.5))
    things.begin()
    things.box((x - 0.015, 0, z - 0.015), (x + 0.015, 1.5, z + 0.015), METAL)
    things.box((x - 0.18, 1.35, z - 0.18), (x + 0.18, 1.65, z + 0.18), Finish((0.95, 0.85, 0.7), glow=lit))
