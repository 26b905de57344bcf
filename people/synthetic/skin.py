"""Skin: its tone, the face painted on it, beards, and hair's roots on the scalp."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from .asset import body_asset
from .draws import Draws
from .layers import vertex_normals
from .meshes import neighbours, relaxed
from .nails import nails
from .patterns import scattered
from .shapes import Shape
from .wardrobe import Colour

SKIN_NAMES = ("pale", "light", "beige", "brown", "dark")
TONES = ((0.93, 0.77, 0.68), (0.87, 0.68, 0.55), (0.76, 0.56, 0.42), (0.57, 0.39, 0.28), (0.37, 0.25, 0.19))
_DIRECTIONS = 64
BEARDS = ("none", "stubble", "moustache", "goatee", "beard")
_HAIRLINE = (
    (0, 0.979),
    (25, 0.976),
    (42, 0.966),
    (58, 0.944),
    (72, 0.908),
    (80, 0.905),
    (88, 0.926),
    (100, 0.918),
    (115, 0.892),
    (135, 0.862),
    (155, 0.848),
    (180, 0.846),
)
"""Degrees from the front, and the hairline's height there on the mean head at rest."""


@dataclass(frozen=True)
class Skin:
    """tone: number among SKIN_NAMES; colour 0..1; lips, brows and hair: colours; beard of BEARDS; roots: 0
    for a bald head to 1; receding: metres; freckles, made_up, wear of age 0..1; phase of the spots.
    """

    tone: int
    colour: Colour
    lips: Colour
    brows: Colour
    hair: Colour
    beard: str
    roots: float
    receding: float
    brow_width: float
    freckles: float
    made_up: float
    age: float
    phase: float


def sample_skin(draws: Draws, shape: Shape, hair: Colour, roots: float, receding: float) -> Skin:
    """Skin that suits where the person's face is from.

    Args:
        draws: of the person.
        shape: of body and face.
        hair: its colour.
        roots: 0 for a bald head to 1.
        receding: of the hairline, metres.
    """
    african, asian, european = shape.origins
    tone = draws.choice(
        [
            1.6 * european + 0.3 * asian,
            1.4 * european + 1.2 * asian,
            0.4 * european + 1.3 * asian + 0.2 * african,
            0.12 * european + 0.35 * asian + 1.3 * african,
            1.5 * african,
        ]
    )
    warm, light = draws.normal(0, 0.012), draws.normal(0, 0.02)
    red, green, blue = TONES[tone]
    colour = (red + light + warm, green + light, blue + light - warm)
    made_up = draws.uniform(0.2, 1.0) if shape.woman and draws.chance(0.6) else 0.0
    natural = (colour[0] * 0.93, colour[1] * 0.70, colour[2] * 0.72)
    painted = draws.pick(((0.70, 0.14, 0.20), (0.78, 0.33, 0.40), (0.62, 0.20, 0.24), (0.80, 0.42, 0.44)))
    lips = _mixed(natural, painted, 0.75 * made_up if made_up > 0.45 else 0.15 * made_up)
    brows = _mixed(hair, (0.1, 0.08, 0.07), 0.45)
    beard = "none" if shape.woman else BEARDS[draws.choice([4.2, 2.4, 0.5, 0.8, 2.0])]
    return Skin(
        tone,
        colour,
        lips,
        brows,
        hair,
        beard,
        roots,
        receding,
        draws.uniform(0.7, 1.4) * (0.85 if shape.woman else 1.15),
        draws.uniform(0.3, 1.0) if tone < 2 and draws.chance(0.25) else 0.0,
        made_up,
        shape.oldness,
        draws.uniform(0, 50),
    )


