"""Leaves in front of a person: a bush, a plant at the side, leaves that hang into the picture, high grass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .draws import Draws
from .finishes import GREENS, shade_of
from .sheet import Occluder, Sheet

Envelope = Callable[[Tensor, Tensor], Tensor]


def bush(draws: Draws, sheet: Sheet) -> Occluder:
    """Growth from below or from one side, with an uneven outline."""
    below = draws.chance(0.7)
    side = draws.pick((-1.0, 1.0))

    def envelope(x: Tensor, y: Tensor) -> Tensor:
        start = 1 - y if below else 0.5 - side * (x - 0.5)
        return start + 0.2 * torch.sin(x * bumps + phase) * torch.sin(y * 4 + phase)

    bumps, phase = draws.uniform(3, 9), draws.uniform(0, 6)
    pitch, narrow = draws.uniform(0.04, 0.12), draws.uniform(0.35, 0.6)
    return _leaves(draws, sheet, envelope, pitch, narrow, draws.uniform(0, 3.14), 1.2)


def hanging_leaves(draws: Draws, sheet: Sheet) -> Occluder:
    """A twig or a pot plant about one place of the person."""
    about = sheet.spot

    def envelope(x: Tensor, y: Tensor) -> Tensor:
        return ((x - about[0]) ** 2 + ((y - about[1]) * tall) ** 2 + 1e-6).sqrt()

    tall = draws.uniform(0.6, 1.2)
    pitch, narrow = draws.uniform(0.06, 0.16), draws.uniform(0.25, 0.5)
    return _leaves(draws, sheet, envelope, pitch, narrow, draws.uniform(0, 3.14), 0.8)


def grass(draws: Draws, sheet: Sheet) -> Occluder:
    """Blades and reeds from below."""
    return _leaves(
        draws, sheet, lambda x, y: 1 - y, draws.uniform(0.08, 0.16), draws.uniform(0.09, 0.16), 1.57, 0.35
    )


def _leaves(
    draws: Draws, sheet: Sheet, envelope: Envelope, pitch: float, narrow: float, lean: float, spread: float
) -> Occluder:
    """Leaves on a jittered grid of that pitch, each as wide as `narrow` of its length, leaning about `lean`
    radians; those whose middle has a smaller envelope come first.
    """
    cells, count = _scattered(draws, sheet, envelope, pitch, lean, spread)
    column, row = (sheet.x / pitch).floor().long() + 1, (sheet.y / pitch).floor().long() + 1
    best = torch.full_like(sheet.x, -1.0)
    reach, gap = torch.full_like(best, 9.0), torch.full_like(best, 9.0)
    tone, rib, tilt = torch.zeros_like(best), torch.zeros_like(best), torch.zeros_like(best)
    for dx, dy in ((i, j) for j in (-1, 0, 1) for i in (-1, 0, 1)):
        found = cells.index_select(1, ((row + dy) * count + column + dx).view(-1)).view(7, *best.shape)
        x, y, c, s, rank, angle, start = found.unbind(0)
        right, down = sheet.x - x, sheet.y - y
        ahead = (c * right + s * down) / (pitch * 0.95)
        aside = (c * down - s * right) / (pitch * 0.95 * narrow)
        outside = (aside / (1 - 0.6 * ahead.clamp(-0.3, 1))) ** 2 + ahead * ahead
        wins = (outside < 1) & (rank > best)
        best, reach = torch.where(wins, rank, best), torch.where(wins, start + 0.012 * outside, reach)
        tone, rib, tilt = (
            torch.where(wins, new, old) for new, old in ((angle, tone), (aside, rib), (c, tilt))
        )
        gap = torch.minimum(gap, start + 0.25 * (outside - 1).clamp_min(0).sqrt() + 0.45)
    image = _paint(draws, sheet, best, tone, rib, tilt)
    soft = sheet.size * draws.uniform(0.012, 0.04) if draws.chance(0.3) else 1.0
    return Occluder(torch.where(best < 0, gap, reach), lambda extent: image, soft)


def _scattered(
    draws: Draws, sheet: Sheet, envelope: Envelope, pitch: float, lean: float, spread: float
) -> tuple[Tensor, int]:
    """(7, n * n) and n: each leaf's middle x, y, the cosine and sine of its direction, its rank, its tone and
    its envelope, from one cell before the picture's corner.
    """
    count = int(1 / pitch) + 4
    jitter_x, jitter_y, angle, rank = draws.array(4, count * count).to(sheet.light.above.device).unbind(0)
    cell = torch.arange(count * count, device=rank.device)
    x, y = ((cell % count) - 1 + jitter_x) * pitch, ((cell // count) - 1 + jitter_y) * pitch
    turn = lean + (angle - 0.5) * 2 * spread
    return torch.stack([x, y, turn.cos(), turn.sin(), rank, angle, envelope(x, y)]), count


def _paint(draws: Draws, sheet: Sheet, best: Tensor, tone: Tensor, rib: Tensor, tilt: Tensor) -> Tensor:
    """(3, S, S) linear: leaves in two colours, bent along the rib; dark where there is none."""
    tints = (*GREENS, (0.5, 0.5, 0.25), (0.55, 0.3, 0.2))
    green, other = (
        best.new_tensor(shade_of(draws, draws.pick(colours), 0.1))[:, None, None] ** 2
        for colours in (GREENS, tints)
    )
    level = 0.5 + 1.0 * best.clamp_min(0) + 0.12 * sheet.noise(sheet.x * 40, sheet.y * 40)
    bent = (rib * 0.5).clamp(-0.7, 0.7)
    facing = (0.75 - bent * bent).clamp_min(0.05).sqrt()
    light = sheet.lit((bent * tilt, 0.35 + 0.3 * bent * (1 - tilt.abs()), facing))
    image = torch.lerp(green, other, tone * tone * 0.8) * level * light
    image = image * (1 + 0.35 * (rib.abs() < 0.08) - 0.2 * (rib > 0))
    return torch.where(best < 0, green * light * 0.12, image)
