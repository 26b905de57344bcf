"""Triangles to pixels: exact coverage of pixel centres and a depth buffer; what is seen, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from .camera import NEAREST, Camera
from .layers import Layer

_EDGE = 1e-5
"""Slack of the test whether a pixel's centre is inside, so that neighbours leave no crack."""


@dataclass(frozen=True)
class Samples:
    """P pixels' centres that show something, of a picture of `size` pixels a side.

    pixel (P,): row * size + column; layer (P,): number in `layers`; depth (P,) metres; position, normal
    (unit, towards the camera), rest, view (unit, towards the camera) (P,3); uv, part_uv (P,2); part (P,);
    pixel_size (P,): metres that a pixel covers there; inside (P,) bool: the surface's inner side is seen;
    corners (P,3): the triangle's vertices, counted through all layers; weights (P,3): their shares.
    """

    size: int
    layers: Sequence[Layer]
    pixel: Tensor
    layer: Tensor
    depth: Tensor
    position: Tensor
    normal: Tensor
    rest: Tensor
    uv: Tensor
    part: Tensor
    part_uv: Tensor
    view: Tensor
    pixel_size: Tensor
    inside: Tensor
    corners: Tensor
    weights: Tensor

    def where(self, *names: str) -> Tensor:
        """Indices (n,) of the samples of layers with these names."""
        wanted = torch.tensor([each.name in names for each in self.layers], device=self.pixel.device)
        return wanted[self.layer].nonzero()[:, 0]

    def picked(self, which: Tensor) -> Samples:
        """Those of the samples, by their indices (n,)."""
        values = {name: getattr(self, name).index_select(0, which) for name in _BY_SAMPLE}
        return replace(self, **values)

    def image(self, values: Tensor, empty: float = 0.0) -> Tensor:
        """(C,S,S) of values (P,C) or (P,), `empty` where nothing is seen."""
        flat = values.reshape(len(values), -1)
        out = flat.new_full((self.size * self.size, flat.shape[1]), empty)
        out[self.pixel] = flat
        return out.T.reshape(-1, self.size, self.size)


_BY_SAMPLE = tuple(each.name for each in fields(Samples) if each.name not in ("size", "layers"))


def rasterize(layers: Sequence[Layer], camera: Camera) -> Samples:
    """What the camera sees of the layers, at its own size."""
    device = layers[0].vertices.device
    seen = camera.project(torch.cat([layer.vertices for layer in layers]))
    faces, owner = _all_faces(layers, device)
    lift = torch.tensor([layer.lift for layer in layers], device=device)
    sided = torch.tensor([layer.two_sided for layer in layers], device=device)
    usable = _usable(seen, faces, sided[owner])
    faces, owner = faces.index_select(0, usable), owner.index_select(0, usable)
    corners = _rows(seen, faces)
    plane = _Plane(corners, camera.size)
    triangle, pixel, b1, b2 = plane.covered()
    keep = _kept(layers)
    if keep is not None:
        there = plane.mix(_rows(keep, faces)[..., 0] / corners[..., 2], triangle, b1, b2) >= 0
        triangle, pixel, b1, b2 = (values[there] for values in (triangle, pixel, b1, b2))
    near = plane.mix(1 / (corners[..., 2] - lift[owner, None]), triangle, b1, b2)
    key = (near.view(torch.int32).long() << 32) + triangle
    best = torch.zeros(camera.size * camera.size, dtype=torch.int64, device=device)
    best.scatter_reduce_(0, pixel, key, "amax")
    shown = best.nonzero()[:, 0]
    winner = best[shown] & 0xFFFFFFFF
    b1, b2 = plane.at(winner, shown)
    return _interpolate(layers, camera, shown, faces[winner], owner[winner], corners[winner], b1, b2)


