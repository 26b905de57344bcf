"""How cloth looks: colour and pattern, threads, seams, buttons, folds and shine; the same of shoes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .folds import CREASE, CRUMPLE, DRAPE, folds
from .patterns import pattern, scattered
from .shells import Weave
from .wardrobe import Cloth, Colour, Piece

_SHINE = {
    "cotton": 0.04,
    "silk": 0.42,
    "knit": 0.0,
    "coarse knit": 0.0,
    "fleece": 0.0,
    "flannel": 0.0,
    "denim": 0.05,
    "leather": 0.55,
    "wool": 0.02,
    "stretch": 0.16,
}
_FOLDS = {
    "cotton": 1.0,
    "silk": 1.1,
    "knit": 0.55,
    "coarse knit": 0.4,
    "fleece": 0.65,
    "flannel": 0.9,
    "denim": 0.9,
    "leather": 0.8,
    "wool": 0.55,
    "stretch": 0.16,
}
_BELTS: dict[str, Colour] = {"black belt": (0.12, 0.09, 0.07), "brown belt": (0.25, 0.16, 0.09)}
_BELT_LOW, _BELT_HIGH = 0.222, 0.254
"""Heights on the mean body, metres."""
_METAL = (0.62, 0.6, 0.55)

Mix = Callable[[Tensor], Tensor]


def paint_cloth(
    cloth: Cloth, weave: Weave, mix: Mix, normal: Tensor, pixel: Tensor, inside: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Albedo (p,3), tilted normals (p,3), shine (p,).

    Args:
        cloth: what is painted.
        weave: where its threads run.
        mix: spreads values of the corners over the pixels.
        normal: (p,3), unit.
        pixel: (p,), metres that a pixel covers.
        inside: (p,) bool, whether the inner side is seen.
    """
    across, v, deep, edge, bend, girth, *along_xyz = mix(weave.table()).T.contiguous()
    along = torch.stack(along_xyz, 1)
    u = torch.atan2(across, deep) * girth
    albedo = _dyed(cloth, u, v, pixel)
    weights = _fold_weights(cloth, edge, bend)
    height, slope_u, slope_v = folds(u + cloth.phase[0], v + cloth.phase[1], weights)
    slope_u, slope_v, light = _threads(cloth, u, v, edge, pixel, slope_u, slope_v)
    albedo = albedo * (light * (1 + 0.10 * height.clamp(-1.5, 0.6)))[:, None]
    albedo = _seams(cloth, albedo, u, v, across, deep, edge, pixel)
    down = along - (along * normal).sum(1, keepdim=True) * normal
    down = down / down.norm(dim=1, keepdim=True).clamp_min(1e-4)
    side = torch.linalg.cross(normal, down)
    tilted = normal + slope_v[:, None] * down + slope_u[:, None] * side
    tilted = tilted / tilted.norm(dim=1, keepdim=True)
    albedo = torch.where(inside[:, None], albedo * 0.55, albedo)
    return albedo.clamp(0.02, 0.97), tilted, torch.full_like(v, _SHINE.get(cloth.fabric, 0.05))


def _dyed(cloth: Cloth, u: Tensor, v: Tensor, pixel: Tensor) -> Tensor:
    first = u.new_tensor(cloth.colour).expand(len(u), 3)
    if cloth.pattern == "plain":
        return first
    amount = pattern(cloth.pattern, u, v, cloth.pitch, pixel, cloth.phase)
    return torch.lerp(first, u.new_tensor(cloth.second).expand(len(u), 3), amount[:, None])


def _fold_weights(cloth: Cloth, edge: Tensor, bend: Tensor) -> Tensor:
    """(3,p): how deep drapes, creases and crumples are."""
    deep = _FOLDS.get(cloth.fabric, 0.8)
    gather = torch.exp(-edge.clamp_min(0) / 0.05)
    weights = [torch.zeros_like(edge)] * 3
    weights[DRAPE] = deep * (0.16 + 0.05 * gather)
    weights[CREASE] = deep * (0.07 + 0.34 * bend + 0.10 * gather)
    weights[CRUMPLE] = deep * (0.05 + 0.08 * bend)
    return torch.stack(weights)


