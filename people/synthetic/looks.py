"""What a person looks like beyond their body: skin, eyes, hair and everything they wear."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .accessories import Accessories, make_backpack, make_glasses, make_hat, sample_accessories
from .bottoms import make_lining, make_skirt, make_trousers
from .collars import make_collar
from .draws import Draws
from .eyes import Eyes, sample_eyes
from .hair import make_hair
from .haircuts import Hair, roots, sample_hair
from .layers import Layer
from .shapes import Shape
from .shells import Cover, cover
from .shoes import in_shoes, make_shoes, make_socks
from .skeleton import Figure
from .skin import Skin, sample_skin
from .tops import make_top, top_field
from .wardrobe import (
    COLOURS,
    Colour,
    Piece,
    sample_bottom,
    sample_dress,
    sample_outer,
    sample_shoes,
    sample_top,
)  # fmt: skip

_OVER_HOOD_M = 0.035
"""Hair lies on a hood, not in it."""
_HIDDEN_M = 0.025
"""Skin is not drawn where cloth reaches that much further."""


@dataclass(frozen=True)
class Look:
    """One person's skin, eyes and hair, and what they wear: a top and a bottom, or a dress (top is None)."""

    woman: bool
    skin: Skin
    eyes: Eyes
    hair: Hair
    top: Piece | None
    bottom: Piece
    outer: Piece | None
    shoes: Piece
    socks: tuple[Colour, float] | None
    belt: str | None
    things: Accessories


def sample_look(seed: int, shape: Shape) -> Look:
    """A look of the streams "hair", "face", "clothes" and "accessories"."""
    hair = sample_hair(Draws(seed, "hair"), shape)
    face = Draws(seed, "face")
    skin = sample_skin(face, shape, hair.colour, roots(hair), hair.receding)
    draws = Draws(seed, "clothes")
    top = sample_top(draws, shape.woman)
    bottom = sample_bottom(draws, shape.woman, top)
    dress = sample_dress(draws)
    outer = sample_outer(draws, shape.woman)
    if shape.woman and draws.chance(0.16):
        bottom = dress
    if outer is not None and top.neck == "hood":
        outer = None
    if bottom.garment == "skirt":
        top = replace(top, tucked=True)
    shoes = sample_shoes(draws, shape.woman)
    if bottom.garment in ("trousers", "jeans"):
        shoes = replace(shoes, hem=0.0)
    bare = bottom.garment in ("skirt", "dress", "shorts")
    socks = None
    if bottom.garment == "shorts" or (bare and draws.chance(0.25)):
        socks = (COLOURS[draws.pick(("white", "black", "grey", "navy"))], draws.pick((0.13, 0.16, 0.2, 0.3)))
    worn = None if bottom.garment == "dress" else _detailed(top, draws)
    belt = (
        draws.pick(("black belt", "brown belt"))
        if bottom.garment in ("trousers", "jeans") and draws.chance(0.5)
        else None
    )
    things = sample_accessories(Draws(seed, "accessories"), shape, hair.style)
    return Look(
        shape.woman,
        skin,
        sample_eyes(face, skin.tone),
        hair,
        worn,
        _detailed(bottom, draws, belt),
        outer,
        shoes,
        socks,
        belt,
        things,
    )


def without_patterns(look: Look) -> Look:
    """The same clothes in their first colours alone."""

    def plain(piece: Piece) -> Piece:
        return replace(piece, cloth=replace(piece.cloth, pattern="plain"))

    top, outer = (None if piece is None else plain(piece) for piece in (look.top, look.outer))
    return replace(look, top=top, outer=outer, bottom=plain(look.bottom))


def _detailed(piece: Piece, draws: Draws, belt: str | None = None) -> Piece:
    """A garment with its buttons, zips, pockets and belt."""
    details = {
        "shirt": ("placket",),
        "polo shirt": (),
        "jeans": ("fly",),
        "trousers": ("fly",),
        "shorts": ("fly",),
        "hoodie": ("zip",) if draws.chance(0.4) else (),
    }.get(piece.garment, ())
    details = details if belt is None else (*details, belt)
    return replace(piece, cloth=replace(piece.cloth, details=details))


