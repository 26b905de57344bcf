"""The picture plane that things in front of a person are drawn on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .finishes import Finish, paint, sample_noise
from .light import Light

METRES = 1.9
"""About what the height of the picture measures where the thing stands."""


@dataclass(frozen=True)
class Occluder:
    """reach (S, S): how far it must have grown to cover each pixel, in picture heights; paint: its linear
    colour (3, S, S) at an extent; soft: width of its rim in pixels, wide where it is out of focus.
    """

    reach: Tensor
    paint: Callable[[float], Tensor]
    soft: float = 1.0


@dataclass(frozen=True)
class Sheet:
    """size: pixels a side; shift: of its noise; spot: a joint of the person, hands: between their hands, both
    x, y 0..1.
    """

    size: int
    light: Light
    shift: float
    spot: tuple[float, float]
    hands: tuple[float, float]

    @property
    def x(self) -> Tensor:
        """(S, S) 0..1 to the right."""
        return self._line()[None, :].expand(self.size, self.size)

    @property
    def y(self) -> Tensor:
        """(S, S) 0..1 downwards."""
        return self._line()[:, None].expand(self.size, self.size)

    def turned(self, angle: float, about: tuple[float, float]) -> tuple[Tensor, Tensor]:
        """Coordinates (S, S) along and across a direction, from a point."""
        c, s = math.cos(angle), math.sin(angle)
        dx, dy = self.x - about[0], self.y - about[1]
        return c * dx + s * dy, c * dy - s * dx

    def noise(self, u: Tensor, v: Tensor) -> Tensor:
        """Noise about -1..1, the largest of it one unit wide."""
        return sample_noise(u + self.shift, v)

    def finish(self, finish: Finish, u: Tensor, v: Tensor) -> Tensor:
        """(3, S, S) linear albedo of a finish at u, v in picture heights."""
        rows = torch.tensor(finish.row(), device=u.device)[:, None]
        footprint = torch.full((1,), METRES / self.size, device=u.device)
        colour, glow = paint(
            rows, ((u + self.shift) * METRES).reshape(-1), (v * METRES).reshape(-1), footprint
        )
        return (colour * (1 + glow)).reshape(3, self.size, self.size)

    def lit(self, normal: tuple[Tensor | float, Tensor | float, Tensor | float]) -> Tensor:
        """(3, ...) light on a surface of this normal x, y up, z to the camera."""
        nx, ny, nz = (
            n if isinstance(n, Tensor) else torch.full((1, 1), n, device=self.light.above.device)
            for n in normal
        )
        up = 0.5 + 0.5 * ny
        total = self.light.below[:, None, None] * (1 - up) + self.light.above[:, None, None] * up
        for direction, colour in zip(self.light.directions, self.light.colours, strict=True):
            toward = nx * direction[0] + ny * direction[1] + nz * direction[2]
            total = total + ((toward + 0.15) / 1.15).clamp_min(0) * colour[:, None, None]
        return total

    def gloss(self, normal: tuple[Tensor, Tensor, Tensor], sharp: float) -> Tensor:
        """(3, S, S) highlights of the lamps on a surface of this normal."""
        total = torch.zeros(3, 1, 1, device=self.light.above.device)
        for direction, colour in zip(self.light.directions, self.light.colours, strict=True):
            half = direction + direction.new_tensor([0.0, 0.0, 1.0])
            half = half / half.norm().clamp_min(1e-3)
            toward = (normal[0] * half[0] + normal[1] * half[1] + normal[2] * half[2]).clamp(0, 1)
            total = total + toward**sharp * colour[:, None, None]
        return total

    def _line(self) -> Tensor:
        return (torch.arange(self.size, device=self.light.above.device) + 0.5) / self.size


def cylinder(across: Tensor) -> tuple[Tensor, Tensor]:
    """Normal's part across and towards the camera of a round bar; across -1..1."""
    across = across.clamp(-0.98, 0.98)
    return across, (1 - across * across).sqrt()
