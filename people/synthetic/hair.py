"""Hair: shells over the scalp that begin with nothing at the hairline, hanging hair, tails and buns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .asset import BodyAsset, body_asset
from .haircuts import BALD, Hair
from .layers import Layer, vertex_normals
from .meshes import compact, cut, tube
from .skeleton import Figure
from .skin import hairline, spots

AROUND, SKULL_ROWS, HANGING_ROWS = 80, 18, 9
_MIDDLE = (0.0, 0.945, 0.035)


@dataclass(frozen=True)
class Strands:
    """How hair looks: its colour, curl and, for each vertex, strand (v,2): across and along, metres, and the
    direction (v,3) in the world.
    """

    hair: Hair
    strand: Tensor
    along: Tensor


@dataclass(frozen=True)
class Skull:
    """The mean head as a grid of SKULL_ROWS rows from the crown down and AROUND columns, from the front over
    the person's left: near (n,4) vertices of the body and their shares (n,4); place (n,3) on the mean head;
    out (n,3) unit; angle (n,) degrees from the front, -180..180; height (n,) degrees over the middle.
    """

    near: Tensor
    shares: Tensor
    place: Tensor
    out: Tensor
    angle: Tensor
    height: Tensor


@lru_cache(maxsize=4)
def skull(device: str) -> Skull:
    """Worked out once."""
    asset = body_asset(device)
    mean = asset.mean[asset.ranges["body"]]
    middle = mean.new_tensor(_MIDDLE)
    ear = (mean[:, 0].abs() > 0.0705) & (mean[:, 1] < 0.925) & (mean[:, 1] > 0.85) & (mean[:, 2] < 0.09)
    inner = (mean - middle).norm(dim=1) < 0.06
    usable = ((mean[:, 1] > 0.80) & ~ear & ~inner & (hairline(mean) > -0.06)).nonzero()[:, 0]
    around = torch.arange(AROUND, device=mean.device) * (360.0 / AROUND)
    rows = torch.linspace(89, -38, SKULL_ROWS, device=mean.device)
    height, angle = (x.flatten() for x in torch.meshgrid(rows, around, indexing="ij"))
    a, h = torch.deg2rad(angle), torch.deg2rad(height)
    out = torch.stack([h.cos() * a.sin(), h.sin(), h.cos() * a.cos()], 1)
    directions = mean[usable] - middle
    directions = directions / directions.norm(dim=1, keepdim=True)
    best = (out @ directions.T).topk(4, dim=1)
    shares = 1 / (1.0005 - best.values.clamp(-1, 1))
    shares = shares / shares.sum(1, keepdim=True)
    near = usable[best.indices]
    place = (mean[near] * shares[..., None]).sum(1)
    return Skull(near, shares, place, out, (angle + 180) % 360 - 180, height)


def make_hair(figure: Figure, hair: Hair) -> list[Layer]:
    """The layers of that hair on that head; none for a bald one."""
    if hair.cut == BALD:
        return []
    layers = [_shell(figure, hair)]
    if hair.style.tied:
        layers.append(_tied(figure, hair))
    return layers


def _shell(figure: Figure, hair: Hair) -> Layer:
    """Hair over the skull, and what hangs of it."""
    asset, known, style = figure.asset, skull(str(figure.rest.device)), hair.style
    base = (figure.rest[known.near] * known.shares[..., None]).sum(1)
    base = _smooth(base, SKULL_ROWS)
    inside = _inside(known, hair)
    ramp = ((inside + 0.004) / (0.02 if hair.style.curl else 0.04)).clamp(0, 1) ** 0.7
    thick = _thickness(known, hair) * ramp + 0.0015
    rest, moves = base + known.out * thick[:, None], _skull_moves(figure, known)
    strand = torch.stack([torch.deg2rad(known.angle) * 0.09, torch.deg2rad(90 - known.height) * 0.1], 1)
    rows = SKULL_ROWS
    if style.length is not None:
        rest, moves, inside, strand = _with_hanging(figure, hair, known, rest, moves, inside, strand)
        rows += HANGING_ROWS
    world = (moves[:, :9].view(-1, 3, 3) @ rest[..., None])[..., 0] + moves[:, 9:]
    along = torch.cat([world[AROUND:] - world[:-AROUND], world[-AROUND:] - world[-2 * AROUND : -AROUND]])
    faces = tube(rows, AROUND).flip(1).to(world.device)
    table = torch.cat([world, vertex_normals(world, faces), rest, strand, along], 1)
    table, _, faces, _ = cut(table, faces, inside)
    return _layer(table, faces, hair, asset)


def _layer(table: Tensor, faces: Tensor, hair: Hair, asset: BodyAsset, lift: float = 0.004) -> Layer:
    """A layer of hair from a table: place, normal, rest, strand, along."""
    table, faces, _ = compact(table, faces)
    world, normals, rest, strand, along = table.split([3, 3, 3, 2, 3], 1)
    part = torch.where(rest[:, 0] > 0, 24, 23)
    uv = torch.full_like(world[:, :2], 0.5)
    return Layer(
        "hair",
        world,
        faces,
        rest,
        uv,
        part,
        uv,
        Strands(hair, strand, along),
        two_sided=True,
        lift=lift,
        normals=normals,
    )


def _smooth(points: Tensor, rows: int) -> Tensor:
    grid = points.view(rows, AROUND, -1)
    around = (grid.roll(1, 1) + grid.roll(-1, 1) + 2 * grid) / 4
    padded = torch.cat([around[:1], around, around[-1:]])
    return ((padded[:-2] + padded[2:] + 2 * around) / 4).reshape(len(points), -1)


def _inside(known: Skull, hair: Hair) -> Tensor:
    """Metres (n,) inside the hair's edge."""
    style = hair.style
    inside = hairline(known.place, hair.receding)
    coarse, fine = spots(known.angle / 30 + hair.phase, known.angle * 0, 1.0)
    uneven = (0.6 * coarse + fine) * 0.004 * (0.5 + style.rough)
    inside = inside + uneven
    front = known.angle.abs()
    if style.fringe:
        fringe = torch.minimum(known.place[:, 1] - style.fringe, (62 - front) * 0.002)
        inside = torch.maximum(inside, fringe + 2 * uneven)
    if style.length is not None:
        inside = torch.maximum(inside, _curtain(known.angle, known.place[:, 1], hair) + 0.5 * uneven)
    return inside


