"""Light on what stands around a person: lamps, corners, the sun between houses, sky and haze."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .finishes import paint, sample_noise
from .light import Light
from .place import Place
from .raycast import Hits, blocked

_SMALL = 0.015
"""Square or cubic metres; what is smaller casts no shadow."""


def light_surroundings(
    place: Place, light: Light, hits: Hits, shell: Tensor, boxes: Tensor, balls: Tensor, shift: float,
    pixel: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Linear colour (3, R) of what the rays met, and the first lamp's share of the light there (R,).

    Args:
        place: what stands there.
        light: turned into the place's frame.
        hits: what the rays met.
        shell: the walls around.
        boxes: one a row.
        balls: one a row.
        shift: of the noise.
        pixel: (R,): how wide a pixel is there, seen straight.
    """
    colour, glow = paint(hits.rows, hits.u + shift, hits.v, pixel)
    shaded = _corners(place, hits, shell) * _under_things(boxes, hits)
    up = 0.5 + 0.5 * hits.normal[1]
    total = torch.lerp(light.below[:, None], light.above[:, None], up) * shaded
    first = torch.zeros_like(glow)
    for index, (lamp, toward) in enumerate(zip(light.lamps, light.directions, strict=True)):
        amount = _from_lamp(hits, torch.tensor(lamp.position), lamp.wide, place.indoors) * lamp.strength
        if not place.indoors and index == 0 and lamp.wide < 0.5:
            amount = amount * _sunlit(boxes, balls, hits, toward)
        total = torch.addcmul(total, amount[None], light.colours.new_tensor(lamp.colour)[:, None])
        first = amount * (sum(lamp.colour) / 3) if index == 0 else first
    mean = (total[0] + total[1] + total[2]) / 3
    return colour * (total + glow), (first / mean.clamp_min(1e-4)).clamp(0, 1)


def _from_lamp(hits: Hits, position: Tensor, wide: float, indoors: bool) -> Tensor:
    """(R,): light of a lamp at a place (3,) on the surfaces; 1 where it shines straight on one by the
    person.
    """
    away = position.to(hits.point)[:, None] - hits.point
    x, y, z = away.unbind(0)
    square = x * x + y * y + z * z
    nx, ny, nz = hits.normal.unbind(0)
    toward = (nx * x + ny * y + nz * z) * square.clamp_min(1e-6).rsqrt()
    wrap = 0.35 * wide
    amount = ((toward + wrap) / (1 + wrap)).clamp_min(0)
    if not indoors:
        return amount
    reach = float(position @ position)
    return amount * ((reach + 4.0) / (square + 4.0)).clamp_max(1.35)


def sky(place: Place, rays: Tensor, shift: float) -> Tensor:
    """(3, R) linear: blue above, pale at the horizon, clouds; rays (3, R)."""
    zenith, horizon = (rays.new_tensor(colour)[:, None] ** 2 for colour in (place.zenith, place.horizon))
    height = rays[1].clamp(0, 1)
    colour = torch.lerp(horizon, zenith, height.sqrt())
    far = 3 / (height + 0.12)
    noise = sample_noise(rays[0] * far * 0.7 + shift, rays[2] * far)
    amount = ((1.6 * noise + 1.6 * place.clouds - 0.6) * 0.8).clamp(0, 0.9)
    return colour + (0.92 - colour) * amount


def in_haze(place: Place, linear: Tensor, distance: Tensor) -> Tensor:
    """Linear colour (3, R) through the air of `distance` (R,) metres."""
    if place.haze <= 0:
        return linear
    air = linear.new_tensor(place.horizon)[:, None] ** 2
    return torch.lerp(linear, air, 1 - torch.exp(-distance * place.haze))


def _corners(place: Place, hits: Hits, shell: Tensor) -> Tensor:
    """(R,) 0..1: darker where walls meet."""
    if not place.indoors:
        return torch.ones_like(hits.distance)
    low, high = hits.point - shell[0::2, :1], shell[1::2, :1] - hits.point
    near = torch.exp(torch.minimum(low, high).clamp_min(0) * (-1 / 0.35)) * (1 - hits.normal.abs())
    x, y, z = (1 - 0.45 * near).unbind(0)
    return x * y * z


def _under_things(boxes: Tensor, hits: Hits) -> Tensor:
    """(R,) 0..1: darker on the floor under and beside what stands there."""
    base = (boxes[:, 3] - boxes[:, 0]) * (boxes[:, 5] - boxes[:, 2])
    boxes = boxes[(boxes[:, 1] < 0.9) & (boxes[:, 4] > 0.05) & (base > _SMALL)]
    side, points = _every_other(hits.point)
    x, z = points[0].contiguous(), points[2].contiguous()
    nearest = torch.full_like(x, 9.0)
    for box in boxes[:, :6].tolist():
        aside = (x - (box[0] + box[3]) / 2).abs_().sub_((box[3] - box[0]) / 2).clamp_min_(0)
        behind = (z - (box[2] + box[5]) / 2).abs_().sub_((box[5] - box[2]) / 2).clamp_min_(0)
        nearest = torch.minimum(nearest, aside.add_(behind).add_(max(box[1], 0) * 0.16 / 0.7))
    shaded = torch.exp(nearest * (-1 / 0.16))
    return 1 - 0.6 * _back_to_all(shaded, side) * (hits.point[1] < 0.03)


def _sunlit(boxes: Tensor, balls: Tensor, hits: Hits, sun: Tensor) -> Tensor:
    """(R,) 0..1: where no house and no tree keeps the sun away."""
    side, points = _every_other(hits.point + hits.normal * 0.02)
    return 1 - _back_to_all(
        blocked(points, sun, boxes[(boxes[:, 3:6] - boxes[:, :3]).prod(1) > _SMALL], balls), side
    )


def _every_other(points: Tensor) -> tuple[int, Tensor]:
    """Side of the picture and every other of its points (3, R) both ways: enough for what varies slowly."""
    side = round(points.shape[1] ** 0.5)
    return side, points.view(3, side, side)[:, ::2, ::2].reshape(3, -1)


def _back_to_all(values: Tensor, side: int) -> Tensor:
    coarse = (side + 1) // 2
    image = values.view(1, 1, coarse, coarse)
    return F.interpolate(image, (side, side), mode="bilinear", align_corners=False).reshape(-1)
