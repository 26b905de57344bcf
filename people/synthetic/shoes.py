"""Shoes, trainers and boots with soles, lofted round the foot; socks."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .asset import body_asset
from .layers import Layer, vertex_normals
from .meshes import tube
from .shells import Cover, Weave, garment
from .skeleton import SIDES, Figure
from .wardrobe import Cloth, Piece

AROUND = 24
SOLE = 0.012
"""Height of a sole's upper edge at rest, metres."""
COLLAR = 0.095
_FOOT_PARTS = {"L": 5, "R": 6}
# height, front end and width as shares of the foot, how far out, share of the way to the ankle's round shape
_RINGS = (
    (-0.012, 0.97, 0.95, -0.003, 0.0), (-0.002, 1.0, 1.0, 0.004, 0.0), (SOLE, 1.0, 1.0, 0.004, 0.0),
    (0.0125, 1.0, 1.0, 0.0, 0.0), (0.026, 1.0, 1.0, 0.001, 0.0), (0.038, 0.965, 0.97, 0.0, 0.0),
    (0.048, 0.88, 0.93, 0.0, 0.15), (0.060, 0.74, 0.88, 0.0, 0.4), (0.074, 0.62, 0.82, 0.0, 0.7),
    (0.086, 0.54, 0.8, 0.0, 0.95), (COLLAR, 0.5, 0.8, 0.001, 1.0),
)  # fmt: skip


def make_shoes(worn: Cover, piece: Piece) -> list[Layer]:
    """One layer for each foot."""
    return [_shoe(worn, piece, letter) for letter in SIDES]


def _shoe(worn: Cover, piece: Piece, letter: str) -> Layer:
    figure = worn.figure
    asset = figure.asset
    own = _foot_vertices(str(figure.rest.device), letter)
    foot, shape = figure.rest[own], asset.mean[own]
    heel, toe, frame = _frame(foot, shape)
    local = (foot - heel) @ frame.T  # forward, up, side
    length = local[:, 0].amax() + 0.012
    half = (local[:, 2].amax() - local[:, 2].amin()) / 2 + 0.001
    middle = (local[:, 2].amax() + local[:, 2].amin()) / 2
    ankle = ((figure.rest[own[shape[:, 1] > shape[:, 1].amax() - 0.025]]).mean(0) - heel) @ frame.T
    shaft = max(0.0, piece.hem)
    levels = [0.02 + (shaft - 0.02) * step / 5 for step in range(6)] if shaft else []
    place = _rings(length, half, middle, ankle).reshape(-1, 3) @ frame + heel
    shares = [min(max((ring[0] - 0.07) / 0.06, 0.0), 0.6) for ring in _RINGS for _ in range(AROUND)]
    if levels:
        place = torch.cat(
            [place, *(_shaft_ring(worn, letter, COLLAR + level, place[-AROUND:]) for level in levels)]
        )
        shares += [min(0.6 + 8 * level, 1.0) for level in levels for _ in range(AROUND)]
    count = len(place) // AROUND
    share = torch.tensor(shares, device=place.device)[:, None]
    moved = torch.lerp(
        figure.pose_rigid(place, f"foot.{letter}"), figure.pose_rigid(place, f"lowerleg02.{letter}"), share
    )
    faces = _faces(count, str(place.device))
    inner = (place - heel) @ frame.T
    weave = Weave(
        torch.stack([inner[:, 2] - middle, place[:, 1], inner[:, 0] / length], 1),
        torch.zeros_like(place),
        torch.full_like(place[:, 0], 0.1),
        torch.zeros_like(place[:, 0]),
        torch.full_like(place[:, 0], 0.05),
    )
    near = 3 * torch.cdist(place, foot[::3]).argmin(1)
    normals = vertex_normals(moved, faces)
    return Layer(
        "shoes",
        moved,
        faces,
        weave.sheet,
        asset.uv[own][near],
        asset.part[own][near],
        asset.part_uv[own][near],
        (piece, weave),
        cloth=True,
        two_sided=True,
        lift=0.004,
        normals=normals,
    )


@lru_cache(maxsize=8)
def _foot_vertices(device: str, letter: str) -> Tensor:
    """The vertices of the skin of that foot."""
    asset = body_asset(device)
    return (asset.part[asset.ranges["body"]] == _FOOT_PARTS[letter]).nonzero()[:, 0]


