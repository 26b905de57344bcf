"""Things in front of a person: furniture, walls, posts, things held, fences, cars."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .draws import Draws
from .finishes import Finish, cloth, darker, lively, masonry, plaster, shade_of, tiles, wood
from .sheet import Occluder, Sheet, cylinder

_METAL = Finish((0.5, 0.51, 0.53), grain=0.05)


def _soft(draws: Draws, sheet: Sheet) -> float:
    """Now and then out of focus."""
    return sheet.size * draws.uniform(0.012, 0.045) if draws.chance(0.3) else draws.uniform(1.0, 1.6)


def _solid(draws: Draws) -> Finish:
    """Something furniture or boxes are made of."""
    which = draws.choice([0.4, 0.3, 0.3])
    plain = Finish(lively(draws, 0.5), grain=0.05)
    return (
        wood(draws)
        if which == 0
        else plain
        if which == 1
        else Finish((draws.uniform(0.25, 0.9),) * 3, grain=0.05)
    )


def counter(draws: Draws, sheet: Sheet) -> Occluder:
    """A table, counter or low wall across the picture, with things standing on it."""
    along, below = sheet.turned(draws.normal(0, 0.05), (0.5, 1.0))
    top, front = draws.uniform(0.01, 0.1), draws.choice([0.55, 0.25, 0.2])
    panel = (_drawers(draws), masonry(draws), tiles(draws))[front]
    worktop = _solid(draws)
    skyline = torch.zeros_like(along)
    colour = torch.zeros(3, sheet.size, sheet.size, device=along.device)
    for _ in range(draws.pick((0, 0, 1, 2, 3))):
        middle, half, tall = draws.uniform(-0.5, 0.5), draws.uniform(0.015, 0.1), draws.uniform(0.03, 0.2)
        across = (along - middle) / half
        inside = across.abs() < 1
        round_top = draws.chance(0.5)
        shape = tall * ((1 - across.clamp(-1, 1) ** 8) if round_top else 1.0) * inside
        bent = cylinder(across) if draws.chance(0.6) else (torch.zeros_like(across), torch.ones_like(across))
        own = sheet.finish(_solid(draws), along, below) * sheet.lit((bent[0], 0.1, bent[1]))
        colour = torch.where((shape > skyline)[None], own, colour)
        skyline = torch.maximum(skyline, shape)

    def paint(extent: float) -> Tensor:
        depth = below + extent
        flat = sheet.finish(worktop, along, depth * 3) * sheet.lit((0.0, 0.97, 0.25)) * 0.9
        upright = sheet.finish(panel, along, depth) * sheet.lit((0.0, 0.0, 1.0))
        upright = upright * (0.55 + 0.45 * ((depth - top) / 0.05).clamp(0, 1))
        return torch.where((depth < 0)[None], colour, torch.where((depth < top)[None], flat, upright))

    return Occluder(-below - skyline, paint, _soft(draws, sheet))


def _drawers(draws: Draws) -> Finish:
    base = _solid(draws)
    dark = darker(base.colour, 0.4)
    pitch = (draws.pick((0.3, 0.5, 0.9, 1e3)), draws.pick((0.2, 0.4, 1e3)))
    return Finish(
        base.colour, dark, pitch, (0.02, 0.03), varied=0.05, grain=base.grain, grain_size=base.grain_size
    )


def wall(draws: Draws, sheet: Sheet) -> Occluder:
    """The end of a wall or a door frame at one side."""
    side = draws.pick((-1.0, 1.0))
    along, across = sheet.turned(draws.normal(0, 0.02), (0.5, 0.5))
    reach = 0.5 - side * along
    material = draws.pick((plaster, masonry, wood, tiles))(draws)
    edge, jamb = draws.uniform(0.0, 0.08), _solid(draws)

    def paint(extent: float) -> Tensor:
        inner = extent - reach
        face = sheet.finish(material, inner, across) * sheet.lit((0.0, 0.0, 1.0))
        rim = sheet.finish(jamb, inner, across) * sheet.lit((-side * 0.8, 0.0, 0.6))
        return torch.where((inner < edge)[None], rim, face)

    return Occluder(reach, paint, _soft(draws, sheet))


def curtain(draws: Draws, sheet: Sheet) -> Occluder:
    """Cloth in folds at one side."""
    side, folds = draws.pick((-1.0, 1.0)), draws.uniform(8, 22)
    hang = 0.02 * torch.sin(sheet.y * draws.uniform(2, 5))
    reach = 0.5 - side * (sheet.x - 0.5) + hang
    fabric = cloth(draws)
    phase = sheet.x * folds * 6.28 + 1.5 * torch.sin(sheet.y * 2 + 4 * sheet.x)
    normal = (0.7 * torch.cos(phase), torch.zeros_like(phase), (1 - 0.49 * torch.cos(phase) ** 2).sqrt())
    image = sheet.finish(fabric, sheet.x, sheet.y) * sheet.lit(normal) * (0.75 + 0.25 * torch.sin(phase))
    return Occluder(reach, lambda extent: image, _soft(draws, sheet))


def post(draws: Draws, sheet: Sheet) -> Occluder:
    """A pole, a pillar or a trunk."""
    trunk = draws.chance(0.4)
    across, along = sheet.turned(draws.normal(0, 0.12), sheet.spot)
    rough = 0.02 * sheet.noise(along * 6, along * 0) if trunk else 0.0
    reach = (across + rough).abs()
    bark = Finish(shade_of(draws, (0.36, 0.29, 0.22), 0.1), grain=0.7, grain_size=(0.02, 0.12))
    material = (
        bark
        if trunk
        else draws.pick((_METAL, plaster(draws), wood(draws), Finish(lively(draws)), masonry(draws)))
    )
    square = not trunk and draws.chance(0.4)

    def paint(extent: float) -> Tensor:
        nx, nz = cylinder(across / max(extent, 1e-3))
        light = sheet.lit((0.0, 0.0, 1.0)) if square else sheet.lit((nx, 0.0, nz))
        return sheet.finish(material, across, along) * light

    return Occluder(reach, paint, _soft(draws, sheet))


def board(draws: Draws, sheet: Sheet) -> Occluder:
    """A sign, a poster, a tablet or a sheet of paper with something on it."""
    about = sheet.hands if draws.chance(0.5) else sheet.spot
    along, down = sheet.turned(
        draws.normal(0, 0.15), (about[0] + draws.normal(0, 0.03), about[1] + draws.normal(0, 0.03))
    )
    aspect = draws.uniform(0.6, 1.8)
    reach = torch.maximum(along.abs() * aspect, down.abs())
    paper = draws.pick(((0.92, 0.92, 0.9), (0.85, 0.8, 0.7), lively(draws), (0.08, 0.08, 0.09)))
    ink = draws.pick(((0.08, 0.08, 0.1), (0.7, 0.1, 0.1), (0.1, 0.2, 0.5), (0.95, 0.95, 0.95)))
    lines = Finish(
        paper,
        ink,
        (draws.uniform(0.05, 0.25), draws.uniform(0.04, 0.16)),
        (draws.uniform(0, 0.5), draws.uniform(0.2, 0.5)),
        0.5,
        grain=0.04,
    )
    image = Finish(lively(draws), lively(draws), (0.3, 0.2), (0.1, 0.1), 0, 0.5, 0.5, 0.5, (0.1, 0.1))
    border, inside = Finish(paper, grain=0.03), draws.pick((lines, lines, image))
    rim = draws.uniform(0.02, 0.2)
    tilted = (draws.normal(0, 0.15), draws.normal(0.05, 0.15), 0.95)

    def paint(extent: float) -> Tensor:
        margin = (reach > extent * (1 - rim))[None]
        return torch.where(
            margin, sheet.finish(border, along, down), sheet.finish(inside, along, down)
        ) * sheet.lit(tilted)

    return Occluder(reach, paint, _soft(draws, sheet))


def carton(draws: Draws, sheet: Sheet) -> Occluder:
    """A box in front of the body: its front and one side or its top are seen."""
    about = sheet.hands if draws.chance(0.6) else sheet.spot
    along, down = sheet.turned(draws.normal(0, 0.1), about)
    aspect, turn = draws.uniform(0.6, 1.5), draws.uniform(-0.35, 0.35)
    reach = torch.maximum(along.abs() * aspect, down.abs())
    card = shade_of(draws, (0.66, 0.5, 0.34), 0.06)
    tape = draws.uniform(0.03, 0.08)
    material = draws.pick(
        (
            Finish(card, grain=0.06),
            Finish(card, grain=0.06),
            wood(draws, 0.12),
            Finish(lively(draws), grain=0.05),
        )
    )
    strip, top = Finish((0.75, 0.66, 0.48)), draws.uniform(0.0, 0.35)

    def paint(extent: float) -> Tensor:
        lid = down < -extent * (1 - top)
        beside = (along * math.copysign(1, turn) > extent / aspect * (1 - 1.2 * abs(turn))) & ~lid
        face = sheet.finish(material, along, down)
        face = torch.where((along.abs() < tape * extent)[None], sheet.finish(strip, along, down), face)
        light = torch.where(lid[None], sheet.lit((0.0, 0.9, 0.4)), sheet.lit((-turn, 0.0, 0.9)))
        return face * torch.where(beside[None], sheet.lit((math.copysign(0.85, turn), 0.0, 0.5)), light)

    return Occluder(reach, paint, _soft(draws, sheet))


def bag(draws: Draws, sheet: Sheet) -> Occluder:
    """A bag, a suitcase or a rucksack before the body."""
    about = (sheet.hands[0], sheet.hands[1] + 0.08) if draws.chance(0.6) else sheet.spot
    along, down = sheet.turned(draws.normal(0, 0.12), about)
    aspect, power = draws.uniform(0.7, 1.3), draws.pick((3.0, 4.0, 6.0))
    reach = ((along.abs() * aspect) ** power + down.abs() ** power + 1e-9) ** (1 / power)
    leather, seam = _solid(draws), draws.uniform(0.04, 0.1)

    def paint(extent: float) -> Tensor:
        scale = max(extent, 1e-3)
        nx, ny = (along * aspect / scale).clamp(-1, 1) ** 3 * 0.7, -((down / scale).clamp(-1, 1) ** 3) * 0.7
        nz = (1 - nx * nx - ny * ny).clamp_min(0.05).sqrt()
        colour = sheet.finish(leather, along, down) * sheet.lit((nx, ny, nz)) + 0.08 * sheet.gloss(
            (nx, ny, nz), 12
        )
        stitched = ((reach / scale - (1 - seam)).abs() < 0.015) | ((down / scale + 0.45).abs() < 0.012)
        return colour * (1 - 0.55 * stitched)[None]

    return Occluder(reach, paint, _soft(draws, sheet))


def ball(draws: Draws, sheet: Sheet) -> Occluder:
    """A ball, a balloon, a vase or an umbrella's round."""
    along, down = sheet.turned(draws.normal(0, 0.3), sheet.spot)
    tall = draws.uniform(0.7, 1.3)
    reach = (along**2 + (down * tall) ** 2 + 1e-9).sqrt()
    sectors, shiny = draws.pick((0, 0, 6, 8, 10)), draws.uniform(0.0, 0.5)
    first, second = (torch.tensor(lively(draws), device=along.device)[:, None, None] ** 2 for _ in range(2))
    angle = torch.atan2(down + 0.05, along - 0.03)
    mixed = (torch.sin(angle * sectors / 2) * 20).sigmoid() if sectors else torch.zeros_like(angle)

    def paint(extent: float) -> Tensor:
        scale = max(extent, 1e-3)
        nx, ny = (along / scale).clamp(-1, 1), (-down * tall / scale).clamp(-1, 1)
        nz = (1 - nx * nx - ny * ny).clamp_min(0.0).sqrt()
        return torch.lerp(first, second, mixed) * sheet.lit((nx, ny, nz)) + shiny * sheet.gloss(
            (nx, ny, nz), 40
        )

    return Occluder(reach, paint, _soft(draws, sheet))


