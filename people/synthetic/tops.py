"""Garments of the upper body: shirts, jumpers, jackets; their hems, sleeves, necks and collars."""

from __future__ import annotations

import torch
from torch import Tensor

from .layers import Layer
from .shells import Cover, Fields, garment, loosened
from .wardrobe import Piece

_THICK = {
    "cotton": 0.004,
    "silk": 0.003,
    "knit": 0.008,
    "coarse knit": 0.011,
    "fleece": 0.009,
    "flannel": 0.005,
    "denim": 0.006,
    "leather": 0.006,
    "wool": 0.008,
}
_OVER = {"jacket": 0.012, "coat": 0.014, "cardigan": 0.008}


def make_top(worn: Cover, piece: Piece) -> Layer:
    """A shirt, jumper, jacket: a shell round trunk and arms."""
    known = worn.fields
    over = _OVER.get(piece.garment, 0.0)
    base = 0.007 + _THICK.get(piece.cloth.fabric, 0.005) + over
    if piece.tucked:
        base = 0.006
    points = loosened(worn, base, sleeve_width(known, piece), 0.0 if piece.tucked else piece.fit, 4)
    name = "jacket" if piece.garment in _OVER else "top"
    lift = 0.016 if name == "jacket" else (0.004 if piece.tucked else 0.012)
    return garment(name, worn, points, top_field(known, piece), piece.cloth, lift, upper=True)


def sleeve_width(known: Fields, piece: Piece) -> Tensor:
    """Metres (v,) by which sleeves are wider than the arm, more towards an open end, less at a cuff."""
    loose = 0.004 + 0.02 * piece.fit
    along = known.along_arm.clamp(0.0, 0.55)
    if piece.sleeve < 0.3:
        width = loose * 0.5 + 0.10 * along * (0.3 + piece.fit)
    else:
        cuff = ((along - piece.sleeve + 0.07) / 0.06).clamp(0, 1)
        width = loose * (0.6 + 1.2 * along) * (1 - 0.75 * cuff)
    return width * ((known.arm - 0.3) * 3).clamp(0, 1)


def top_field(known: Fields, piece: Piece) -> Tensor:
    """Metres (v,) inside the garment's edges: hem, sleeves' ends, neck, and the open front."""
    inside = torch.minimum(
        known.mean[:, 1] - (0.22 if piece.tucked else piece.hem), neck_field(known, piece.neck)
    )
    inside = torch.minimum(inside, sleeve_field(known, piece.sleeve))
    if piece.open:
        x, y, z = known.mean.unbind(1)
        gap = 0.03 + 0.07 * (0.6 - y).clamp(0, 0.6)
        inside = torch.where((z > 0.02) & (known.arm < 0.3), torch.minimum(inside, x.abs() - gap), inside)
    return inside


def sleeve_field(known: Fields, length: float) -> Tensor:
    """Metres (v,) before the sleeve's end; without sleeves, before the armhole."""
    if length <= 0:
        x, y, z = known.mean.unbind(1)
        hole = 0.145 + 0.6 * (0.56 - y).clamp_min(0)
        return (
            torch.where((y > 0.4) | (known.arm > 0.02), hole - x.abs(), 0.2 + 0 * x) if length == 0 else hole
        )
    return torch.where(known.arm > 0.02, length - known.along_arm, torch.full_like(known.arm, 0.2))


def neck_field(known: Fields, neck: str) -> Tensor:
    """Metres (v,) from the neck's opening: below its line, or further out than it is wide."""
    x, y, z = known.mean.unbind(1)
    front = ((z - 0.015) / 0.08).clamp(-1, 1)
    around = (x**2 + torch.where(z > 0.015, (z - 0.015) / 1.4, 0.015 - z) ** 2).sqrt()
    line, wide = 0.735 - 0.035 * front, 0.077
    if neck == "high":
        return 0.80 - 0.02 * front - y
    edge = torch.maximum(line - y, around - wide)
    deep = {"v": 0.60 + 2.0 * x.abs(), "lapels": 0.5 + 2.9 * x.abs(), "collar": 0.672 + 1.0 * x.abs(),
            "scoop": 0.625 + 13 * x**2}.get(neck)  # fmt: skip
    return edge if deep is None else torch.where(z > 0, torch.minimum(edge, deep - y), edge)
