"""From surfaces to colours: cloth patterns, skin, a face, soft light."""

import torch
from torch import Tensor

from .body import Body
from .capsules import Surface
from .clothes import Outfit, pattern_amount
from .figure import Figure


def shade(
    surface: Surface, figure: Figure, body: Body, outfit: Outfit, metres: Tensor, light: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, DensePose part and UV of every covered pixel.

    metres (B, H, W, 3): the point on the surface under each pixel, relative to the pelvis; light (B, 3) unit
    vectors. Returns colour (B, 3, H, W) 0..1, zero where there is nobody; part (B, H, W) uint8 0..24;
    uv (B, 2, H, W) 0..1.
    """
    covered = surface.capsule >= 0
    picture = torch.nonzero(covered)[:, 0]
    row = picture * figure.start.shape[1] + surface.capsule[covered]
    point, along = metres[covered], surface.along[covered]
    start, end, front, origin, axis = (
        _rows(v, row) for v in (figure.start, figure.end, figure.front, figure.origin, figure.axis)
    )
    centre = start + along[:, None] * (end - start)
    normal = _unit(point - centre)
    turn = torch.atan2(
        (torch.linalg.cross(front, axis) * (point - origin)).sum(1), (front * (point - origin)).sum(1)
    )
    radius = (point - centre).norm(dim=1)
    u, v = turn * (radius + 0.05), ((point - origin) * axis).sum(1)
    after = along > _rows(figure.cut, row)
    material = torch.where(after, _rows(figure.material_after, row), _rows(figure.material, row))
    colour = _material_colour(outfit, picture * outfit.colour.shape[1] + material, u, v)
    head = figure.is_head[surface.capsule[covered]]
    colour[head] = _paint_face(colour[head], body, outfit, picture[head], point[head])
    colour = colour * _light(normal, light[picture], u, v, material)[:, None]
    facing = (normal * front).sum(1) > 0
    index = surface.capsule[covered]
    part = torch.where(facing, figure.label_front[index], figure.label_behind[index])
    return (
        _spread(colour, covered),
        _spread(part[:, None], covered)[:, 0].to(torch.uint8),
        _spread(torch.stack([turn / 6.2831853 + 0.5, along], 1), covered),
    )


def _material_colour(outfit: Outfit, row: Tensor, u: Tensor, v: Tensor) -> Tensor:
    amount = pattern_amount(_rows(outfit.pattern, row), u, v, _rows(outfit.pitch, row))[:, None]
    return torch.lerp(_rows(outfit.colour, row), _rows(outfit.second_colour, row), amount)


def _light(normal: Tensor, light: Tensor, u: Tensor, v: Tensor, material: Tensor) -> Tensor:
    """Half ambient, half from the lamp, a little darker where the surface turns away, with faint folds
    in cloth.
    """
    diffuse = (normal * light).sum(1).clamp_min(0)
    folds = 1 + 0.05 * torch.sin(v * 70 + torch.sin(u * 45) * 1.5) * (material >= 2)
    return (0.56 + 0.5 * diffuse) * (0.72 + 0.28 * normal[:, 2].clamp_min(0)) * folds


def _paint_face(colour: Tensor, body: Body, outfit: Outfit, picture: Tensor, point: Tensor) -> Tensor:
    """Eyes that look where the head points, brows and a mouth, drawn in the head's own frame in units
    of its radius.
    """
    radius = (0.058 * body.proportions.height * body.proportions.head)[picture, None]
    local = torch.einsum("nij,ni->nj", body.head[picture], point - body.points["skull"][picture]) / radius
    x, y = local[:, 0], local[:, 1]
    ahead = local[:, 2] > 0.35
    side = x.abs() - 0.36
    eye = ahead & ((side / 0.17) ** 2 + ((y - 0.12) / 0.11) ** 2 < 1)
    iris = ahead & (side**2 + (y - 0.12) ** 2 < 0.085**2)
    brow = ahead & (side.abs() < 0.2) & ((y - 0.33 + side * side).abs() < 0.05)
    mouth = ahead & (x.abs() < 0.27) & ((y + 0.52 - 0.35 * x * x).abs() < 0.055)
    white, dark = colour.new_tensor([0.95, 0.95, 0.94]), colour.new_tensor([0.10, 0.08, 0.08])
    hair = outfit.colour[picture, 1] * 0.6
    lips = colour * colour.new_tensor([0.85, 0.5, 0.5])
    for where, paint in ((eye, white), (iris, dark), (brow, hair), (mouth, lips)):
        colour = torch.where(where[:, None], paint, colour)
    return colour


def _rows(table: Tensor, row: Tensor) -> Tensor:
    return table.reshape(-1, *table.shape[2:])[row]


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm(dim=1, keepdim=True).clamp_min(1e-6)


def _spread(values: Tensor, covered: Tensor) -> Tensor:
    """(N, C) values of the covered pixels into a picture (B, C, H, W) that is zero elsewhere."""
    picture = values.new_zeros(*covered.shape, values.shape[1])
    picture[covered] = values
    return picture.permute(0, 3, 1, 2)