def sofa(draws: Draws, sheet: Sheet) -> Occluder:
    """The back of a sofa or an armchair, seen from behind or beside."""
    middle, half = sheet.spot[0] + draws.normal(0, 0.15), draws.uniform(0.2, 0.6)
    across = (sheet.x - middle) / half
    drop = 0.12 * (across.abs() ** 6).clamp_max(9) + draws.normal(0, 0.05) * across
    reach = 1 - sheet.y + drop
    fabric, cushions = cloth(draws), draws.pick((1, 2, 3))

    def paint(extent: float) -> Tensor:
        depth = extent - reach
        rim = (1 - depth / 0.05).clamp(0, 1)
        seam = torch.cos(across * cushions * math.pi).abs().clamp_min(0.02)
        bulge = torch.sin(across * cushions * math.pi) * 0.35
        colour = sheet.finish(fabric, sheet.x, sheet.y) * sheet.lit(
            (bulge, 0.85 * rim, (1 - 0.7 * rim**2).sqrt())
        )
        return colour * (0.75 + 0.25 * (seam / 0.15).clamp(0, 1)) * (1 - 0.25 * (depth / 0.5).clamp(0, 1))

    return Occluder(reach, paint, _soft(draws, sheet))


def chair(draws: Draws, sheet: Sheet) -> Occluder:
    """A chair seen from behind: a back with slats, what is between them seen through."""
    about = (sheet.spot[0] + draws.normal(0, 0.08), 1.0)
    half, slats = draws.uniform(0.12, 0.26), draws.pick((3, 4, 6))
    along, down = sheet.turned(draws.normal(0, 0.04), about)
    beyond = (along.abs() - half).clamp_min(0)
    place = (along / half * slats / 2 + slats / 2) % 1 - 0.5
    gap = (place.abs() - draws.uniform(0.2, 0.32)).clamp_min(0)
    material = _solid(draws)

    rail = draws.uniform(0.03, 0.07)
    across = _rungs(down, draws.uniform(0.12, 0.3), rail)
    reach = -down + 6 * beyond + _see_through(torch.where(across, gap * 0, gap) * half, sheet)

    def paint(extent: float) -> Tensor:
        nx, nz = cylinder(place / 0.4)
        light = torch.where(across[None], sheet.lit((0.0, 0.2, 0.95)), sheet.lit((nx * 0.7, 0.0, nz)))
        return sheet.finish(material, along, down) * light

    return Occluder(reach, paint, _soft(draws, sheet))


