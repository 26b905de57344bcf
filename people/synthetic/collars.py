"""Collars, lapels and hoods: cloth of its own round the neck."""

from __future__ import annotations

import torch
from torch import Tensor

from .layers import Layer, vertex_normals
from .meshes import tube
from .shells import Cover, Weave
from .wardrobe import Piece

AROUND = 48
# out from the neck, height over its base, both metres: from the inside over the fold to the outer edge
_SHIRT = ((0.004, -0.012), (0.004, 0.020), (0.009, 0.026), (0.016, 0.018), (0.024, -0.004), (0.027, -0.012))
_COAT = ((0.012, -0.015), (0.012, 0.026), (0.020, 0.034), (0.032, 0.022), (0.046, -0.008), (0.050, -0.020))
_HOOD = (
    (0.022, -0.010),
    (0.018, 0.030),
    (0.032, 0.052),
    (0.062, 0.050),
    (0.086, 0.015),
    (0.080, -0.030),
    (0.058, -0.055),
)
_PROFILES = {"collar": _SHIRT, "lapels": _COAT, "hood": _HOOD}


def make_collar(worn: Cover, piece: Piece, out: float = 0.0) -> Layer | None:
    """The collar of a piece, `out` metres further from the neck; None for necks without one."""
    profile = _PROFILES.get(piece.neck)
    if profile is None:
        return None
    if piece.neck == "collar" and piece.garment in ("jacket", "coat"):
        profile = _COAT
    known = worn.fields
    angle = torch.arange(AROUND, device=worn.rest.device) * (2 * torch.pi / AROUND)
    front = 0.5 + 0.5 * torch.cos(angle)
    mean = torch.stack([angle.sin() * 0.076, 0.766 - 0.085 * front**1.5, angle.cos() * 0.070 + 0.018], 1)
    near = torch.cdist(mean, known.mean).topk(3, largest=False).indices
    shift = (worn.rest[near] - known.mean[near]).mean(1)
    shift = (shift.roll(1, 0) + shift.roll(-1, 0) + shift.roll(2, 0) + shift.roll(-2, 0) + shift) / 5
    moves = worn.moves[near].mean(1)
    for _ in range(4):
        moves = (moves.roll(1, 0) + moves.roll(-1, 0) + moves) / 3
    radial = torch.stack([angle.sin(), torch.zeros_like(angle), angle.cos()], 1)
    flat = 1 - (0.35 * front**4 if piece.neck != "hood" else 0.8 * front**2)
    rings = []
    for away, height in profile:
        ring = (
            mean + shift + radial * (away + out) + radial.new_tensor([0.0, 1, 0]) * (height * flat)[:, None]
        )
        rings.append(_opened(ring, angle, away, piece))
    rest, count = torch.cat(rings), len(profile)
    turn = moves.repeat(count, 1)
    world = (turn[:, :9].view(-1, 3, 3) @ rest[..., None])[..., 0] + turn[:, 9:]
    faces = tube(count, AROUND).to(world.device)
    if piece.neck != "hood":
        faces = faces[~(_in_gap(angle).repeat(count)[faces].all(1))]
    normals = vertex_normals(world, faces)
    index = torch.arange(count, device=world.device)
    edge = (count - 1 - index).repeat_interleave(AROUND) * 0.011 + 0.004
    sheet = torch.stack([angle.sin().repeat(count) * 0.07, rest[:, 1], angle.cos().repeat(count) * 0.07], 1)
    along = torch.cat([world[AROUND:] - world[:-AROUND], world[-AROUND:] - world[-2 * AROUND : -AROUND]])
    asset = worn.figure.asset
    span = asset.ranges["tights"]
    vertex = near[:, 0].repeat(count)
    weave = Weave(sheet, along, edge, torch.zeros_like(edge), torch.full_like(edge, 0.07))
    return Layer(
        "collar",
        world,
        faces,
        sheet,
        asset.uv[span][vertex],
        asset.part[span][vertex],
        asset.part_uv[span][vertex],
        (piece.cloth, weave),
        cloth=True,
        two_sided=True,
        lift=0.024 if out else 0.02,
        normals=normals,
    )


def _in_gap(angle: Tensor) -> Tensor:
    """(AROUND,) bool: the columns in front between a collar's two points."""
    return torch.cos(angle) > 0.985


def _opened(ring: Tensor, angle: Tensor, away: float, piece: Piece) -> Tensor:
    """A ring whose points hang down in front, and lie further apart when the piece is open."""
    if piece.neck == "hood":
        return ring
    near_front = torch.exp(-((torch.minimum(angle, 2 * torch.pi - angle) / 0.55) ** 2))
    drop = near_front * (0.9 * away + (0.03 if piece.open else 0.006))
    side = torch.sin(angle).sign() * near_front * (0.022 if piece.open else 0.004)
    forward = near_front * 0.012
    return ring + torch.stack([side, -drop, forward], 1)
