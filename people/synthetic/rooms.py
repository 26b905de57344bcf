"""Rooms: walls, floor, windows, doors, pictures and furniture, all of them boxes and a few balls."""

from __future__ import annotations

from collections.abc import Callable

from .draws import Draws
from .finishes import GREENS, WALLS, Finish, cloth, lively, masonry, plaster, shade_of, tiles, wood
from .place import Lamp, Place, Point, warm
from .raycast import Things

_WHITE = Finish((0.9, 0.89, 0.87), grain=0.02)
_METAL = Finish((0.45, 0.46, 0.48), grain=0.04)


def sample_room(draws: Draws, eye: Point) -> Place:
    """A room that the camera at `eye` is in."""
    left = min(-draws.uniform(1.6, 4.0), eye[0] - 0.5)
    right = max(draws.uniform(1.6, 4.0), eye[0] + 0.5)
    back, front = -draws.uniform(1.0, 5.5), max(eye[2] + 0.6, 2.0)
    high = max(draws.uniform(2.4, 3.4), eye[1] + 0.4)
    wall = draws.pick((plaster, plaster, plaster, _papered, masonry, _panelled))(draws)
    accent = plaster(draws) if draws.chance(0.4) else wall
    floor = _floor(draws)
    ceiling = _panels(draws) if draws.chance(0.3) else Finish((0.9, 0.9, 0.88), grain=0.01)
    things = Things()
    _skirting(draws, things, left, right, back, front)
    lamps = _openings(draws, things, left, right, back, high)
    _furnish(draws, things, left, right, back, high)
    lamps += _ceiling_lamps(draws, things, left, right, back, high)
    dim = draws.uniform(0.25, 0.5)
    tint = warm(draws.uniform(3300, 6500))
    above = (dim * tint[0], dim * tint[1], dim * tint[2])
    below = tuple(0.55 * dim * (0.4 + 0.6 * c) for c in floor.colour)
    walls = [(left, False, wall), (right, False, wall), (0.0, False, floor), (high, False, ceiling),
             (back, False, accent), (front, False, wall)]  # fmt: skip
    return Place(things, walls, lamps, above, (below[0], below[1], below[2]), True)


def _floor(draws: Draws) -> Finish:
    kind = draws.choice([0.45, 0.25, 0.2, 0.1])
    if kind == 0:
        return wood(draws, draws.uniform(0.08, 0.22))
    if kind == 1:
        return tiles(draws)
    colour = lively(draws, 0.4) if kind == 2 else (0.55, 0.54, 0.52)
    return Finish(shade_of(draws, colour), grain=0.15 if kind == 2 else 0.1, grain_size=(0.03, 0.03) if kind == 2 else (0.6, 0.6))


def _papered(draws: Draws) -> Finish:
    """Wallpaper in stripes or with a small pattern."""
    colour = shade_of(draws, draws.pick(WALLS))
    second = shade_of(draws, (colour[0] * 0.85, colour[1] * 0.85, colour[2] * 0.84), 0.1)
    pitch, tall = draws.uniform(0.06, 0.3), draws.chance(0.7)
    return Finish(colour, second, (pitch, 1e3 if tall else pitch), (0.5, 0 if tall else 0.4), 0.5, grain=0.03)


def _panelled(draws: Draws) -> Finish:
    base = shade_of(draws, draws.pick(WALLS))
    dark = (base[0] * 0.7, base[1] * 0.7, base[2] * 0.7)
    return Finish(base, dark, (draws.uniform(0.1, 0.9), 1e3), (0.02, 0), varied=0.06, grain=0.05)


def _panels(draws: Draws) -> Finish:
    return Finish((0.88, 0.88, 0.86), (0.6, 0.6, 0.6), (0.6, 0.6), (0.03, 0.03), grain=0.02)


def _skirting(draws: Draws, things: Things, left: float, right: float, back: float, front: float) -> None:
    if draws.chance(0.2):
        return
    tall, finish = draws.uniform(0.06, 0.16), draws.pick((_WHITE, _WHITE, wood(draws)))
    for low, high in (((left, 0.0, back), (right, tall, back + 0.02)), ((left, 0.0, back), (left + 0.02, tall, front)),
                      ((right - 0.02, 0.0, back), (right, tall, front))):  # fmt: skip
        things.begin()
        things.box(low, high, finish)


