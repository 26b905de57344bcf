"""Eyes: whites, iris and pupil, which turn with the eyeball."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws
from .patterns import scattered
from .wardrobe import Colour

IRISES: dict[str, Colour] = {
    "brown": (0.26, 0.15, 0.08),
    "dark": (0.14, 0.09, 0.06),
    "hazel": (0.40, 0.30, 0.15),
    "green": (0.33, 0.42, 0.27),
    "blue": (0.33, 0.47, 0.62),
    "grey": (0.45, 0.51, 0.55),
}
_CENTRE = (0.0309, 0.9096, 0.1359)
_IRIS, _PUPIL = 0.40, 0.17
"""Radius as an angle at the eyeball's middle."""


@dataclass(frozen=True)
class Eyes:
    """iris: colour 0..1; pupil: how wide, about 1."""

    iris: Colour
    pupil: float


def sample_eyes(draws: Draws, tone: int) -> Eyes:
    """Dark eyes for most, light ones on lighter skin."""
    light = (1.0, 0.8, 0.25, 0.05, 0.02)[tone]
    name = list(IRISES)[
        draws.choice([1.2, 0.5 + 1.5 * (1 - light), 0.6 * light, 0.5 * light, 0.9 * light, 0.4 * light])
    ]
    return Eyes(IRISES[name], draws.uniform(0.8, 1.35))


def paint_eyes(eyes: Eyes, place: Tensor) -> tuple[Tensor, Tensor]:
    """Albedo (p,3) and shine (p,) at places (p,3) of the mean person's eyeballs."""
    local = place - torch.stack([place[:, 0].sign() * _CENTRE[0], torch.full_like(place[:, 0], _CENTRE[1]),
                                 torch.full_like(place[:, 0], _CENTRE[2])], 1)  # fmt: skip
    local = local / local.norm(dim=1, keepdim=True).clamp_min(1e-6)
    angle = torch.acos(local[:, 2].clamp(-1, 1))
    iris = ((_IRIS - angle) / 0.05 + 0.5).clamp(0, 1)
    pupil = ((_PUPIL * eyes.pupil - angle) / 0.05 + 0.5).clamp(0, 1)
    turn = torch.atan2(local[:, 1], local[:, 0])
    rays = 0.8 + 0.4 * scattered((turn * 9).floor(), torch.zeros_like(turn))
    rim = 1 - 0.65 * ((angle - 0.30) / 0.1).clamp(0, 1)
    colour = place.new_tensor(eyes.iris) * (rays * rim)[:, None]
    white = place.new_tensor([0.80, 0.76, 0.73]) * (1 - 0.16 * (angle - 0.5).clamp(0, 1))[:, None]
    albedo = torch.lerp(
        torch.lerp(white, colour, iris[:, None]), torch.full_like(colour, 0.02), pupil[:, None]
    )
    shade = (
        1 - 0.5 * ((local[:, 1] - 0.08) / 0.35).clamp(0, 1) - 0.15 * ((-local[:, 1] - 0.2) / 0.3).clamp(0, 1)
    )
    return (albedo * shade[:, None]).clamp(0.01, 1), torch.full_like(angle, 0.85)