def _curtain(angle: Tensor, y: Tensor, hair: Hair) -> Tensor:
    """Metres (n,) inside hair that parts over the forehead and falls beside the face."""
    opening = 61 * ((0.988 - y).clamp_min(0) / 0.085).clamp_max(1) ** 0.62
    aside = angle - hair.parting * 0.5 * (1 - opening / 61).clamp_min(0)
    return ((aside.abs() - opening) * 0.0016).minimum(y - 0.2)


def _thickness(known: Skull, hair: Hair) -> Tensor:
    """Metres (n,) of hair over the skull."""
    style = hair.style
    up = ((known.height - 5) / 60).clamp(0, 1)
    thick = style.side + (style.top - style.side) * up
    if not style.curl and style.length is None and not style.tied:
        lean = torch.cos(torch.deg2rad(known.angle - hair.parting))
        thick = thick * (1 + 0.25 * lean * up)
    if not style.curl and style.length is not None:
        gap = torch.exp(-(((known.angle - hair.parting * 0.6) / 9) ** 2)) * (known.height > 25)
        thick = thick * (1 - 0.45 * gap)
    coarse, fine = spots(known.angle / 60 + hair.phase, known.height / 60, 1.0)
    lumps = _smooth((0.55 * fine + 0.25 * coarse)[:, None], SKULL_ROWS)[:, 0]
    lumps = lumps * ((88 - known.height) / 40).clamp(0, 1)
    return thick * hair.volume * (1 + style.rough * lumps.clamp(-0.6, 0.7))