@lru_cache(maxsize=8)
def _faces(rings: int, device: str) -> Tensor:
    """A tube of so many rings, closed at the sole."""
    bottom = torch.arange(1, AROUND - 1)
    sole = torch.stack([torch.zeros_like(bottom), bottom, bottom + 1], 1)
    return torch.cat([tube(rings, AROUND), sole]).to(device)


def _frame(foot: Tensor, shape: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Heel on the ground, toe, and rows forward, up, side of that foot."""
    back = foot[shape[:, 2] < shape[:, 2].amin() + 0.03].mean(0)
    front = foot[shape[:, 2] > shape[:, 2].amax() - 0.05].mean(0)
    forward = (front - back) * foot.new_tensor([1.0, 0, 1])
    forward = forward / forward.norm()
    up = foot.new_tensor([0.0, 1, 0])
    side = torch.linalg.cross(up, forward)
    frame = torch.stack([forward, up, side])
    heel = back * foot.new_tensor([1.0, 0, 1])
    heel = heel + forward * (((foot - heel) @ forward).amin() - 0.004)
    return heel, front, frame


def _rings(length: Tensor, half: Tensor, middle: Tensor, ankle: Tensor) -> Tensor:
    """(rings,AROUND,3) forward, up, side: the outlines of a foot by height, rounder towards the ankle."""
    height, front, wide, out, round_ = half.new_tensor(_RINGS).T[..., None]
    angle = torch.arange(AROUND, device=half.device) * (2 * torch.pi / AROUND)
    c, s = torch.cos(angle), torch.sin(angle)
    end = length * front
    forward = end / 2 - (end / 2 + out) * ((-c).sign() * c.abs() ** 0.8)
    u = forward / length
    width = (
        half * wide * (0.74 + 0.26 * torch.sin(torch.pi * (u - 0.2).clamp(0, 1)).clamp_min(0) - 0.05 * u)
        + out
    )
    side = middle * (0.4 + 0.6 * u.clamp(0, 1)) - width * (s.sign() * s.abs() ** 0.75)
    forward = torch.lerp(forward, (ankle[0] + 0.048 * c).expand_as(forward), round_.expand_as(forward))
    side = torch.lerp(side, (ankle[2] - 0.040 * s).expand_as(side), round_.expand_as(side))
    return torch.stack([forward, height.expand_as(forward), side], 2)


def _shaft_ring(worn: Cover, letter: str, height: float, below: Tensor) -> Tensor:
    """(AROUND,3) round the shin at that height over the ground at rest, as the ring below is turned."""
    known = worn.fields
    own = (known.segment == (4 if letter == "L" else -4)).nonzero()[:, 0]
    away = (worn.rest[own, 1] - height).abs()
    near = own[away.topk(min(24, len(own)), largest=False).indices]
    middle, radius = worn.middle[near].mean(0), (worn.radius[near].median() + 0.009).clamp_max(0.066)
    if height < 0.14:
        middle, radius = (
            torch.lerp(below.mean(0), middle, (height - COLLAR) / 0.05),
            radius.clamp(0.045, 0.056),
        )
    out = (below - below.mean(0)) * below.new_tensor([1.0, 0, 1])
    ring = middle + out / out.norm(dim=1, keepdim=True) * radius
    ring[:, 1] = height
    return ring


def make_socks(worn: Cover, colour: tuple[float, float, float], height: float) -> Layer:
    """Socks from the foot to `height` metres over the ground."""
    known = worn.fields
    y = known.mean[:, 1] + 0.82
    field = torch.where(known.leg > 0.5, height - y, torch.full_like(y, -1.0))
    points = worn.rest + 0.003 * worn.normals
    return garment("socks", worn, points, field, Cloth(colour, colour, fabric="knit"), 0.003, 0.003)


def in_shoes(figure: Figure, height: float = 0.0) -> Tensor:
    """(Vbody,) bool: skin that shoes hide: the feet, with boots the shin up to that height."""
    asset = figure.asset
    span = asset.ranges["body"]
    y = asset.mean[span, 1] + 0.82
    return y < COLLAR - 0.02 + max(0.0, height)