def _threads(
    cloth: Cloth, u: Tensor, v: Tensor, edge: Tensor, pixel: Tensor, slope_u: Tensor, slope_v: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes with those of stitches and ribs added, and light (p,) about 1 of single threads."""
    light = torch.ones_like(u)
    if cloth.fabric in ("knit", "coarse knit", "fleece"):
        pitch = 0.012 if cloth.fabric == "coarse knit" else 0.006
        seen = (1 - 1.6 * pixel / pitch).clamp(0, 1)
        rib = torch.sin(u * (2 * torch.pi / pitch))
        cuff = ((0.055 - edge) / 0.006).clamp(0, 1)
        slope_u = slope_u + seen * rib * ((0.35 if cloth.fabric == "coarse knit" else 0.12) + 0.35 * cuff)
        light = light * (1 - 0.10 * cuff)
    elif cloth.fabric == "denim":
        worn = scattered((u / 0.002).floor(), (v / 0.006).floor()) - 0.5
        light = light + 0.22 * worn * (0.004 / pixel).clamp(0, 1)
        fade = torch.exp(-((u.abs() / 0.05) ** 2)) * torch.exp(-(((v + 0.12) / 0.2) ** 2))
        light = light * (0.9 + 0.38 * fade)
    elif cloth.fabric in ("wool", "flannel"):
        light = light + 0.10 * (scattered((u / 0.004).floor(), (v / 0.004).floor()) - 0.5) * (
            0.004 / pixel
        ).clamp(0, 1)
    return slope_u, slope_v, light


def _seams(
    cloth: Cloth,
    albedo: Tensor,
    u: Tensor,
    v: Tensor,
    across: Tensor,
    deep: Tensor,
    edge: Tensor,
    pixel: Tensor,
) -> Tensor:
    """Stitched hems and side seams; a placket with buttons, a fly, pockets."""
    soft = pixel.clamp_min(0.0015)
    strength = (0.003 / soft).clamp(0, 1)
    stitched = torch.exp(-(((edge - 0.018) / soft) ** 2)) * 0.28 * strength
    if cloth.fabric not in ("knit", "coarse knit"):
        stitched = stitched + torch.exp(-((deep / soft) ** 2)) * 0.25 * strength * (across.abs() > 0.03)
    front = deep > 0.062
    if "placket" in cloth.details:
        line = torch.exp(-(((across - 0.016) / soft) ** 2)) + torch.exp(-(((across + 0.016) / soft) ** 2))
        stitched = stitched + 0.25 * line * strength * front
        button = ((across**2 + ((v % 0.085) - 0.0425) ** 2).sqrt() < 0.0055) & front
        albedo = torch.where(
            button[:, None], albedo * 0.35 + 0.5 * (1 - albedo.mean(1, keepdim=True)), albedo
        )
    if "zip" in cloth.details:
        zip_ = ((across.abs() < 0.006 + 0 * soft) & front)[:, None]
        albedo = torch.where(zip_, albedo * 0.4 + 0.12, albedo)
    if "fly" in cloth.details:
        near = (across.abs() < 0.10) & front & (v > 0.1)
        fly = torch.exp(-(((across - 0.012) / soft) ** 2)) * near
        pocket = torch.exp(-(((v - 0.235 + 1.1 * (across.abs() - 0.05)) / (1.3 * soft)) ** 2)) * (
            (across.abs() > 0.055) & front & (v > 0.16)
        )
        band = torch.exp(-(((v - 0.226) / soft) ** 2)) * (v > 0.1)
        stitched = stitched + strength * (0.3 * fly + 0.4 * pocket + 0.3 * band)
    albedo = albedo * (1 - stitched.clamp(0, 0.6))[:, None]
    for name, leather in _BELTS.items():
        if name in cloth.details:
            albedo = _belted(albedo, leather, across, v, front)
    return albedo


def _belted(albedo: Tensor, leather: Colour, across: Tensor, v: Tensor, front: Tensor) -> Tensor:
    """Cloth (p,3) with a belt round the waist and its buckle in front."""
    on = (v > _BELT_LOW) & (v < _BELT_HIGH)
    frame = ((across.abs() - 0.016).abs() < 0.005) | ((v - (_BELT_LOW + _BELT_HIGH) / 2).abs() > 0.011)
    buckle = on & front & (across.abs() < 0.021) & frame
    albedo = torch.where(on[:, None], albedo.new_tensor(leather), albedo)
    return torch.where(buckle[:, None], albedo.new_tensor(_METAL), albedo)


def paint_shoe(piece: Piece, sheet: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Albedo (p,3) and shine (p,): sole, cap, laces. sheet: sideways, height, share of the length."""
    side, height, forward = sheet.unbind(1)
    upper = sheet.new_tensor(piece.cloth.colour).expand(len(sheet), 3)
    trainers = piece.garment == "trainers"
    sole_colour = (0.86, 0.86, 0.84) if trainers else (0.10, 0.09, 0.08)
    sole = ((0.0125 - height) / pixel.clamp_min(0.001) + 0.5).clamp(0, 1)
    if trainers:
        laces = (
            ((height * 90) % 1 < 0.45)
            & (side.abs() < 0.022)
            & (forward > 0.42)
            & (height > 0.045)
            & (height < 0.088)
        )
        upper = torch.where(laces[:, None], sheet.new_tensor(piece.cloth.second).expand_as(upper), upper)
        stripe = (
            ((forward * 8 - height * 60) % 1 < 0.4) & (forward > 0.35) & (forward < 0.6) & (height < 0.05)
        )
        upper = torch.where(stripe[:, None], 0.5 * upper + 0.25, upper)
    else:
        cap = torch.exp(-(((forward - 0.78) / 0.012) ** 2))
        upper = upper * (1 - 0.35 * cap)[:, None]
    albedo = torch.lerp(upper, sheet.new_tensor(sole_colour).expand_as(upper), sole[:, None])
    shine = torch.where(sole > 0.5, 0.05, 0.12 if trainers else 0.5)
    return albedo.clamp(0.02, 0.95), shine.to(albedo)