class _Plane:
    """Barycentric coordinates of triangles as linear functions of the place in the picture, all float32."""

    def __init__(self, corners: Tensor, size: int) -> None:
        self._size = size
        a, b, c = corners[:, 0, :2], corners[:, 1, :2], corners[:, 2, :2]
        ab, ac = b - a, c - a
        over = 1 / (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
        low = (torch.minimum(torch.minimum(a, b), c) - 0.5).ceil().clamp(0, size)
        high = (torch.maximum(torch.maximum(a, b), c) - 0.5).floor().clamp(-1, size - 1) + 1
        wide, tall = (high - low).clamp_min(0).unbind(1)
        self._boxes = torch.stack([low[:, 0], low[:, 1], wide], 1)
        self._count = (wide * tall).long()
        self._rows = torch.stack(
            [a[:, 0], a[:, 1], ac[:, 1] * over, -ac[:, 0] * over, -ab[:, 1] * over, ab[:, 0] * over], 1
        )

    def covered(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Every triangle and pixel (n,) whose centre is in it, with the second and third corner's weights."""
        numbers = torch.arange(len(self._count), device=self._count.device)
        triangle = torch.repeat_interleave(numbers, self._count)
        start = self._count.cumsum(0) - self._count
        place = torch.arange(len(triangle), device=triangle.device) - start.index_select(0, triangle)
        rows = torch.cat([self._rows, self._boxes], 1).index_select(0, triangle).T
        place, wide = place.float(), rows[8]
        down = ((place + 0.5) / wide).floor()
        column, row = rows[6] + place - down * wide, rows[7] + down
        x, y = column + 0.5 - rows[0], row + 0.5 - rows[1]
        b1, b2 = rows[2] * x + rows[3] * y, rows[4] * x + rows[5] * y
        inside = (torch.minimum(torch.minimum(b1, b2), 1 - b1 - b2) >= -_EDGE).nonzero()[:, 0]
        pixel = (row * self._size + column).index_select(0, inside).long()
        return triangle[inside], pixel, b1[inside], b2[inside]

    def at(self, triangle: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (n,) of the second and third corner at the centres of those pixels."""
        rows = self._rows.index_select(0, triangle).T
        x, y = pixel % self._size + 0.5 - rows[0], pixel // self._size + 0.5 - rows[1]
        return rows[2] * x + rows[3] * y, rows[4] * x + rows[5] * y

    @staticmethod
    def mix(values: Tensor, triangle: Tensor, b1: Tensor, b2: Tensor) -> Tensor:
        """Values (T,3) of the corners at those places."""
        v = values.index_select(0, triangle)
        return v[:, 0] + b1 * (v[:, 1] - v[:, 0]) + b2 * (v[:, 2] - v[:, 0])


def _rows(table: Tensor, faces: Tensor) -> Tensor:
    """Rows (n,3,c) of a table (m,c) at the corners of faces (n,3)."""
    return table.index_select(0, faces.reshape(-1)).view(*faces.shape, table.shape[1])


def _all_faces(layers: Sequence[Layer], device: torch.device) -> tuple[Tensor, Tensor]:
    """Faces (T,3) into the concatenated vertices, and the layer (T,) of each."""
    faces, owner, start = [], [], 0
    for number, layer in enumerate(layers):
        faces.append(layer.faces + start)
        owner.append(torch.full((len(layer.faces),), number, dtype=torch.int64, device=device))
        start += len(layer.vertices)
    return torch.cat(faces), torch.cat(owner)


def _kept(layers: Sequence[Layer]) -> Tensor | None:
    """(n,1) of all vertices: where the surfaces end, or None when all are whole."""
    if all(layer.keep is None for layer in layers):
        return None
    whole = [layer.vertices.new_ones(len(layer.vertices)) for layer in layers]
    kept = [one if layer.keep is None else layer.keep for layer, one in zip(layers, whole, strict=True)]
    return torch.cat(kept)[:, None]


def _usable(seen: Tensor, faces: Tensor, sided: Tensor) -> Tensor:
    """(n,) faces before the camera that show their outer side, or have two, and may hold a centre."""
    x, y, depth = (row.index_select(0, faces.T.reshape(-1)).view(3, -1) for row in seen.T.contiguous())
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    # y points down in the picture, so the outer side runs the other way round there
    good = (area < -1e-9) | (sided & (area > 1e-9))
    good &= torch.minimum(torch.minimum(depth[0], depth[1]), depth[2]) > 2 * NEAREST
    for place in (x + 0.5, y + 0.5):
        low = torch.minimum(torch.minimum(place[0], place[1]), place[2])
        high = torch.maximum(torch.maximum(place[0], place[1]), place[2])
        good &= high.floor() > low.floor()
    return good.nonzero()[:, 0]


def _interpolate(
    layers: Sequence[Layer], camera: Camera, pixel: Tensor, faces: Tensor, owner: Tensor, corners: Tensor,
    b1: Tensor, b2: Tensor,
) -> Samples:  # fmt: skip
    """Values of the surface at the pixels, corrected for perspective."""
    table = torch.cat([
        torch.cat([layer.vertices, layer.vertex_normals(), layer.rest, layer.uv], 1) for layer in layers
    ])  # fmt: skip
    parts = _rows(torch.cat([layer.part for layer in layers])[:, None], faces)[..., 0]
    part_uv = _rows(torch.cat([layer.part_uv for layer in layers]), faces)
    weights = torch.stack([1 - b1 - b2, b1, b2], 1).clamp_min(0) / corners[..., 2]
    weights = weights / weights.sum(1, keepdim=True)
    values = _mixed(_rows(table, faces), weights)
    part = parts.gather(1, weights.max(1, keepdim=True).indices)
    own = weights * (parts == part)
    part_uv = _mixed(part_uv, own / own.sum(1, keepdim=True))
    position, normal = values[:, :3], values[:, 3:6]
    view = camera.eye.to(position.device) - position
    distance = view.norm(dim=1, keepdim=True)
    view = view / distance
    a, b, c = (corners[:, k, :2] for k in range(3))
    inside = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) > (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    normal = torch.where(inside[:, None], -normal, normal)
    depth = distance[:, 0]
    return Samples(
        camera.size, layers, pixel, owner, depth, position,
        normal / normal.norm(dim=1, keepdim=True).clamp_min(1e-9), values[:, 6:9], values[:, 9:11],
        part[:, 0].to(torch.uint8), part_uv.clamp(0, 1), view, depth / camera.focal_px, inside,
        faces, weights,
    )  # fmt: skip


def _mixed(values: Tensor, weights: Tensor) -> Tensor:
    """(n,c): values (n,3,c) of three corners by their weights (n,3)."""
    w = weights[..., None]
    return values[:, 0] * w[:, 0] + values[:, 1] * w[:, 1] + values[:, 2] * w[:, 2]