def _openings(draws: Draws, things: Things, left: float, right: float, back: float, high: float) -> list[Lamp]:
    """Windows and doors in the back and side walls; daylight comes through the windows."""
    lamps = []
    day = draws.uniform(0.5, 1.3)
    colour = warm(draws.uniform(5200, 8000))
    if draws.chance(0.55):
        for _ in range(draws.pick((1, 1, 2, 3))):
            x = draws.uniform(left + 0.7, right - 0.7)
            _window(draws, things, x, back, high)
        lamps.append(Lamp(((left + right) / 2, 1.6, back), colour, day * 0.35, 0.8))
    for side in (left, right):
        if draws.chance(0.5):
            z = draws.uniform(back + 0.8, 1.0)
            _side_window(draws, things, side, z, high)
            lamps.append(Lamp((side, 1.7, z), colour, day, 0.6))
    if draws.chance(0.4):
        _door(draws, things, draws.uniform(left + 0.6, right - 0.6), back)
    return lamps


def _pane(draws: Draws) -> Finish:
    """A bright window with glazing bars, or blinds."""
    glow = draws.uniform(0.8, 2.2)
    frame = draws.pick(((0.92, 0.92, 0.9), (0.3, 0.28, 0.26), (0.5, 0.36, 0.24)))
    if draws.chance(0.2):
        return Finish((0.85, 0.84, 0.8), (0.5, 0.5, 0.48), (1e3, 0.05), (0, 0.35), glow=glow * 0.4)
    view = draws.pick(((0.75, 0.85, 0.95), (0.85, 0.88, 0.9), (0.55, 0.65, 0.5)))
    pitch = (draws.pick((0.45, 0.6, 0.9)), draws.pick((0.5, 0.8, 1.4)))
    return Finish(view, frame, pitch, (0.1, 0.08), varied=0.3, grain=0.35, grain_size=(0.35, 0.35), glow=glow)


def _window(draws: Draws, things: Things, x: float, back: float, high: float) -> None:
    wide, low, top = draws.uniform(0.4, 1.0), draws.pick((0.05, 0.8, 0.95)), min(high - 0.15, draws.uniform(1.9, 2.5))
    things.begin()
    things.box((x - wide, low, back), (x + wide, top, back + 0.03), _pane(draws))
    things.box((x - wide - 0.08, low - 0.07, back), (x + wide + 0.08, low, back + 0.12), _WHITE)
    if draws.chance(0.45):
        drape = cloth(draws)
        drape = Finish(drape.colour, tuple(0.7 * c for c in drape.colour), (draws.uniform(0.07, 0.14), 1e3), (0.5, 0), grain=0.05)  # type: ignore[arg-type]
        for side in (-1, 1):
            edge = x + side * (wide + 0.1)
            things.box((edge - 0.2, 0.05, back + 0.05), (edge + 0.2, top + 0.15, back + 0.14), drape)


def _side_window(draws: Draws, things: Things, side: float, z: float, high: float) -> None:
    wide, low, top = draws.uniform(0.5, 1.1), draws.pick((0.1, 0.85)), min(high - 0.15, draws.uniform(1.9, 2.5))
    inward = 0.03 if side < 0 else -0.03
    things.begin()
    things.box((min(side, side + inward), low, z - wide), (max(side, side + inward), top, z + wide), _pane(draws))


def _door(draws: Draws, things: Things, x: float, back: float) -> None:
    leaf = draws.pick((_WHITE, wood(draws), Finish(lively(draws, 0.5), grain=0.03)))
    edge = tuple(0.6 * c for c in leaf.colour)
    panelled = Finish(leaf.colour, edge, (0.42, draws.pick((0.5, 0.68, 2.0))), (0.06, 0.04), grain=leaf.grain, grain_size=(0.02, 0.4))  # type: ignore[arg-type]
    things.begin()
    things.box((x - 0.5, 0, back), (x + 0.5, 2.12, back + 0.03), _WHITE)
    things.box((x - 0.42, 0, back), (x + 0.42, 2.04, back + 0.05), panelled)
    things.box((x + 0.32, 0.98, back), (x + 0.38, 1.04, back + 0.1), _METAL)