def dress(figure: Figure, look: Look) -> tuple[list[Layer], Tensor]:
    """Layers of hair and of all that is worn, and which faces of the skin (F,) are under cloth."""
    worn = cover(figure)
    layers, fields = _clothes(worn, look)
    if look.socks:
        layers.append(make_socks(worn, *look.socks))
    layers += make_shoes(worn, look.shoes)
    hair = replace(look.hair, volume=0.45) if look.things.hat else look.hair
    worn_hair = make_hair(figure, hair)
    if look.top is not None and look.top.neck == "hood":
        for layer in worn_hair:
            layer.lift = _OVER_HOOD_M
    layers += worn_hair + _things(figure, worn, look)
    return layers, hidden_faces(figure, fields, look.shoes.hem)


def _things(figure: Figure, worn: Cover, look: Look) -> list[Layer]:
    """Glasses, hat and bag."""
    things, layers = look.things, []
    if things.glasses:
        layers += make_glasses(figure, *things.glasses)
    if things.hat:
        layers += make_hat(figure, replace(look.hair, volume=0.45), things.hat[0], things.hat[2])
    if things.bag:
        layers += make_backpack(worn, things.bag)
    return layers


def _clothes(worn: Cover, look: Look) -> tuple[list[Layer], list[Tensor]]:
    """The garments, and how far inside each (v,) the cover's vertices are."""
    known = worn.fields
    y, trunk = known.mean[:, 1], known.arm < 0.3
    layers, fields = [], []
    if look.bottom.garment in ("skirt", "dress"):
        layers += [make_lining(worn, look.bottom.cloth.colour), make_skirt(worn, look.bottom)]
        fields.append(
            torch.where(trunk, torch.minimum(0.29 - y, y - min(-0.10, look.bottom.hem + 0.12)), -1.0)
        )
    else:
        layers.append(make_trousers(worn, look.bottom))
        fields.append(torch.where(trunk, torch.minimum(0.27 - y, y - look.bottom.hem), -1.0))
    top = look.top
    if top is None:
        top = replace(look.bottom, hem=0.2, tucked=True, fit=0.0)
    layers += [make_top(worn, top), *_collar(worn, top, 0.0)]
    fields.append(top_field(known, top))
    if look.outer is not None:
        outer = replace(look.outer, hem=0.13) if look.outer.garment == "coat" else look.outer
        layers += [make_top(worn, outer), *_collar(worn, outer, 0.012)]
        if look.outer.garment == "coat":
            outer = _over_skirt(look.outer, look.bottom)
            layers.append(make_skirt(worn, outer, "jacket", 0.05 if look.outer.open else 0.0, 0.036))
    return layers, fields


def _over_skirt(coat: Piece, bottom: Piece) -> Piece:
    """A coat as wide, and in the same folds, as the skirt under it."""
    if bottom.garment not in ("skirt", "dress"):
        return coat
    cloth = replace(coat.cloth, phase=bottom.cloth.phase)
    return replace(coat, cloth=cloth, wide=max(coat.wide, bottom.wide))


def _collar(worn: Cover, piece: Piece, out: float) -> list[Layer]:
    made = make_collar(worn, piece, out)
    return [] if made is None else [made]


def hidden_faces(figure: Figure, fields: list[Tensor], boots: float = 0.0) -> Tensor:
    """(F,) bool: faces of the skin that lie well under one of the garments or in shoes."""
    asset = figure.asset
    start = asset.ranges["tights"].start
    under = torch.stack(fields).amax(0)[asset.covers - start] > _HIDDEN_M
    part = asset.part[asset.ranges["body"]]
    bare = (asset.mean[asset.ranges["body"], 1] > 0.80) | (part == 3) | (part == 4)
    under = (under & ~bare) | in_shoes(figure, boots)
    return under.index_select(0, asset.faces["body"].flatten()).view(-1, 3).all(1)