def railing(draws: Draws, sheet: Sheet) -> Occluder:
    """Upright bars with a rail; and rails across; where more must be hidden, the gaps close from below."""
    along, down = sheet.turned(draws.normal(0, 0.03), (0.5, 1.0))
    pitch, thick = draws.uniform(0.05, 0.14), draws.uniform(0.2, 0.42)
    place = torch.remainder(along / pitch + draws.uniform(), 1.0) - 0.5
    gap = (place.abs() - thick / 2).clamp_min(0) * pitch
    metal = draws.pick((_METAL, Finish((0.08, 0.08, 0.09)), Finish((0.88, 0.88, 0.86)), wood(draws)))
    rail, apart = draws.uniform(0.02, 0.05), draws.uniform(0.12, 0.5)
    across = _rungs(down, apart, rail)
    reach = -down + _see_through(torch.where(across, torch.zeros_like(gap), gap), sheet)

    def paint(extent: float) -> Tensor:
        nx, nz = cylinder(place / max(thick / 2, 0.1))
        ny = ((torch.remainder(-down, apart) / rail - 0.5) * 1.8).clamp(-0.9, 0.9)
        light = torch.where(
            across[None], sheet.lit((0.0, ny, (1 - ny * ny).sqrt())), sheet.lit((nx, 0.0, nz))
        )
        return sheet.finish(metal, along, down) * light

    return Occluder(reach, paint, _soft(draws, sheet))