def _mixed(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (x + share * (y - x) for x, y in zip(a, b, strict=True))
    return red, green, blue


@lru_cache(maxsize=4)
def hollows(device: str) -> Tensor:
    """(Vbody,) 0..1: how much of the surroundings the mean body keeps from each vertex of its skin."""
    asset = body_asset("cpu")
    span = asset.ranges["body"]
    faces, place = asset.faces["body"], asset.mean[span]
    normals = vertex_normals(place, faces)
    total, most = torch.zeros(len(place)), torch.zeros(len(place))
    for index in range(_DIRECTIONS):
        up = 1 - 1.7 * (index + 0.5) / _DIRECTIONS
        turn = 2.399963 * index
        flat = math.sqrt(1 - up * up)
        towards = torch.tensor([flat * math.cos(turn), up, flat * math.sin(turn)])
        facing = (normals @ towards).clamp_min(0)
        total += facing * _sees(place + 0.003 * normals, towards)
        most += facing
    dark = (1 - total / most.clamp_min(0.1)).clamp(0, 1)[:, None]
    return relaxed(dark, neighbours(faces, len(place)), 0.7, 2)[:, 0].to(device)


def _sees(place: Tensor, towards: Tensor) -> Tensor:
    """(v,) 0 or 1: whether nothing of the points (v,3) lies before each as seen from there."""
    side = torch.linalg.cross(towards, torch.tensor([0.3, 0.2, -0.9]))
    side = side / side.norm()
    other = torch.linalg.cross(towards, side)
    cells = ((torch.stack([place @ side, place @ other]) + 1.3) / 0.006).long()
    wide = 440
    depth = torch.full((wide * wide,), -9.0)
    near = place @ towards
    index = cells[0] * wide + cells[1]
    depth.scatter_reduce_(0, index, near, "amax")
    grid = F.max_pool2d(depth.view(1, 1, wide, wide), 3, 1, 1).flatten()
    return (near > grid[index] - 0.014).float()


def hairline(place: Tensor, receding: float = 0.0) -> Tensor:
    """Metres (p,) above the hairline of places (p,3) on the mean head."""
    table = torch.tensor(_HAIRLINE, device=place.device)
    angle = torch.rad2deg(torch.atan2(place[:, 0].abs(), place[:, 2] - 0.04))
    index = torch.bucketize(angle, table[:, 0].contiguous()).clamp(1, len(table) - 1)
    low, high = table[index - 1], table[index]
    share = ((angle - low[:, 0]) / (high[:, 0] - low[:, 0])).clamp(0, 1)
    back = receding * torch.exp(-(((angle - 30) / 28) ** 2)) + 0.6 * receding * torch.exp(
        -((angle / 30) ** 2)
    )
    return place[:, 1] - low[:, 1] - share * (high[:, 1] - low[:, 1]) - back


@lru_cache(maxsize=4)
def _noise(device: str) -> Tensor:
    """(1,2,256,256) smooth numbers about 0, in coarse and in fine spots."""
    generator = torch.Generator().manual_seed(7)
    coarse = F.interpolate(torch.randn(1, 1, 24, 24, generator=generator), size=256, mode="bicubic")
    fine = torch.randn(1, 1, 256, 256, generator=generator)
    return torch.cat([coarse, fine], 1).to(device)


def spots(x: Tensor, y: Tensor, scale: float) -> Tensor:
    """(2,p): coarse and fine noise at x, y metres; a texture spans `scale` metres."""
    place = torch.stack([(x / scale) % 1, (y / scale) % 1], -1) * 2 - 1
    return F.grid_sample(
        _noise(str(x.device)), place[None, None], align_corners=False, padding_mode="border"
    )[0, :, 0]


def paint_skin(skin: Skin, place: Tensor, hollow: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Albedo (p,3), shine (p,) and glow (p,) at places (p,3) of the mean body; pixel (p,) metres.

    Args:
        skin: what is painted.
        place: (p,3) of the mean body, metres.
        hollow: (p,), 0..1, darker the deeper.
        pixel: (p,), metres that a pixel covers.
    """
    tone = place.new_tensor(skin.colour)
    x, y, z = place.unbind(1)
    coarse, fine = spots(x + 1.7 * z + skin.phase, y, 0.55)
    ruddy = 0.35 * coarse.clamp(-1, 1)
    head = y > 0.80
    albedo = tone * (1 + 0.025 * coarse + 0.02 * fine * (0.002 / pixel).clamp(0, 1))[:, None]
    face = head.nonzero()[:, 0]
    made, gloss = _face(skin, albedo[face], place[face], hollow[face], pixel[face])
    albedo = albedo.index_copy(0, face, made)
    red = place.new_tensor([0.05, -0.035, -0.03]) * (0.9 if skin.tone < 3 else 0.45)
    albedo = albedo + (0.4 * ruddy + _ruddy(x, y, z))[:, None] * red
    albedo = albedo * (1 - 0.5 * hollow)[:, None]
    shine = torch.full_like(x, 0.16).index_copy(0, face, gloss)
    hand = (x.abs() > 0.46).nonzero()[:, 0]
    nail = nails(place[hand])
    albedo = albedo.index_copy(
        0, hand, torch.lerp(albedo[hand], _nail_colour(skin, tone), 0.75 * nail[:, None])
    )
    shine = shine.index_copy(0, hand, torch.lerp(shine[hand], torch.full_like(nail, 0.6), nail))
    return albedo.clamp(0.02, 0.98), shine, torch.full_like(x, 0.9 if skin.tone < 3 else 0.6)


def _nail_colour(skin: Skin, tone: Tensor) -> Tensor:
    """(3,): a little paler and pinker than the skin, or painted as the lips are."""
    if skin.made_up > 0.75:
        return tone.new_tensor(skin.lips)
    return 0.75 * tone + 0.25 * tone.new_tensor([0.95, 0.74, 0.72])


def _ruddy(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Cheeks, nose, ears, hands: where blood shows (p,)."""
    a = x.abs()
    cheek = torch.exp(-(((a - 0.045) / 0.02) ** 2) - ((y - 0.872) / 0.018) ** 2) * (z > 0.05)
    nose = 0.9 * torch.exp(-((a / 0.014) ** 2) - ((y - 0.872) / 0.016) ** 2) * (z > 0.12)
    ear = 0.9 * ((a - 0.072) * 150).clamp(0, 1) * (y > 0.85)
    hand = 0.6 * ((a - 0.52) * 30).clamp(0, 1)
    return 1.3 * (cheek + nose + ear + hand)


def _face(skin: Skin, albedo: Tensor, place: Tensor, hollow: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Lips, brows, lashes, stubble and the roots of the hair on skin (p,3); its shine (p,)."""
    x, y, z = place.unbind(1)
    a, front = x.abs(), (z > 0.06).float()
    coarse, fine = spots(x * 3 + skin.phase, y * 3 + z, 0.25)
    soft = (0.7 * pixel).clamp_min(0.0009)
    if skin.freckles:
        many = scattered((x / 0.003).floor(), (y / 0.003).floor())
        albedo = torch.lerp(
            albedo,
            albedo * place.new_tensor([0.82, 0.7, 0.62]),
            (skin.freckles * 0.35 * (many > 0.8) * _ruddy(x, y, z).clamp(0, 1))[:, None],
        )
    mouth = lips(a, y, soft) * front
    albedo = torch.lerp(albedo, place.new_tensor(skin.lips), (0.8 * mouth)[:, None])
    line = torch.exp(-(((y - 0.8352) / 0.0011) ** 2)) * (a < 0.026) * front
    albedo = albedo * (1 - 0.55 * line)[:, None]
    within = (z < 0.1615 - 32 * a * a) & (a < 0.03) & (y > 0.8255) & (y < 0.846) & (z > 0.05)
    albedo = torch.where(within[:, None], place.new_tensor([0.28, 0.10, 0.10]), albedo)
    nostril = torch.exp(-(((a - 0.0088) / 0.0042) ** 2) - ((y - 0.8622) / 0.0026) ** 2) * (z > 0.13)
    albedo = albedo * (1 - 0.75 * nostril)[:, None]
    shadow = torch.exp(-(((a - 0.0325) / 0.016) ** 2) - ((y - 0.9105) / 0.007) ** 2) * front
    bags = torch.exp(-(((a - 0.031) / 0.013) ** 2) - ((y - 0.8985) / 0.003) ** 2) * front
    albedo = albedo * (1 - (0.12 + 0.18 * skin.made_up) * shadow - (0.06 + 0.14 * skin.age) * bags)[:, None]
    albedo = torch.lerp(
        albedo, place.new_tensor(skin.brows), (_brow(skin, a, y, fine, soft) * front)[:, None]
    )
    lash = _lashes(a, y, soft) * front * (z > 0.1)
    albedo = torch.lerp(
        albedo, place.new_tensor([0.06, 0.05, 0.05]), (lash * (0.4 + 0.4 * skin.made_up))[:, None]
    )
    if skin.age > 0.25:
        albedo = albedo * (1 - (skin.age - 0.25) * 0.16 * _lines(a, y, z))[:, None]
    hairy = torch.maximum(beard_share(skin, place, fine), _roots(skin, place, fine))
    albedo = torch.lerp(
        albedo, place.new_tensor(skin.hair) * (0.9 + 0.15 * fine.clamp(-1, 1))[:, None], hairy[:, None]
    )
    oily = 0.14 * torch.exp(-((a / 0.03) ** 2) - ((y - 0.94) / 0.05) ** 2)
    return albedo, (0.2 + oily + (0.25 + 0.2 * skin.made_up) * mouth) * (1 - hairy)


def lips(a: Tensor, y: Tensor, soft: Tensor) -> Tensor:
    """0..1 on the lips of the mean face; a: distance from the middle."""
    t = (a / 0.0262) ** 2
    top = 0.8425 - 0.0062 * t + 0.0012 * torch.exp(-(((a - 0.006) / 0.004) ** 2))
    bottom = 0.8232 + 0.0112 * t
    return ((torch.minimum(top - y, y - bottom)) / (2 * soft) + 0.5).clamp(0, 1)


def _brow(skin: Skin, a: Tensor, y: Tensor, fine: Tensor, soft: Tensor) -> Tensor:
    t = ((a - 0.013) / 0.04).clamp(0, 1)
    middle = 0.9215 + 0.0075 * torch.sin(2.3 * t) - 0.0035 * t**3
    half = skin.brow_width * (0.0036 - 0.0026 * t**2) + 0.0006 * fine
    ends = ((a - 0.0115) / 0.004).clamp(0, 1) * ((0.055 - a) / 0.006).clamp(0, 1)
    return 0.88 * ends * ((half - (y - middle).abs()) / (2.2 * soft) + 0.4).clamp(0, 1)


def _lashes(a: Tensor, y: Tensor, soft: Tensor) -> Tensor:
    """The dark rim of the upper lid, and a little of the lower."""
    u, v = (a - 0.0325) / 0.0132, (y - 0.9062) / 0.0049
    ring = ((u * u + v * v).sqrt() - 1.0).abs()
    upper = (1 - ring / (0.20 + soft / 0.006)).clamp(0, 1) * (v > -0.1)
    lower = 0.4 * (1 - ring / 0.2).clamp(0, 1) * (v <= -0.1)
    return (upper + lower) * (a > 0.017) * (a < 0.049)


def _lines(a: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Wrinkles of the forehead, beside the eyes and from nose to mouth."""
    brow = sum(torch.exp(-(((y - at + 0.3 * a * a / 0.06) / 0.0016) ** 2)) for at in (0.944, 0.953, 0.962))
    brow = brow * (a < 0.045) * (z > 0.08)
    fold = (
        torch.exp(-(((a - 0.022 - 0.5 * (0.862 - y).clamp_min(0)) / 0.0025) ** 2))
        * ((y - 0.838) * 80).clamp(0, 1)
        * (y < 0.866)
    )
    crow = (
        torch.exp(-(((a - 0.056) / 0.008) ** 2))
        * (0.5 + 0.5 * torch.cos((y - 0.905) * 1600))
        * ((y - 0.905).abs() < 0.012)
    )
    return (brow + fold + 0.7 * crow) * (z > 0.03)


def beard_region(style: str, place: Tensor) -> Tensor:
    """Metres (p,) inside the beard's outline on the mean face; below 0 outside."""
    x, y, z = place.unbind(1)
    a = x.abs()
    cheek = 0.850 + 0.75 * (a - 0.028).clamp_min(0) - 0.010 * torch.exp(-((a / 0.02) ** 2))
    moustache = torch.minimum(0.8555 - 0.22 * a - y, torch.minimum(y - 0.841, 0.031 - a))
    full = torch.minimum(
        cheek - y, torch.minimum(y - 0.785 - 0.25 * (0.11 - z).clamp_min(0), (z - 0.035) * 0.8)
    )
    chin = 0.026 - ((a / 1.05) ** 2 + (0.7 * (y - 0.822)) ** 2).sqrt()
    goatee = torch.maximum(torch.minimum(chin, 0.846 - y), moustache)
    region = {"moustache": moustache, "goatee": goatee}.get(style, torch.maximum(full, moustache))
    mouth = torch.minimum(torch.minimum(0.8425 - y, y - 0.8225), 0.027 - a) - 0.001
    return torch.minimum(region, -mouth)


def beard_share(skin: Skin, place: Tensor, fine: Tensor) -> Tensor:
    """How much of the skin (p,) hair of the beard hides, 0..1."""
    if skin.beard == "none":
        return torch.zeros_like(place[:, 0])
    soft = 0.022 if skin.beard == "stubble" else 0.011
    inside = (beard_region(skin.beard, place) / soft + 0.12 + 0.22 * fine).clamp(0, 1)
    inside = inside * inside * (3 - 2 * inside) * (place[:, 2] > 0.03)
    return inside * (0.30 if skin.beard == "stubble" else 0.86)


def _roots(skin: Skin, place: Tensor, fine: Tensor) -> Tensor:
    """Hair's roots on the scalp (p,), with an uneven line."""
    if skin.roots <= 0:
        return torch.zeros_like(place[:, 0])
    ear = (place[:, 0].abs() > 0.071) & (place[:, 1] < 0.925) & (place[:, 2] > 0.0)
    inside = (hairline(place, skin.receding) / 0.010 + 0.45 * fine + 0.1).clamp(0, 1)
    return skin.roots * inside * ~ear
