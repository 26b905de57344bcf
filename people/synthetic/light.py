"""Light on people: lamps with colours, light from all over, shadows, skin that glows a little, things that
shine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from .draws import Draws
from .finishes import Colour
from .place import Lamp

if TYPE_CHECKING:
    from .materials import Surface
    from .rasterize import Samples

CHEST = 1.2
_LUMINANCE = (0.3, 0.6, 0.1)
_SHOULDER = 0.62
_BALANCED = 0.65


@dataclass(frozen=True)
class Light:
    """directions (n, 3) unit, from the person to each lamp, the strongest first; colours (n, 3) linear, with
    strength and exposure in them; above, below (3,) linear light from the upper and lower half; wide: 0..1,
    how soft shadows are. World space. lamps: as in the place, exposure in them too.
    """

    directions: Tensor
    colours: Tensor
    above: Tensor
    below: Tensor
    wide: float
    lamps: list[Lamp]

    def turned(self, rotation: Tensor) -> Light:
        """The same light in a frame that `rotation` (3, 3) takes the world to."""
        places = (rotation.cpu() @ torch.tensor([lamp.position for lamp in self.lamps]).T).T.tolist()
        lamps = [replace(lamp, position=tuple(p)) for lamp, p in zip(self.lamps, places, strict=True)]
        return replace(self, directions=self.directions @ rotation.T, lamps=lamps)


class Shade(Protocol):
    """Answers how much light is kept from points: of the first lamp, and of the surroundings."""

    def open_to_lamp(self, points: Tensor, normals: Tensor) -> Tensor: ...

    def open_to_surroundings(self, points: Tensor, normals: Tensor) -> Tensor: ...


def sample_light(
    seed: int, lamps: list[Lamp], above: Colour, below: Colour, device: torch.device | str = "cpu"
) -> Light:
    """The lamps of a place, exposed as a camera would: for the person for the most part.

    Args:
        seed: of the picture.
        lamps: of the place.
        above: colour from above.
        below: colour from the ground.
        device: of the tensors.
    """
    draws = Draws(seed, "light")
    lamps = sorted(lamps, key=lambda lamp: -lamp.strength)[:4]
    directions = [_unit((x, y - CHEST, z)) for x, y, z in (lamp.position for lamp in lamps)]
    facing = sum(
        lamp.strength * max(0.0, 0.75 * d[2] + 0.5 * d[1]) for lamp, d in zip(lamps, directions, strict=True)
    )
    around = sum(w * (a + b) / 2 for w, a, b in zip(_LUMINANCE, above, below, strict=True))
    everything = sum(lamp.strength for lamp in lamps)
    level = draws.uniform(1.0, 1.35) / (0.15 + 0.5 * (facing + around) + 0.4 * (0.8 * everything + around))
    gain = _balance(lamps, above, below, level)
    exposed = [Lamp(lamp.position, _times(lamp.colour, gain), lamp.strength, lamp.wide) for lamp in lamps]
    colours = [_times(lamp.colour, (lamp.strength,) * 3) for lamp in exposed]
    return Light(
        torch.tensor(directions, device=device), torch.tensor(colours, device=device),
        torch.tensor(_times(above, gain), device=device), torch.tensor(_times(below, gain), device=device),
        lamps[0].wide, exposed,
    )  # fmt: skip


def shade(samples: Samples, surface: Surface, light: Light, shadows: Shade) -> Tensor:
    """(P, 3) colour of a picture 0..1 of the samples.

    Args:
        samples: where.
        surface: what is there.
        light: that falls on it.
        shadows: what keeps light off.
    """
    albedo = surface.albedo.clamp(0.03, 1) ** 2
    normal, view = surface.normal, samples.view
    open_around = shadows.open_to_surroundings(samples.position, samples.normal)
    up = (0.5 + 0.5 * normal[:, 1])[:, None]
    around = (
        torch.lerp(light.below.expand_as(albedo), light.above.expand_as(albedo), up) * open_around[:, None]
    )
    facing = (normal * view).sum(1).clamp(0.02, 1)
    edge = (1 - facing) ** 4
    glow = torch.stack([0.32 * surface.sss, 0.14 * surface.sss, 0.08 * surface.sss], 1)
    exponent = 6 + 90 * surface.shine**2
    total, gloss = around, around * (0.02 + 0.25 * surface.shine * edge)[:, None]
    for index, (direction, colour) in enumerate(zip(light.directions, light.colours, strict=True)):
        open_to = shadows.open_to_lamp(samples.position, samples.normal) if index == 0 else open_around
        wrap = glow + 0.25 * light.lamps[index].wide
        toward = (normal @ direction)[:, None]
        total = total + ((toward + wrap) / (1 + wrap)).clamp_min(0) * open_to[:, None] * colour
        half = view + direction
        spark = ((normal * half).sum(1) / half.norm(dim=1).clamp_min(1e-3)).clamp(0, 1) ** exponent
        amount = (
            spark * surface.shine * (0.12 + 0.5 * edge) * (0.3 + exponent / 40) * (toward[:, 0] > 0) * open_to
        )
        gloss = gloss + amount[:, None] * colour
    fuzz = (edge * 0.25 * (1 - surface.shine) * (1 - surface.sss))[:, None]
    return to_image(albedo * total * (1 + fuzz) + gloss)


def to_image(linear: Tensor) -> Tensor:
    """Linear light 0.. to a picture 0..1: bright parts roll off as on film, then the display's
    curve, taken as a square root."""
    knee, room = _SHOULDER, 1 - _SHOULDER
    rolled = knee + room * (1 - torch.exp(-(linear - knee).clamp_min(0) / room))
    return torch.where(linear < knee, linear.clamp_min(0), rolled).clamp(1e-6, 1).sqrt()


def _unit(v: tuple[float, float, float]) -> tuple[float, float, float]:
    length = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) or 1.0
    return (v[0] / length, v[1] / length, v[2] / length)


def _balance(lamps: list[Lamp], above: Colour, below: Colour, level: float) -> Colour:
    """The gains of red, green and blue of a camera that finds most of what white is here."""
    white = [
        (above[i] + below[i]) / 2 + 0.6 * sum(lamp.colour[i] * lamp.strength for lamp in lamps)
        for i in range(3)
    ]
    middle = sum(w * value for w, value in zip(_LUMINANCE, white, strict=True))
    red, green, blue = (level * (middle / max(value, 1e-3)) ** _BALANCED for value in white)
    return (red, green, blue)


def _times(colour: Colour, factor: Colour) -> Colour:
    return (colour[0] * factor[0], colour[1] * factor[1], colour[2] * factor[2])
