"""Simple clothes, skin and hair, until the real ones are here."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws
from .layers import Layer, vertex_normals

COLOURS = {
    "red": (0.78, 0.13, 0.15), "orange": (0.91, 0.47, 0.12), "yellow": (0.92, 0.79, 0.20), "green": (0.20, 0.55, 0.25),
    "teal": (0.12, 0.55, 0.56), "blue": (0.20, 0.38, 0.80), "navy": (0.10, 0.14, 0.36), "purple": (0.46, 0.23, 0.60),
    "pink": (0.90, 0.50, 0.64), "brown": (0.42, 0.27, 0.16), "grey": (0.50, 0.51, 0.53), "black": (0.10, 0.10, 0.11),
    "beige": (0.80, 0.70, 0.54), "white": (0.88, 0.88, 0.87),
}
SKIN_NAMES = ("pale", "light", "beige", "brown", "dark")
SKINS = ((0.93, 0.76, 0.66), (0.86, 0.66, 0.53), (0.74, 0.52, 0.38), (0.55, 0.36, 0.25), (0.36, 0.23, 0.16))
HAIRS = {"black": (0.06, 0.05, 0.05), "brown": (0.25, 0.15, 0.09), "blond": (0.72, 0.56, 0.30), "red": (0.5, 0.2, 0.09), "grey": (0.6, 0.6, 0.61)}
SLEEVES = ("tank top", "t-shirt", "shirt")
PATTERNS = ("plain", "striped", "checked")


@dataclass
class Surface:
    albedo: Tensor
    normal: Tensor
    shine: Tensor
    sss: Tensor


@dataclass
class Look:
    woman: bool
    skin: int
    hair: str
    cut: str
    top: str
    second: str
    pattern: str
    sleeves: str
    bottoms: str
    bottom: str
    shoe: str
    loose: float
    hem: float
    iris: tuple[float, float, float]


def sample_look(seed: int, shape) -> Look:
    d, h = Draws(seed, "clothes"), Draws(seed, "hair")
    names = list(COLOURS)
    top = d.pick(names)
    bottom = d.pick([n for n in names if n != top])
    bottoms = ("trousers", "shorts", "skirt", "dress")[d.choice([0.5, 0.14, 0.18, 0.18] if shape.woman else [0.76, 0.24, 0, 0])]
    old = shape.oldness
    hair = ("black", "brown", "blond", "red", "grey")[h.choice([0.3, 0.34, 0.18, 0.08, 0.05 + 2.5 * max(0, old - 0.35)])]
    cut = ("bald", "short", "long")[h.choice([0.0, 0.3, 0.7] if shape.woman else [0.14, 0.8, 0.06])]
    skin = min(4, max(0, round(4 * shape.origins[0] + 1.6 * shape.origins[1] + d.normal(0, 0.7))))
    return Look(shape.woman, skin, hair, cut, top, d.pick([n for n in names if n != top]), PATTERNS[d.choice([0.6, 0.22, 0.18])],
                SLEEVES[d.choice([0.14, 0.44, 0.42])], bottoms, top if bottoms == "dress" else bottom, d.pick(names), d.uniform(0.004, 0.016), d.uniform(0, 1),
                d.pick([(0.25, 0.14, 0.07), (0.2, 0.3, 0.42), (0.28, 0.32, 0.18)]))


def _along_arm(mean: Tensor) -> Tensor:
    return (mean[:, 0].abs() - 0.185) * 0.7 + (0.662 - mean[:, 1]) * 0.7


def dress(figure, look: Look):
    a, span = figure.asset, figure.asset.ranges["tights"]
    mean, rest = a.mean[span], figure.rest[span]
    faces = a.faces["tights"] - span.start
    normal = vertex_normals(rest, faces)
    arm = (a.part[span] >= 15) & (a.part[span] <= 22) | (a.part[span] == 3) | (a.part[span] == 4)
    layers, covered = [], torch.zeros(len(mean), dtype=torch.bool, device=rest.device)

    def add(name, keep, grow, colour, lift, base="tights"):
        nonlocal covered
        s = a.ranges[base]
        r = figure.rest[s]
        f = a.faces[base] - s.start
        n = normal if base == "tights" else vertex_normals(r, f)
        made = r + n * (grow if torch.is_tensor(grow) else torch.full((len(r),), grow, device=r.device))[:, None]
        v = figure.pose_points(made, a.bones[s], a.weights[s])
        f = f[(keep[f] > 0).any(1)]
        layers.append(Layer(name, v, f, made, a.uv[s], a.part[s], a.part_uv[s], colour, cloth=name not in ("hair",), two_sided=True, lift=lift, keep=keep))
        if base == "tights":
            covered = covered | (keep > 0.02)

    y, x = mean[:, 1], mean[:, 0]
    sleeve = {"tank top": -0.02, "t-shirt": 0.17, "shirt": 0.43}[look.sleeves]
    neck = ((mean - torch.tensor([0.0, 0.735, 0.06], device=mean.device)) * torch.tensor([0.8, 1.0, 1.0], device=mean.device)).norm(dim=1) - (0.10 if look.sleeves != "tank top" else 0.13)
    bottom_hem = 0.13 if look.bottoms != "dress" else 0.0
    torso_keep = torch.minimum(y - bottom_hem, neck)
    keep = torch.where(arm, torch.minimum(sleeve - _along_arm(mean), neck), torch.minimum(torso_keep, torch.where(y > 0.6, sleeve + 0.12 - _along_arm(mean), torch.ones_like(y))))
    flare = look.loose * (1 + 0.8 * ((0.35 - y) / 0.3).clamp(0, 1))
    add("top", keep, flare, "top", 0.012)
    ankle = {"trousers": -0.69, "shorts": -0.22 + 0.1 * look.hem, "skirt": 0.02, "dress": 0.02}[look.bottoms]
    legs = torch.where(arm, torch.full_like(y, -1.0), torch.minimum(0.25 - y, y - ankle))
    add("bottom", legs, 0.003 + 0.5 * look.loose * ((0.1 - y) / 0.4).clamp(0, 1), "bottom", 0.008)
    add("shoes", torch.where(arm, torch.full_like(y, -1.0), (-0.715 - y)), 0.006, "shoe", 0.006)
    if look.bottoms in ("skirt", "dress"):
        s = a.ranges["skirt"]
        add("skirt", a.mean[s][:, 1] - (-0.22 - 0.35 * look.hem), 0.004, "bottom", 0.01, "skirt")
    body = a.ranges["body"]
    b = a.mean[body]
    if look.cut != "bald":
        line = (b[:, 1] - 0.945) + (0.085 - b[:, 2]) * 0.75
        ear = ((b[:, 0].abs() > 0.072) & (b[:, 1] < 0.925)).float()
        keep = torch.where(b[:, 1] > 0.82, torch.minimum(line, torch.full_like(line, 0.03)) - 0.1 * ear, torch.full_like(line, -1.0))
        f = a.faces["body"]
        f = f[(keep[f] > 0).any(1)]
        n = vertex_normals(figure.rest[body], f)
        thick = (0.006 + 0.016 * (keep / 0.03).clamp(0, 1))[:, None]
        made = figure.rest[body] + n * thick
        layers.append(Layer("hair", figure.pose_points(made, a.bones[body], a.weights[body]), f, made, a.uv[body], a.part[body], a.part_uv[body], "hair", two_sided=True, lift=0.008, keep=keep))
    if look.cut == "long":
        s = a.ranges["hair"]
        m = a.mean[s]
        keep = torch.minimum(m[:, 1] - (0.62 + 0.15 * look.hem), 0.085 - m[:, 2] + (0.9 - m[:, 1]).clamp_min(0) * 0.1)
        add("hair", keep, 0.0, "hair", 0.006, "hair")
    fb = a.faces["body"]
    tights_of = a.covers - span.start
    hidden = covered[tights_of][fb].all(1)
    return layers, hidden


def paint(look: Look, samples) -> Surface:
    device = samples.normal.device
    palette = {"top": COLOURS[look.top], "bottom": COLOURS[look.bottom], "shoe": COLOURS[look.shoe], "hair": HAIRS[look.hair]}
    table = torch.tensor([palette.get(l.material, SKINS[look.skin]) for l in samples.layers], device=device)
    albedo = table[samples.layer].clone()
    is_skin = torch.tensor([l.name == "skin" for l in samples.layers], device=device)[samples.layer]
    hair = torch.tensor([l.name == "hair" for l in samples.layers], device=device)[samples.layer]
    rest = samples.rest
    if look.pattern != "plain":
        top = torch.tensor([l.material == "top" or (look.bottoms == "dress" and l.material == "bottom") for l in samples.layers], device=device)[samples.layer]
        v = torch.cos(rest[:, 1] * 95)
        amount = (v * 4).sigmoid() if look.pattern == "striped" else 0.5 * (v > 0.2).float() + 0.5 * (torch.cos(rest[:, 0] * 95) > 0.2).float()
        amount = amount * top
        albedo = torch.lerp(albedo, torch.tensor(COLOURS[look.second], device=device).expand_as(albedo), amount[:, None])
    grain = torch.sin(rest[:, 0] * 900) * torch.sin(rest[:, 1] * 1100 + rest[:, 2] * 800)
    strands = torch.sin(rest[:, 0] * 420 + rest[:, 2] * 300)
    albedo = albedo * (1 + 0.05 * grain[:, None] * (~is_skin)[:, None] + 0.22 * (strands * hair)[:, None])
    eyes = torch.tensor([l.name == "eyes" for l in samples.layers], device=device)[samples.layer]
    if bool(eyes.any()):
        albedo = _eyes(samples, albedo, eyes, look)
    shine = torch.where(is_skin, 0.35, torch.where(eyes, 0.9, torch.where(hair, 0.5, 0.12)))
    return Surface(albedo.clamp(0.02, 0.97), samples.normal, shine, is_skin.float() * 0.6)


def _eyes(samples, albedo: Tensor, eyes: Tensor, look: Look) -> Tensor:
    layer = next(l for l in samples.layers if l.name == "eyes")
    device = albedo.device
    middle = [layer.rest[layer.rest[:, 0] < 0], layer.rest[layer.rest[:, 0] > 0]]
    centres = torch.stack([(m.amin(0) + m.amax(0)) / 2 for m in middle])
    radius = (middle[0][:, 1].amax() - middle[0][:, 1].amin()) / 2
    own = centres[(samples.rest[:, 0] > 0).long()]
    off = (samples.rest - own)[:, :2].norm(dim=1) / radius
    white = torch.tensor((0.86, 0.84, 0.82), device=device)
    colour = torch.where((off < 0.5)[:, None], torch.tensor(look.iris, device=device), white)
    colour = torch.where((off < 0.22)[:, None], torch.full_like(colour, 0.02), colour)
    return torch.where(eyes[:, None], colour, albedo)


def describe(look: Look) -> str:
    head = "no hair" if look.cut == "bald" else f"{look.cut} {look.hair} hair"
    top = f"{look.pattern} {look.top}" if look.pattern != "plain" else look.top
    if look.bottoms == "dress":
        return f"a {'woman' if look.woman else 'man'} with {head} in a {top} dress"
    article = "a " if look.bottoms == "skirt" else ""
    return f"a {'woman' if look.woman else 'man'} with {head} in {'an' if top[0] in 'aeiou' else 'a'} {top} {look.sleeves} and {article}{look.bottom} {look.bottoms}"


def sleeve_words(look: Look) -> str:
    return f" with {SKIN_NAMES[look.skin]} skin" + (f", {look.top} sleeve" if look.sleeves == "shirt" else "")