def _skull_moves(figure: Figure, known: Skull) -> Tensor:
    moves = figure.asset.skinning[known.near[:, 0]] @ torch.cat(
        [figure.bone_rotation.flatten(1), figure.bone_shift], 1
    )
    return _smooth(moves, SKULL_ROWS)


def _with_hanging(
    figure: Figure, hair: Hair, known: Skull, rest: Tensor, moves: Tensor, inside: Tensor, strand: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of hair that falls from the widest row of the skull; the skull's lower rows give way to it."""
    asset, style = figure.asset, hair.style
    keep = int((known.height.view(SKULL_ROWS, AROUND)[:, 0] > 2).sum())
    n = keep * AROUND
    last, angle = rest[n - AROUND : n], known.angle[:AROUND]
    head = asset.mean.new_tensor([0.0, 0.0, 0.0]) + (
        rest[n - AROUND : n].mean(0) - known.place[n - AROUND : n].mean(0)
    )
    a = torch.deg2rad(angle)
    length = style.length or 0.8
    ragged = spots(angle / 20 + hair.phase, angle * 0, 1.0)[1] * 0.008 * (0.5 + style.rough)
    rows = SKULL_ROWS + HANGING_ROWS - keep
    share = (torch.arange(rows, device=a.device) + 1)[:, None] / rows
    end = length + ragged + 0.03 * (1 + torch.cos(a)) * (length < 0.75) + head[1]
    y = torch.lerp(last[:, 1].expand(rows, -1), end.expand(rows, -1), share)
    low = ((0.93 + head[1] - y) / 0.2).clamp(0, 1)
    wave = 1 + style.rough * 0.10 * torch.sin(38 * y + 3 * a * 2 + hair.phase) * low
    wide = 0.100 + 0.03 * style.side / 0.025 * 0.5
    x_low = a.sin() * wide * wave
    z_low = torch.where(a.cos() > 0, a.cos() * 0.125 + 0.0, a.cos() * 0.105) * wave + 0.005
    x, z = (
        torch.lerp(last[:, 0].expand(rows, -1), x_low, low**1.5),
        torch.lerp(last[:, 2].expand(rows, -1), z_low + head[2], low),
    )
    inward = 1 - 0.12 * share**4 * (length > 0.78)
    hung = torch.stack([x * inward, y, z * inward], -1).view(-1, 3)
    open_ = _curtain(angle.expand(rows, -1), y - head[1], hair) - 0.004 * share
    bones = torch.cat([figure.bone_rotation.flatten(1), figure.bone_shift], 1)
    top, mid, bottom = (bones[asset.bone(name)] for name in ("head", "neck01", "spine01"))
    fall = ((0.86 + head[1] - y) / 0.14).clamp(0, 1).view(-1, 1)
    deep = ((0.74 + head[1] - y) / 0.12).clamp(0, 1).view(-1, 1)
    hung_moves = torch.lerp(torch.lerp(top, torch.lerp(top, mid, 0.6), fall), bottom, 0.8 * deep)
    along = strand[n - AROUND : n, 1] + (last[:, 1] - y)
    across = strand[:AROUND, 0].expand(rows, -1)
    return (
        torch.cat([rest[:n], hung]),
        torch.cat([moves[:n], hung_moves]),
        torch.cat([inside[:n], open_.flatten()]),
        torch.cat([strand[:n], torch.stack([across, along], -1).view(-1, 2)]),
    )


def _tied(figure: Figure, hair: Hair) -> Layer:
    """A tail that falls from the back of the head, or a bun on it."""
    known = skull(str(figure.rest.device))
    high = 25.0 if hair.parting > 0 else 2.0
    row = int((known.height.view(SKULL_ROWS, AROUND)[:, 0] - high).abs().argmin()) * AROUND + AROUND // 2
    start = (figure.rest[known.near[row]] * known.shares[row][:, None]).sum(0)
    root = figure.pose_rigid(start[None], "head")[0]
    back = figure.head @ known.out[row]
    down = root.new_tensor([0.0, -1, 0])
    rings, radius = (9, 0.034 * hair.volume) if hair.style.tied == "bun" else (13, 0.026 * hair.volume)
    share = torch.linspace(0, 1, rings, device=root.device)[:, None]
    if hair.style.tied == "bun":
        path = root + back * (share * 2 * radius - 0.006)
        wide = radius * (1 - (2 * share - 1) ** 2).clamp_min(0.02).sqrt()
    else:
        long = 0.22 + 0.12 * hair.volume
        path = root + back * (0.055 * (1 - (1 - share) ** 3)) + down * long * (share**1.6)
        wide = radius * ((share * 6).clamp(0.35, 1) * (1 - 0.75 * share**2))
    direction = torch.cat([path[1:] - path[:-1], path[-1:] - path[-2:-1]])
    direction = direction / direction.norm(dim=1, keepdim=True)
    side = figure.head[:, 0].expand(rings, -1)
    side = side - (side * direction).sum(1, keepdim=True) * direction
    side = side / side.norm(dim=1, keepdim=True).clamp_min(1e-4)
    other = torch.linalg.cross(direction, side)
    turn = torch.arange(16, device=root.device) * (torch.pi / 8)
    out = side[:, None] * torch.cos(turn)[None, :, None] + other[:, None] * torch.sin(turn)[None, :, None]
    lumps = 1 + 0.12 * spots(turn / 3 + hair.phase, turn * 0, 1.0)[1]
    world = (path[:, None] + out * (wide[:, None] * lumps[None, :, None])).reshape(-1, 3)
    strand = torch.stack([(turn * 0.03).expand(rings, -1), (share * 0.3).expand(-1, 16)], -1).view(-1, 2)
    faces = tube(rings, 16).to(world.device)
    along = direction[:, None].expand(-1, 16, -1).reshape(-1, 3)
    rest = start.expand(len(world), 3)
    table = torch.cat([world, vertex_normals(world, faces), rest, strand, along], 1)
    return _layer(table, faces, hair, figure.asset)


def paint_hair(
    strands: Strands, mix: Callable[[Tensor], Tensor], normal: Tensor, pixel: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Albedo (p,3), tilted normals (p,3) and shine (p,) of strands that run along the hair.

    Args:
        strands: the hair.
        mix: spreads values of the corners over the pixels.
        normal: (p,3), unit.
        pixel: (p,), metres that a pixel covers.
    """
    hair = strands.hair
    across, along = mix(strands.strand).unbind(1)
    curl = hair.style.curl
    if curl == 1.0:
        wide, thin = spots(across * 3 + hair.phase, along * 3, 0.8)[0], spots(across, along, 0.6)[1]
    else:
        bent = across + curl * 0.004 * torch.sin(along * 110 + across * 30)
        wide = spots(bent + hair.phase, along * 0.25, 0.35)[0]
        thin = spots(bent, along * 0.05, 0.22)[1]
    seen = (0.0025 / pixel).clamp(0.25, 1)
    light = 1 + (1 - 0.5 * curl) * (0.22 * wide.clamp(-1.5, 1.5) + 0.26 * seen * thin.clamp(-2, 2))
    albedo = normal.new_tensor(hair.colour) * light[:, None]
    direction = mix(strands.along)
    direction = direction / direction.norm(dim=1, keepdim=True).clamp_min(1e-4)
    side = torch.linalg.cross(normal, direction)
    tilt = (0.28 * wide + 0.22 * seen * thin)[:, None] * side + (curl * 0.25 * wide)[:, None] * direction
    tilted = normal + tilt
    shine = torch.full_like(pixel, 0.30 * (1 - 0.6 * curl)) * (1 + 0.5 * thin).clamp(0.3, 1.6)
    return albedo.clamp(0.015, 0.95), tilted / tilted.norm(dim=1, keepdim=True), shine