def _ceiling_lamps(draws: Draws, things: Things, left: float, right: float, back: float, high: float) -> list[Lamp]:
    """Panels of an office, a hanging lamp or nothing; always some light at least."""
    colour = warm(draws.uniform(2700, 5500))
    strength = draws.uniform(0.3, 0.9)
    kind = draws.choice([0.4, 0.35, 0.25])
    x, z = draws.uniform(left * 0.6, right * 0.6), draws.uniform(back * 0.7, 1.2)
    if kind == 0:
        panel = Finish((1.0, 0.98, 0.95), glow=2.5)
        for row in range(3):
            things.begin()
            things.box((x - 0.6, high - 0.03, z - row * 1.8 - 0.15), (x + 0.6, high, z - row * 1.8 + 0.15), panel)
    elif kind == 1:
        drop = draws.uniform(0.4, 0.9)
        things.begin()
        things.ball((x, high - drop, z), (0.22, 0.16, 0.22), Finish(draws.pick(((1, 0.93, 0.8), (0.9, 0.7, 0.4), (0.95, 0.95, 0.95))), glow=1.6))
        things.box((x - 0.01, high - drop, z - 0.01), (x + 0.01, high, z + 0.01), _METAL)
    return [Lamp((x, high - 0.1, z + 0.6), colour, strength, 0.5)]


# -- furniture ------------------------------------------------------------------------------------------------


def _furnish(draws: Draws, things: Things, left: float, right: float, back: float, high: float) -> None:
    """Pieces along the walls, some in the middle of the room, pictures above them."""
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
        draws.pick((_chair, _table, _sofa, _plant, _chair))(
            draws, things, draws.uniform(left + 0.5, right - 0.5), draws.uniform(back + 0.4, 0.8))  # fmt: skip
    for _ in range(draws.pick((0, 1, 2, 3))):
        _picture(draws, things, draws.uniform(left + 0.4, right - 0.4), back)
    if draws.chance(0.35):
        x, z, half = draws.uniform(-0.6, 0.6), draws.uniform(-0.8, 0.4), draws.uniform(0.8, 1.4)
        things.begin()
        things.box((x - half, 0.0, z - half * 0.7), (x + half, 0.012, z + half * 0.7), cloth(draws))


def _picture(draws: Draws, things: Things, x: float, back: float) -> None:
    wide, tall, y = draws.uniform(0.15, 0.55), draws.uniform(0.15, 0.45), draws.uniform(1.3, 1.9)
    frame = draws.pick((wood(draws), Finish((0.1, 0.1, 0.1)), _WHITE))
    inside = Finish(lively(draws), lively(draws), (draws.uniform(0.1, 0.6), draws.uniform(0.1, 0.6)), (0.3, 0.3), varied=0.5, tinted=draws.uniform(0, 0.6), grain=0.5, grain_size=(0.12, 0.12))
    things.begin()
    things.box((x - wide, y - tall, back), (x + wide, y + tall, back + 0.03), frame)
    things.box((x - wide + 0.03, y - tall + 0.03, back), (x + wide - 0.03, y + tall - 0.03, back + 0.035), inside)


def _shelf(draws: Draws, things: Things, x: float, back: float) -> None:
    half, tall, deep = draws.uniform(0.35, 0.7), draws.uniform(0.8, 2.2), 0.32
    books = Finish((0.6, 0.5, 0.42), (0.12, 0.1, 0.09), (draws.uniform(0.03, 0.07), draws.uniform(0.28, 0.4)), (0.12, 0.22), 0.3, 0.9, draws.uniform(0.2, 0.7), 0.1)
    board = wood(draws) if draws.chance(0.7) else _WHITE
    things.begin()
    things.box((x - half, 0, back), (x + half, tall, back + deep - 0.03), books)
    for edge in (x - half - 0.02, x + half - 0.02):
        things.box((edge, 0, back), (edge + 0.04, tall, back + deep), board)
    things.box((x - half, tall - 0.03, back), (x + half, tall + 0.02, back + deep), board)


