"""Stands in for looks and scene until those are here."""
from __future__ import annotations
from dataclasses import dataclass
import torch
from .draws import Draws
from .layers import Layer
COLOURS = {"red": (.78, .13, .15), "blue": (.2, .38, .8), "green": (.2, .55, .25), "grey": (.5, .51, .53), "white": (.88, .88, .87), "navy": (.1, .14, .36)}
SKINS = ((.95, .78, .67), (.88, .67, .52), (.74, .52, .37), (.55, .36, .24), (.36, .23, .16))
@dataclass
class Surface:
    albedo: torch.Tensor
    normal: torch.Tensor
    shine: torch.Tensor
    sss: torch.Tensor
@dataclass
class Look:
    woman: bool
    skin: int
    eyes: object
    top: str
    bottom: str
    hair: str = "brown"
def sample_look(seed, shape):
    d = Draws(seed, "clothes")
    return Look(shape.woman, d.choice([1] * 5), None, d.pick(list(COLOURS)), d.pick(list(COLOURS)))
def dress(figure, look):
    a = figure.asset
    sp = a.ranges["tights"]
    f = a.faces["tights"] - sp.start
    y = a.mean[sp][f][..., 1].mean(1)
    layers = []
    for name, sel, colour in (("top", y > .12, look.top), ("bottom", y <= .12, look.bottom)):
        layers.append(Layer(name, figure.vertices[sp], f[sel], figure.rest[sp], a.uv[sp], a.part[sp], a.part_uv[sp], COLOURS[colour], cloth=True, two_sided=True, lift=.012))
    sh = a.ranges["hair"]
    layers.append(Layer("hair", figure.vertices[sh], a.faces["hair"] - sh.start, figure.rest[sh], a.uv[sh], a.part[sh], a.part_uv[sh], (.3, .18, .1), two_sided=True, lift=.02))
    return layers, None
def paint(look, samples):
    table = [l.material if l.material is not None else SKINS[look.skin] for l in samples.layers]
    alb = torch.tensor(table, device=samples.normal.device)[samples.layer]
    z = torch.zeros(len(alb), device=alb.device)
    return Surface(alb, samples.normal, z, z)
def describe(look):
    return f"a {'woman' if look.woman else 'man'} with {look.hair} hair in a {look.top} shirt and {look.bottom} trousers"
def sample_light(seed):
    d = Draws(seed, "light")
    v = torch.tensor([d.uniform(-.8, .8), d.uniform(.3, 1), d.uniform(.4, 1)])
    return v / v.norm()
def shade(samples, surface, light):
    return ((.35 + .65 * (samples.normal @ light.to(samples.normal.device)).clamp_min(0))[:, None] * surface.albedo).clamp(0, 1)
def background(seed, size):
    d = Draws(seed, "background")
    c = torch.tensor(d.numbers(3, .2, .9))[:, None, None]
    f = torch.tensor(d.numbers(3, .2, .9))[:, None, None]
    rows = torch.arange(size)[None, :, None] > size * .75
    return torch.where(rows, f, c).expand(3, size, size).clone()
def occluder(seed, share, amodal, joints):
    d = Draws(seed, "occluder")
    size = amodal.shape[-1]
    grid = torch.arange(size) + .5
    x = (d.uniform(-1, 1) * grid[None, :] + (d.uniform(-1, 1)) * grid[:, None])
    reach = torch.where(amodal[0] > .5, x, torch.inf).flatten().sort().values
    at = reach[int(min(share * float(amodal.sum()), size * size - 1))] if share > 0 else -1e9
    return (x < at).float()[None], torch.tensor(d.numbers(3))[:, None, None].expand(3, size, size)
SKIN_NAMES = ("pale", "light", "beige", "brown", "dark")
def sleeve_words(look):
    return f" with {SKIN_NAMES[look.skin]} skin, {look.top} sleeve"