def _rungs(down: Tensor, apart: float, rail: float) -> Tensor:
    """Where the bars across are."""
    return torch.remainder(-down, apart) < rail


def _see_through(gap: Tensor, sheet: Sheet) -> Tensor:
    """How much later than the bars the gaps between them close; gap (S, S): distance to the nearest bar."""
    return 0.6 * (gap * sheet.size * 0.8).clamp(0, 1) + gap


def fence(draws: Draws, sheet: Sheet) -> Occluder:
    """Boards side by side or one above the other, with slits."""
    upright = draws.chance(0.6)
    along, down = sheet.turned(draws.normal(0, 0.03), (0.5, 1.0))
    pitch, slit = draws.uniform(0.06, 0.16), draws.uniform(0.03, 0.3)
    position = (along if upright else down) / pitch
    place, number = torch.remainder(position, 1.0), position.floor()
    gap = (0.5 * slit - torch.minimum(place, 1 - place)).clamp_min(0) * pitch
    peak = 0.03 * (place - 0.5).abs() * draws.pick((0, 0, 1)) * (1.0 if upright else 0.0)
    material = wood(draws) if draws.chance(0.8) else Finish((0.86, 0.86, 0.84), grain=0.06)
    level = 1 + 0.22 * sheet.noise(number * 1.7, number * 0)

    def paint(extent: float) -> Tensor:
        u, v = (down, along + number) if upright else (along, down + number)
        edge = (torch.minimum(place, 1 - place) / 0.12 - slit).clamp(0.0, 1.0)
        return sheet.finish(material, u, v) * sheet.lit((0.0, 0.0, 1.0)) * level * (0.6 + 0.4 * edge)

    return Occluder(-down + _see_through(gap, sheet) + peak, paint, _soft(draws, sheet))


