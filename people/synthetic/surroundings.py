"""What is behind the person and what stands in front of them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws

OCCLUDERS = ("wall", "post", "box", "round", "hedge", "board")


def paint_background(draws: Draws, size: int) -> Tensor:
    """(B, 3, S, S): a wall and a floor of mottled colours with a few plain things standing about."""
    y, x = _grid(draws, size)
    wall = _mottled(draws, size, 0.10)
    floor = _mottled(draws, size, 0.10)
    horizon = draws.uniform(0.45, 1.15)[:, None, None, None]
    picture = torch.where(y > horizon, floor, wall)
    for _ in range(3):
        shown = draws.chance(0.45)[:, None, None, None]
        centre_x, centre_y = (
            draws.uniform(0, 1)[:, None, None, None],
            draws.uniform(0, 1)[:, None, None, None],
        )
        half_w, half_h = (
            draws.uniform(0.05, 0.3)[:, None, None, None],
            draws.uniform(0.05, 0.35)[:, None, None, None],
        )
        inside = ((x - centre_x).abs() < half_w) & ((y - centre_y).abs() < half_h)
        colour = draws.uniform(0.1, 0.9, 3)[:, :, None, None] * (1.0 - 0.25 * (y - centre_y) / half_h)
        picture = torch.where(inside & shown, 0.6 * colour.clamp(0, 1) + 0.4 * picture, picture)
    return picture.clamp(0, 1)


def place_occluder(
    draws: Draws, amodal_mask: Tensor, joints: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """A textured thing in front of the person, grown until it hides the wanted share of them.

    amodal_mask (B, 1, S, S); joints (B, 18, 3) in pixels: it grows from one of them; hidden (B,) share 0..1.
    Returns its coverage (B, 1, S, S) 0..1 and its picture (B, 3, S, S).
    """
    size = amodal_mask.shape[-1]
    growth, kind = _growth(draws, joints, size)
    person = torch.where(amodal_mask > 0.5, growth, torch.inf).flatten(1).sort(dim=1).values
    area = amodal_mask.flatten(1).sum(1)
    rank = (hidden * area).long().clamp(0, size * size - 1)
    reach = person.gather(1, rank[:, None]).reshape(-1, 1, 1, 1)
    reach = torch.where(
        (hidden <= 0).reshape(-1, 1, 1, 1) | ~torch.isfinite(reach), torch.full_like(reach, -1e6), reach
    )
    coverage = (reach - growth + 0.5).clamp(0, 1)
    rim = ((reach - growth) / (0.03 * size)).clamp(0, 1)
    return coverage, (_texture(draws, size, kind) * (0.72 + 0.28 * rim)).clamp(0, 1)


def _growth(draws: Draws, joints: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(B, 1, S, S): how far in pixels the thing must have grown to reach each pixel; and its kind (B,)."""
    y, x = _grid(draws, size)
    kind = draws.choice([0.22, 0.14, 0.22, 0.14, 0.16, 0.12])
    joint = draws.choice([0.4, 0.5, 0.8, 1, 1, 0.8, 1, 1, 1, 1.3, 1.2, 1, 1.3, 1.2, 0.1, 0.1, 0.1, 0.1])
    batch = torch.arange(len(joint), device=joint.device)
    centre = joints[batch, joint, :2] / size + draws.normal(0, 0.03, 2)
    tilt = draws.normal(0, 14)[:, None, None, None] * 0.0174533
    tilt = torch.where((kind == 5)[:, None, None, None], tilt + 0.6, tilt)
    dx, dy = x - centre[:, 0, None, None, None], y - centre[:, 1, None, None, None]
    across, along = tilt.cos() * dx + tilt.sin() * dy, tilt.cos() * dy - tilt.sin() * dx
    aspect = draws.uniform(0.5, 2.0)[:, None, None, None]
    wobble = _noise(draws, size, (5, 12, 30), 1) - 0.5
    from_below = draws.chance(0.75)[:, None, None, None]
    wall = torch.where(from_below, 1.0 - along - 0.5, along + 0.5)
    sideways = torch.where(draws.chance(0.5)[:, None, None, None], across, -across)
    wall = torch.where(draws.chance(0.25)[:, None, None, None], 0.5 - sideways, wall)
    fields = torch.stack([
        wall, across.abs(), torch.maximum(across.abs() * aspect, along.abs()),
        (across**2 * aspect + along**2).sqrt(), wall + 0.22 * wobble,
        across.abs() + 0.06 * (along - 0.1).abs(),
    ])  # fmt: skip
    return fields.gather(0, kind.reshape(1, -1, 1, 1, 1).expand(1, *fields.shape[1:])).squeeze(0) * size, kind


def _texture(draws: Draws, size: int, kind: Tensor) -> Tensor:
    """Mottled, planked, chequered or leafy, in colours of its own."""
    y, x = _grid(draws, size)
    base = _mottled(draws, size, 0.16)
    other = draws.uniform(0.05, 0.95, 3)[:, :, None, None]
    pitch = draws.uniform(0.05, 0.16)[:, None, None, None]
    planks = ((torch.cos((y + 0 * x) / pitch * 6.2832) - 0.9) * 20).sigmoid()
    checks = 0.5 * ((torch.cos(x / pitch * 6.2832) > 0).float() + (torch.cos(y / pitch * 6.2832) > 0).float())
    leaves = ((_noise(draws, size, (24, 48), 1) - 0.5) * 10).sigmoid()
    amounts = torch.stack([torch.zeros_like(planks), planks, checks * 0.7, leaves * 0.8])
    style = torch.where(kind == 4, 3, draws.choice([0.4, 0.28, 0.18, 0.14]))
    amount = amounts.gather(0, style.reshape(1, -1, 1, 1, 1).expand(1, *amounts.shape[1:])).squeeze(0)
    return torch.lerp(base, other.expand_as(base), amount)


def _mottled(draws: Draws, size: int, contrast: float) -> Tensor:
    colour = draws.uniform(0.08, 0.95, 3)[:, :, None, None]
    grey = colour.mean(1, keepdim=True)
    colour = torch.lerp(grey.expand_as(colour), colour, draws.uniform(0.25, 1.0)[:, None, None, None])
    strength = draws.uniform(0.2, 1.0)[:, None, None, None] * contrast * 2
    return (colour + strength * (_noise(draws, size, (3, 8, 20, 50), 3) - 0.5)).clamp(0, 1)


def _noise(draws: Draws, size: int, cells: tuple[int, ...], channels: int) -> Tensor:
    """(B, channels, S, S) smooth noise 0..1 of several scales; channels share the structure up to a tenth."""
    total, weight = torch.zeros((), device=draws.device), 0.0
    for octave, count in enumerate(cells):
        coarse = draws.uniform(0, 1, 1, count, count)
        strength = 0.62**octave
        total = total + strength * F.interpolate(
            coarse, size=(size, size), mode="bicubic", align_corners=False
        )
        weight += strength
    picture = (total / weight).clamp(0, 1)
    return (
        picture if channels == 1 else picture * (1 + 0.1 * draws.uniform(-1, 1, channels)[:, :, None, None])
    )


def _grid(draws: Draws, size: int) -> tuple[Tensor, Tensor]:
    line = (torch.arange(size, device=draws.device) + 0.5) / size
    return line[None, None, :, None], line[None, None, None, :]
