"""Rooms: walls, floor, windows, doors, pictures and furniture, all of them boxes and a few balls."""

from __future__ import annotations

from .draws import Draws
from .finishes import WALLS, Finish, cloth, darker, lively, masonry, plaster, shade_of, tiles, wood
from .furniture import METAL, WHITE, furnish
from .place import Lamp, Place, Point, warm
from .raycast import Things


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
    furnish(draws, things, left, right, back)
    lamps += _ceiling_lamps(draws, things, left, right, back, high)
    dim = draws.uniform(0.25, 0.5)
    tint = warm(draws.uniform(3300, 6500))
    above = (dim * tint[0], dim * tint[1], dim * tint[2])
    below = tuple(0.55 * dim * (0.4 + 0.6 * c) for c in floor.colour)
    walls = [(left, False, wall), (right, False, wall), (0.0, False, floor), (high, False, ceiling),
             (back, False, accent), (front, False, wall)]  # fmt: skip
    return Place(things, walls, lamps, above, (below[0], below[1], below[2]), True)


def _floor(draws: Draws) -> Finish:
    which = draws.choice([0.45, 0.25, 0.2, 0.1])
    if which == 0:
        return wood(draws, draws.uniform(0.08, 0.22))
    if which == 1:
        return tiles(draws)
    colour = lively(draws, 0.4) if which == 2 else (0.55, 0.54, 0.52)
    return Finish(
        shade_of(draws, colour),
        grain=0.15 if which == 2 else 0.1,
        grain_size=(0.03, 0.03) if which == 2 else (0.6, 0.6),
    )


def _papered(draws: Draws) -> Finish:
    """Wallpaper in stripes or with a small pattern."""
    colour = shade_of(draws, draws.pick(WALLS))
    second = shade_of(draws, (colour[0] * 0.85, colour[1] * 0.85, colour[2] * 0.84), 0.1)
    pitch, tall = draws.uniform(0.06, 0.3), draws.chance(0.7)
    return Finish(colour, second, (pitch, 1e3 if tall else pitch), (0.5, 0 if tall else 0.4), 0.5, grain=0.03)


def _panelled(draws: Draws) -> Finish:
    base = shade_of(draws, draws.pick(WALLS))
    dark = darker(base, 0.7)
    return Finish(base, dark, (draws.uniform(0.1, 0.9), 1e3), (0.02, 0), varied=0.06, grain=0.05)


def _panels(draws: Draws) -> Finish:
    return Finish((0.88, 0.88, 0.86), (0.6, 0.6, 0.6), (0.6, 0.6), (0.03, 0.03), grain=0.02)


def _skirting(draws: Draws, things: Things, left: float, right: float, back: float, front: float) -> None:
    if draws.chance(0.2):
        return
    tall, finish = draws.uniform(0.06, 0.16), draws.pick((WHITE, WHITE, wood(draws)))
    across = ((left, 0.0, back), (right, tall, back + 0.02))
    beside = (
        ((left, 0.0, back), (left + 0.02, tall, front)),
        ((right - 0.02, 0.0, back), (right, tall, front)),
    )
    for low, high in (across, *beside):
        things.begin()
        things.box(low, high, finish)


def _openings(
    draws: Draws, things: Things, left: float, right: float, back: float, high: float
) -> list[Lamp]:
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
    wide, low, top = (
        draws.uniform(0.4, 1.0),
        draws.pick((0.05, 0.8, 0.95)),
        min(high - 0.15, draws.uniform(1.9, 2.5)),
    )
    things.begin()
    things.box((x - wide, low, back), (x + wide, top, back + 0.03), _pane(draws))
    things.box((x - wide - 0.08, low - 0.07, back), (x + wide + 0.08, low, back + 0.12), WHITE)
    if draws.chance(0.45):
        drape = cloth(draws)
        drape = Finish(
            drape.colour,
            darker(drape.colour, 0.7),
            (draws.uniform(0.07, 0.14), 1e3),
            (0.5, 0),
            grain=0.05,
        )
        for side in (-1, 1):
            edge = x + side * (wide + 0.1)
            things.box((edge - 0.2, 0.05, back + 0.05), (edge + 0.2, top + 0.15, back + 0.14), drape)


def _side_window(draws: Draws, things: Things, side: float, z: float, high: float) -> None:
    wide, low, top = (
        draws.uniform(0.5, 1.1),
        draws.pick((0.1, 0.85)),
        min(high - 0.15, draws.uniform(1.9, 2.5)),
    )
    inward = 0.03 if side < 0 else -0.03
    things.begin()
    things.box(
        (min(side, side + inward), low, z - wide), (max(side, side + inward), top, z + wide), _pane(draws)
    )


def _door(draws: Draws, things: Things, x: float, back: float) -> None:
    leaf = draws.pick((WHITE, wood(draws), Finish(lively(draws, 0.5), grain=0.03)))
    edge = darker(leaf.colour, 0.6)
    panelled = Finish(
        leaf.colour,
        edge,
        (0.42, draws.pick((0.5, 0.68, 2.0))),
        (0.06, 0.04),
        grain=leaf.grain,
        grain_size=(0.02, 0.4),
    )
    things.begin()
    things.box((x - 0.5, 0, back), (x + 0.5, 2.12, back + 0.03), WHITE)
    things.box((x - 0.42, 0, back), (x + 0.42, 2.04, back + 0.05), panelled)
    things.box((x + 0.32, 0.98, back), (x + 0.38, 1.04, back + 0.1), METAL)


def _ceiling_lamps(
    draws: Draws, things: Things, left: float, right: float, back: float, high: float
) -> list[Lamp]:
    """Panels of an office, a hanging lamp or nothing; always some light at least."""
    colour = warm(draws.uniform(2700, 5500))
    strength = draws.uniform(0.3, 0.9)
    which = draws.choice([0.4, 0.35, 0.25])
    x, z = draws.uniform(left * 0.6, right * 0.6), draws.uniform(back * 0.7, 1.2)
    if which == 0:
        panel = Finish((1.0, 0.98, 0.95), glow=2.5)
        for row in range(3):
            things.begin()
            things.box(
                (x - 0.6, high - 0.03, z - row * 1.8 - 0.15), (x + 0.6, high, z - row * 1.8 + 0.15), panel
            )
    elif which == 1:
        drop = draws.uniform(0.4, 0.9)
        things.begin()
        things.ball(
            (x, high - drop, z),
            (0.22, 0.16, 0.22),
            Finish(draws.pick(((1, 0.93, 0.8), (0.9, 0.7, 0.4), (0.95, 0.95, 0.95))), glow=1.6),
        )
        things.box((x - 0.01, high - drop, z - 0.01), (x + 0.01, high, z + 0.01), METAL)
    return [Lamp((x, high - 0.1, z + 0.6), colour, strength, 0.5)]