def frame(draws: Draws, sheet: Sheet) -> Occluder:
    """An opening that one looks through: a door, a window, a gap; all round the picture's border."""
    weights = [draws.uniform(0.3, 1.4) for _ in range(4)]
    sides = torch.stack(
        [sheet.x / weights[0], (1 - sheet.x) / weights[1], sheet.y / weights[2], (1 - sheet.y) / weights[3]]
    )
    power = draws.pick((4.0, 10.0))
    reach = ((sides + 0.01) ** -power).sum(0) ** (-1 / power)
    material, dim = _solid(draws), draws.uniform(0.15, 0.9)

    def paint(extent: float) -> Tensor:
        rim = ((extent - reach) / 0.03).clamp(0, 1)
        return sheet.finish(material, sheet.x, sheet.y) * sheet.lit((0.0, 0.0, 1.0)) * dim * (1.3 - 0.3 * rim)

    return Occluder(reach, paint, _soft(draws, sheet))


def car(draws: Draws, sheet: Sheet) -> Occluder:
    """The bonnet, windows and roof of a car that stands before the person."""
    facing, start = draws.pick((-1.0, 1.0)), draws.uniform(-0.5, 0.3)
    across = (sheet.x - 0.5) * facing - start
    bonnet = 0.04 * (across * 3).clamp(-1, 0)
    cabin = 0.25 * (1 - ((across - 0.5) / 0.55).abs().clamp(0, 1) ** 3.5)
    skyline = torch.where(across < -0.04, bonnet, cabin.clamp_min(0))
    reach = 1 - sheet.y - skyline
    body = (
        torch.tensor(
            lively(draws) if draws.chance(0.5) else (draws.uniform(0.2, 0.9),) * 3, device=reach.device
        )[:, None, None]
        ** 2
    )

    def paint(extent: float) -> Tensor:
        depth = extent - (1 - sheet.y)
        window = (depth + cabin > 0.035) & (depth < -0.01) & (((across * 2.3) % 1 - 0.5).abs() < 0.47)
        curve = (0.75 - depth * 3.0).clamp(-0.5, 0.95)
        normal = (torch.zeros_like(curve), curve, (1 - curve * curve).sqrt())
        painted = body * sheet.lit(normal) + 0.35 * sheet.gloss(normal, 30)
        painted = painted * (1 - 0.6 * ((depth - 0.12).abs() < 0.005))[None]
        sky = 0.05 + 0.5 * sheet.light.above[:, None, None] * (
            0.3 + 0.5 * sheet.noise(sheet.x * 4, sheet.y * 4).abs()
        )
        return torch.where(window[None], sky, painted)

    return Occluder(reach, paint, _soft(draws, sheet))