def _cupboard(draws: Draws, things: Things, x: float, back: float) -> None:
    half, tall, deep = draws.uniform(0.4, 0.9), draws.pick((0.75, 0.9, 1.2, 2.0)), 0.45
    base = draws.pick((wood(draws), _WHITE, Finish(lively(draws, 0.5), grain=0.04)))
    front = Finish(base.colour, tuple(0.4 * c for c in base.colour), (draws.pick((0.4, 0.5, 0.8)), draws.pick((0.25, 0.4, 1.0))), (0.03, 0.04), varied=0.05, grain=base.grain, grain_size=base.grain_size)  # type: ignore[arg-type]
    things.begin()
    things.box((x - half, 0.06, back), (x + half, tall, back + deep), front)
    for _ in range(draws.pick((0, 1, 2, 3))):
        _on_top(draws, things, x + draws.uniform(-half * 0.8, half * 0.8), tall, back + 0.22)


def _on_top(draws: Draws, things: Things, x: float, y: float, z: float) -> None:
    """A vase, a box or a bowl on a surface."""
    wide, tall = draws.uniform(0.04, 0.16), draws.uniform(0.05, 0.3)
    finish = Finish(lively(draws), lively(draws), varied=0.3, pitch=(0.1, 0.1), line=(draws.uniform(0, 0.4), 0), grain=0.05)
    if draws.chance(0.5):
        things.ball((x, y + tall / 2, z), (wide, tall / 2, wide), finish)
    else:
        things.box((x - wide, y, z - wide * 0.7), (x + wide, y + tall, z + wide * 0.7), finish)


def _counter(draws: Draws, things: Things, x: float, back: float) -> None:
    """A kitchen: cupboards below and above, things on the worktop."""
    half = draws.uniform(0.8, 1.5)
    front = draws.pick((_WHITE, wood(draws), Finish(lively(draws, 0.4))))
    doors = Finish(front.colour, tuple(0.45 * c for c in front.colour), (0.5, 0.8), (0.02, 0.03), grain=front.grain, grain_size=front.grain_size)  # type: ignore[arg-type]
    things.begin()
    things.box((x - half, 0.08, back), (x + half, 0.86, back + 0.6), doors)
    things.box((x - half, 0.86, back), (x + half, 0.9, back + 0.63), draws.pick((wood(draws), tiles(draws), _METAL)))
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
    finish, z = wood(draws) if draws.chance(0.7) else _WHITE, back + 0.55
    leg = finish if draws.chance(0.6) else _METAL
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
    screen = Finish(lively(draws), lively(draws), (0.2, 0.04), (0.2, 0.4), varied=0.4, glow=draws.pick((0.0, 0.5, 0.8)))
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
            things.box((side, 0, end), (side + 0.04, 0.44 if end != z + away - 0.02 else 0.9, end + 0.04), finish)


def _bed(draws: Draws, things: Things, x: float, back: float) -> None:
    half = draws.uniform(0.5, 0.9)
    things.begin()
    things.box((x - half, 0.2, back + 0.1), (x + half, 0.52, back + 2.0), cloth(draws))
    things.box((x - half, 0.0, back), (x + half, 1.1, back + 0.08), wood(draws))
    for side in (-0.5, 0.5):
        things.ball((x + side * half, 0.6, back + 0.35), (0.3, 0.12, 0.2), _WHITE)


def _plant(draws: Draws, things: Things, x: float, back: float) -> None:
    tall, z = draws.uniform(0.4, 1.2), back + 0.4
    leaf = Finish(shade_of(draws, draws.pick(GREENS)), grain=0.9, grain_size=(0.05, 0.05))
    things.begin()
    things.box((x - 0.15, 0, z - 0.15), (x + 0.15, 0.32, z + 0.15), Finish(draws.pick(((0.6, 0.35, 0.25), (0.85, 0.85, 0.83), (0.2, 0.2, 0.2)))))
    for _ in range(3):
        place = (x + draws.normal(0, 0.12), 0.3 + tall * draws.uniform(0.4, 1.0), z + draws.normal(0, 0.1))
        things.ball(place, (draws.uniform(0.15, 0.3), tall * 0.35, 0.2), leaf, ragged=0.9)


def _floor_lamp(draws: Draws, things: Things, x: float, back: float) -> None:
    z, lit = back + 0.35, draws.pick((0.0, 1.5, 2.5))
    things.begin()
    things.box((x - 0.015, 0, z - 0.015), (x + 0.015, 1.5, z + 0.015), _METAL)
    things.box((x - 0.18, 1.35, z - 0.18), (x + 0.18, 1.65, z + 0.18), Finish((0.95, 0.85, 0.7), glow=lit))
