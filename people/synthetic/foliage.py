"""Leaves in front of a person: a bush, a plant at the side, leaves that hang into the picture, high grass."""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws
from .finishes import GREENS, shade_of
from .sheet import Occluder, Sheet

_CELLS = 24


def bush(draws: Draws, sheet: Sheet) -> Occluder:
    """Growth from below or from one side, with an uneven outline."""
    below = draws.chance(0.7)
    side = draws.pick((-1.0, 1.0))

    def envelope(x: Tensor, y: Tensor) -> Tensor:
        start = 1 - y if below else 0.5 - side * (x - 0.5)
        return start + 0.2 * torch.sin(x * bumps + phase) * torch.sin(y * 4 + phase)

    bumps, phase = draws.uniform(3, 9), draws.uniform(0, 6)
    return _leaves(
        draws,
        sheet,
        envelope,
        draws.uniform(0.04, 0.12),
        draws.uniform(0.35, 0.6),
        draws.uniform(0, 3.14),
        1.2,
    )


def hanging_leaves(draws: Draws, sheet: Sheet) -> Occluder:
    """A twig or a pot plant about one place of the person."""
    about = sheet.spot

    def envelope(x: Tensor, y: Tensor) -> Tensor:
        return ((x - about[0]) ** 2 + ((y - about[1]) * tall) ** 2 + 1e-6).sqrt()

    tall = draws.uniform(0.6, 1.2)
    return _leaves(
        draws,
        sheet,
        envelope,
        draws.uniform(0.06, 0.16),
        draws.uniform(0.25, 0.5),
        draws.uniform(0, 3.14),
        0.8,
    )


def grass(draws: Draws, sheet: Sheet) -> Occluder:
    """Blades and reeds from below."""
    return _leaves(
        draws, sheet, lambda x, y: 1 - y, draws.uniform(0.08, 0.16), draws.uniform(0.09, 0.16), 1.57, 0.35
    )


def _leaves(
    draws: Draws, sheet: Sheet, envelope, pitch: float, narrow: float, lean: float, spread: float
) -> Occluder:
    """Leaves on a jittered grid of that pitch, each as wide as `narrow` of its length, leaning about `lean`
    radians; those whose middle has a smaller envelope come first.
    """
    device = sheet.light.above.device
    hashes = draws.array(4, _CELLS, _CELLS).to(device)
    column, row = (sheet.x / pitch).floor(), (sheet.y / pitch).floor()
    best = torch.full_like(column, -1.0)
    reach = torch.full_like(column, 9.0)
    tone, rib, tilt = torch.zeros_like(reach), torch.zeros_like(reach), torch.zeros_like(reach)
    for dx, dy in ((i, j) for j in (-1, 0, 1) for i in (-1, 0, 1)):
        i, j = (column + dx), (row + dy)
        cell = (j.long() % _CELLS) * _CELLS + i.long() % _CELLS
        jitter_x, jitter_y, angle, rank = (h.flatten()[cell] for h in hashes)
        x, y = (i + jitter_x) * pitch, (j + jitter_y) * pitch
        turn = lean + (angle - 0.5) * 2 * spread
        c, s = turn.cos(), turn.sin()
        ahead = (c * (sheet.x - x) + s * (sheet.y - y)) / (pitch * 0.95)
        aside = (c * (sheet.y - y) - s * (sheet.x - x)) / (pitch * 0.95 * narrow)
        outside = (aside / (1 - 0.6 * ahead.clamp(-0.3, 1)).clamp_min(0.2)) ** 2 + ahead**2
        wins = (outside < 1) & (rank > best)
        best = torch.where(wins, rank, best)
        tone, rib, tilt = (
            torch.where(wins, new, old) for new, old in ((angle, tone), (aside, rib), (c, tilt))
        )
        found = envelope(x, y) + 0.012 * outside
        reach = torch.where(
            wins,
            found,
            torch.where(
                best < 0, torch.minimum(reach, found + 0.25 * (outside - 1).clamp_min(0).sqrt() + 0.45), reach
            ),
        )
    green = torch.tensor(shade_of(draws, draws.pick(GREENS), 0.1), device=device)[:, None, None] ** 2
    other = (
        torch.tensor(
            shade_of(draws, draws.pick((*GREENS, (0.5, 0.5, 0.25), (0.55, 0.3, 0.2))), 0.1), device=device
        )[:, None, None]
        ** 2
    )
    colour = torch.lerp(green, other, (tone * tone * 0.8)[None]) * (
        0.5 + 1.0 * best.clamp_min(0) + 0.12 * sheet.noise(sheet.x * 40, sheet.y * 40)
    )
    bent = (rib * 0.5).clamp(-0.7, 0.7)
    light = sheet.lit(
        (bent * tilt, 0.35 + 0.3 * bent * (1 - tilt.abs()), (0.75 - bent * bent).clamp_min(0.05).sqrt())
    )
    picture = colour * light * (1 + 0.35 * (rib.abs() < 0.08) - 0.2 * (rib > 0))
    picture = torch.where((best < 0)[None], green * light * 0.12, picture)
    soft = sheet.size * draws.uniform(0.012, 0.04) if draws.chance(0.3) else 1.0
    return Occluder(reach, lambda extent: picture, soft)
