"""Garments of the legs: trousers, jeans, leggings, shorts, skirts and the skirts of dresses and coats."""

from __future__ import annotations

import torch
from torch import Tensor

from .layers import Layer, vertex_normals
from .meshes import neighbours, relaxed
from .shells import Cover, cloth_layer, garment, loosened
from .wardrobe import Cloth, Piece

WAIST_Y = 0.275
_WAIST = {"leggings": 0.28, "jeans": 0.255, "trousers": 0.265, "shorts": 0.26}


def make_trousers(worn: Cover, piece: Piece) -> Layer:
    """Two legs that meet; wider than the leg below the knee as far as `wide` says."""
    known = worn.fields
    tight = piece.garment == "leggings"
    base = 0.003 if tight else 0.009
    points = (
        worn.rest + base * worn.normals
        if tight
        else loosened(worn, base, torch.zeros_like(known.leg), 0.0, 4)
    )
    if not tight:
        points = straightened(worn, points, piece)
    y = known.mean[:, 1]
    field = torch.minimum(_WAIST[piece.garment] - y, y - piece.hem)
    field = torch.where(known.arm > 0.3, -torch.ones_like(field), field)
    return garment("bottom", worn, points, field, piece.cloth, 0.003 if tight else 0.007)


def straightened(worn: Cover, points: Tensor, piece: Piece) -> Tensor:
    """Points whose legs fall straight: no narrower than from thigh to hem, and no foot at their ends."""
    known = worn.fields
    out = points - worn.middle
    radius = out.norm(dim=1)
    y = known.mean[:, 1]
    thigh = radius[(y < 0.0) & (y > -0.08)].mean()
    end = 0.054 + 0.045 * piece.wide if piece.hem < -0.4 else 0.55 * thigh + 0.06 + 0.04 * piece.wide
    last = max(piece.hem, -0.72) if piece.hem < -0.4 else -0.3
    share = ((0.02 - y) / (0.02 - last)).clamp(0, 1.1)
    wanted = torch.lerp(0.97 * thigh, torch.as_tensor(end).to(radius), share)
    if piece.hem < -0.4 and piece.wide < 0.5:
        wanted = wanted * (1 - (0.22 * (1 - 2 * piece.wide)) * torch.exp(-(((y + 0.33) / 0.2) ** 2)))
    foot = (y < -0.66) & (known.leg > 0.5)
    new = torch.where(foot, wanted, torch.maximum(radius, wanted))
    on = ((0.06 - y) * 12).clamp(0, 1) * (known.leg > 0.5)
    return points + out / radius[:, None].clamp_min(1e-4) * ((new - radius) * on)[:, None]


def make_skirt(
    worn: Cover, piece: Piece, name: str = "bottom", gap: float = 0.0, lift: float = 0.03
) -> Layer:
    """A skirt that hangs from the waist to `hem`, wider downwards by `wide`; that of a coat hangs from the
    hips, over the rest, open in front by `gap` metres.

    Args:
        worn: the cover of the body.
        piece: its measures: hem, wide.
        name: of the layer.
        gap: metres that it is open in front.
        lift: metres by which it is drawn nearer than it is.
    """
    figure = worn.figure
    asset = figure.asset
    span = asset.ranges["skirt"]
    mean, rest = asset.mean[span], figure.rest[span]
    faces = asset.faces["skirt"] - span.start
    down = (WAIST_Y - mean[:, 1]).clamp_min(0)
    flat = rest * rest.new_tensor([1.0, 0, 1]) - rest.new_tensor([0.0, 0, 0.02])
    angle = torch.atan2(mean[:, 0], mean[:, 2] - 0.02)
    flare = 1 + 1.1 * piece.wide * down
    if piece.wide < 0.35:
        flare = flare * (1 - 0.25 * (0.35 - piece.wide) * down / 0.4)
    waves = 1 + 0.09 * piece.wide * (down / 0.5).clamp(0, 1) * torch.cos(
        11 * angle + 3.0 * piece.cloth.phase[0]
    )
    points = rest + flat * (flare * waves - 1)[:, None]
    coat = name == "jacket"
    if coat:
        points = points + 0.028 * flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-4)
    moves = asset.skinning[span] @ torch.cat([figure.bone_rotation.flatten(1), figure.bone_shift], 1)
    beside = _skirt_neighbours(faces, len(mean))
    moves = relaxed(moves, beside, 0.8, 3)
    world = (moves[:, :9].view(-1, 3, 3) @ points[..., None])[..., 0] + moves[:, 9:]
    normals = vertex_normals(world, faces)
    field = torch.minimum((0.16 if coat else WAIST_Y + 0.005) - mean[:, 1], mean[:, 1] - piece.hem)
    edge = mean[:, 1] - piece.hem if coat else field
    if gap > 0:
        field = torch.where(mean[:, 2] > 0.02, torch.minimum(field, mean[:, 0].abs() - gap), field)
    sheet = torch.stack([mean[:, 0], mean[:, 1], mean[:, 2] - 0.02], 1)
    along = (moves[:, :9].view(-1, 3, 3) @ mean.new_tensor([0.0, -1, 0])).contiguous()
    table = torch.cat([world, normals, sheet, asset.uv[span], asset.part_uv[span], along, edge[:, None],
                       0 * edge[:, None], torch.full_like(edge, 0.17)[:, None]], 1)  # fmt: skip
    return cloth_layer(name, table, faces, field, asset.part[span], piece.cloth, lift, 0.008)


_BESIDE: dict[str, Tensor] = {}


def _skirt_neighbours(faces: Tensor, count: int) -> Tensor:
    key = str(faces.device)
    if key not in _BESIDE:
        _BESIDE[key] = neighbours(faces.cpu(), count).to(faces.device)
    return _BESIDE[key]


def make_lining(worn: Cover, colour: tuple[float, float, float]) -> Layer:
    """Short tights under a skirt, so that nobody is ever undressed."""
    known = worn.fields
    dark = (0.4 * colour[0], 0.4 * colour[1], 0.4 * colour[2])
    y = known.mean[:, 1]
    field = torch.minimum(0.29 - y, y + 0.10)
    field = torch.where(known.arm > 0.3, -torch.ones_like(field), field)
    return garment(
        "lining", worn, worn.rest + 0.003 * worn.normals, field, Cloth(dark, dark, fabric="stretch"), -0.02
    )
