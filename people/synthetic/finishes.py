"""What the surfaces of rooms and streets look like: planks, tiles, bricks, windows, books, grass.

One description serves all of them: cells of some pitch with lines between them, a brightness or hue of its
own for each cell, and grain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws

Colour = tuple[float, float, float]
WHOLE = 100.0
"""Metres: a pitch above it means that the surface is one piece."""
_PERIOD, _TEXELS = 32, 256


@dataclass(frozen=True)
class Finish:
    """pitch: metres from cell to cell along u and v; line: share of a cell that is line, along u and v.

    bond: shift of every other row in cells; varied, tinted: how much cells differ in brightness and in hue;
    grain: strength of the noise, over `grain_size` metres along u and v; glow: light it gives by itself.
    """

    colour: Colour
    line_colour: Colour = (0.2, 0.2, 0.2)
    pitch: tuple[float, float] = (1e3, 1e3)
    line: tuple[float, float] = (0.0, 0.0)
    bond: float = 0.0
    varied: float = 0.0
    tinted: float = 0.0
    grain: float = 0.06
    grain_size: tuple[float, float] = (0.5, 0.5)
    glow: float = 0.0

    def row(self) -> list[float]:
        """The numbers in the order `paint` reads them."""
        return [
            *self.colour, *self.line_colour, *self.pitch, *self.line, self.bond, self.varied, self.tinted,
            self.grain, *self.grain_size, self.glow,
        ]  # fmt: skip


ROW = len(Finish((0.5, 0.5, 0.5)).row())


def paint(rows: Tensor, u: Tensor, v: Tensor, footprint: Tensor) -> tuple[Tensor, Tensor]:
    """Linear colour (3, R) and glow (R,) of points u, v (R,) in metres on surfaces of these finishes.

    rows (ROW, R), or (ROW, 1) for one finish; footprint (R,) or (1,): metres a pixel covers, so that what
    is finer fades.
    """
    colour, line_colour = rows[0:3], rows[3:6]
    pitch_u, pitch_v, line_u, line_v, bond, varied, tinted, grain, size_u, size_v, glow = rows[6:]
    fade = grain * 0.9 / (1 + (footprint * 4 / (size_u + size_v)) ** 2)
    brightness = 1 + fade * sample_noise(u / size_u, v / size_v)
    if rows.shape[1] > 1 or min(float(pitch_u), float(pitch_v)) < WHOLE:
        row_v = v / pitch_v
        cell_v = row_v.floor()
        row_u = u / pitch_u + bond * torch.remainder(cell_v, 2.0)
        cell_u = row_u.floor()
        soft_u, soft_v = footprint / pitch_u, footprint / pitch_v
        on_line = torch.maximum(
            _near_edge(row_u - cell_u, line_u, soft_u), _near_edge(row_v - cell_v, line_v, soft_v)
        )
        seen = (1 - torch.maximum(soft_u, soft_v)).clamp(0, 1)
        first, second = _cell_numbers(cell_u, cell_v)
        brightness = brightness + varied * (first - 0.5) * seen
        hue = torch.stack([second, (second + 0.37) % 1, (second * 1.7 + 0.61) % 1])
        colour = torch.lerp(
            torch.lerp(colour.expand_as(hue), hue * 0.8, tinted * seen), line_colour.expand_as(hue), on_line
        )
        glow = glow * (1 - 0.9 * on_line) * (1 + varied * (second - 0.5) * seen)
    return (colour * brightness).clamp(0.05, 1) ** 2, glow


def sample_noise(u: Tensor, v: Tensor) -> Tensor:
    """Noise of four octaves, about -1..1, the largest one unit of u and v wide; it repeats after 32 units."""
    around = _tile(u.device)
    grid = torch.stack([torch.remainder(u, _PERIOD), torch.remainder(v, _PERIOD)], -1) * (2.0 / _PERIOD) - 1
    noise = F.grid_sample(around, grid.view(1, 1, -1, 2), mode="bilinear", align_corners=True)
    return noise.view(u.shape)


@lru_cache(maxsize=4)
def _tile(device: torch.device) -> Tensor:
    """(1, 1, 257, 257): noise whose last row and column repeat the first."""
    generator = torch.Generator().manual_seed(1)
    total = torch.zeros(1, 1, _TEXELS, _TEXELS)
    for octave in range(4):
        cells = _PERIOD * 2**octave
        coarse = F.pad(
            torch.rand(1, 1, cells, cells, generator=generator) * 2 - 1, (2, 2, 2, 2), mode="circular"
        )
        scale = _TEXELS // cells
        fine = F.interpolate(coarse, scale_factor=scale, mode="bicubic", align_corners=False)
        total += fine[..., 2 * scale : 2 * scale + _TEXELS, 2 * scale : 2 * scale + _TEXELS] * 0.75**octave
    return F.pad(total / 1.6, (0, 1, 0, 1), mode="circular").to(device)


def _near_edge(place: Tensor, line: Tensor, soft: Tensor) -> Tensor:
    """Amount of line at a place 0..1 in its cell; a line finer than a pixel is as faint as it is thin."""
    distance = torch.minimum(place, 1 - place)
    width = soft.clamp(0.02, 1.0)
    return ((line / 2 - distance) / width + 0.5).clamp(0, 1) * (line / width).clamp(0, 1)


def _cell_numbers(cell_u: Tensor, cell_v: Tensor) -> tuple[Tensor, Tensor]:
    """Two numbers 0..1 of each cell, the same on every device."""
    mixed = (cell_u.clamp(-1e6, 1e6).long() * 73856093) ^ (cell_v.clamp(-1e6, 1e6).long() * 19349663)
    mixed = ((mixed ^ (mixed >> 13)) * 0x5BD1E995) & 0x7FFFFFFF
    return (mixed & 0xFFF).float() / 4096, ((mixed >> 13) & 0xFFF).float() / 4096


# -- colours and materials that rooms and streets share


def shade_of(draws: Draws, colour: Colour, amount: float = 0.05) -> Colour:
    """The colour, a little lighter or darker and a little off in hue."""
    level = draws.normal(1.0, amount * 1.5)
    red, green, blue = (min(max(c * level + draws.normal(0, amount * 0.4), 0.02), 0.98) for c in colour)
    return (red, green, blue)


def darker(colour: Colour, factor: float) -> Colour:
    """The colour times a factor."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def lively(draws: Draws, strength: float = 0.8) -> Colour:
    """Any hue, as things people buy are coloured."""
    value, hue = draws.uniform(0.15, 0.8), draws.uniform(0, 3)
    mix = strength * draws.uniform(0.1, 1.0) ** 1.6
    weights = [max(0.0, 1 - abs(((hue - k + 1.5) % 3) - 1.5)) for k in range(3)]
    top = max(weights)
    red, green, blue = (value * (1 - mix + mix * w / top) for w in weights)
    return (red, green, blue)


WOODS: tuple[Colour, ...] = (
    (0.72, 0.55, 0.38), (0.58, 0.40, 0.25), (0.42, 0.28, 0.18), (0.80, 0.67, 0.50), (0.30, 0.20, 0.15),
    (0.66, 0.60, 0.52),
)  # fmt: skip
WALLS: tuple[Colour, ...] = (
    (0.90, 0.89, 0.86), (0.86, 0.83, 0.77), (0.80, 0.80, 0.80), (0.92, 0.91, 0.90), (0.74, 0.78, 0.76),
    (0.78, 0.74, 0.66), (0.62, 0.67, 0.70), (0.55, 0.60, 0.52), (0.70, 0.58, 0.50), (0.36, 0.40, 0.44),
    (0.82, 0.76, 0.60), (0.60, 0.44, 0.40),
)  # fmt: skip
STONES: tuple[Colour, ...] = (
    (0.62, 0.60, 0.57), (0.50, 0.50, 0.50), (0.72, 0.69, 0.63), (0.42, 0.41, 0.40), (0.66, 0.58, 0.50),
)  # fmt: skip
BRICKS: tuple[Colour, ...] = ((0.56, 0.32, 0.25), (0.64, 0.42, 0.32), (0.48, 0.30, 0.26), (0.70, 0.62, 0.52))
GREENS: tuple[Colour, ...] = ((0.28, 0.38, 0.16), (0.34, 0.44, 0.20), (0.22, 0.32, 0.15), (0.42, 0.46, 0.22))


def wood(draws: Draws, plank: float = 0.0) -> Finish:
    """Wood whose grain runs along u; with `plank`, in planks that wide."""
    colour = shade_of(draws, draws.pick(WOODS))
    dark = darker(colour, 0.42)
    pitch, line = ((draws.uniform(0.8, 1.8), plank), (0.008, 0.05)) if plank else ((1e3, 1e3), (0.0, 0.0))
    return Finish(colour, dark, pitch, line, 0.37, 0.22 if plank else 0, 0.0, 0.16, (0.35, 0.02))


def masonry(draws: Draws) -> Finish:
    """Brick, block or clapboard."""
    colour, joint = shade_of(draws, draws.pick(BRICKS)), shade_of(draws, (0.66, 0.63, 0.58))
    return Finish(colour, joint, (0.24, 0.085), (0.05, 0.13), 0.5, 0.3, 0.03, 0.14, (0.4, 0.4))


def tiles(draws: Draws) -> Finish:
    """Square tiles or slabs of stone."""
    colour = shade_of(draws, draws.pick(STONES + WALLS[:4]))
    joint, pitch = shade_of(draws, (0.45, 0.44, 0.42)), draws.uniform(0.2, 0.7)
    return Finish(
        colour, joint, (pitch, pitch), (0.03, 0.03), draws.pick((0.0, 0.5)), 0.1, 0.0, 0.08, (0.15, 0.15)
    )


def plaster(draws: Draws, colours: tuple[Colour, ...] = WALLS) -> Finish:
    """A painted wall, faintly uneven."""
    return Finish(shade_of(draws, draws.pick(colours)), grain=0.035, grain_size=(0.6, 0.6))


def cloth(draws: Draws) -> Finish:
    """Upholstery or carpet, plain or woven."""
    colour, pitch, lines = lively(draws, 0.7), 1e3, (0.0, 0.0)
    if draws.chance(0.3):
        pitch, lines = draws.uniform(0.03, 0.2), (draws.uniform(0, 0.5), draws.uniform(0, 0.5))
    second = shade_of(draws, lively(draws, 0.5))
    return Finish(colour, second, (pitch, pitch), lines, grain=0.18, grain_size=(0.02, 0.02))
