"""A surface to be drawn: skin, eyes, a garment, hair, a bag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .skeleton import Figure


@dataclass
class Layer:
    """Triangles of one kind.

    vertices (v,3) world; faces (f,3) int64; rest (v,3) where the vertex is on the unposed body, so that a
    pattern made of it follows the body; uv, part_uv (v,2); part (v,) DensePose labels of the body beneath, 0
    for a thing that is no part of the person; cloth: counts as clothing; two_sided: its inner side can be
    seen; lift: metres by which it is drawn nearer than it is, so that what it covers does not poke through;
    keep (v,): the surface ends where this falls below 0 between vertices, for clean hems and tips of hair.
    normals (v,3) are worked out when None.
    """

    name: str
    vertices: Tensor
    faces: Tensor
    rest: Tensor
    uv: Tensor
    part: Tensor
    part_uv: Tensor
    material: Any = None
    cloth: bool = False
    two_sided: bool = False
    lift: float = 0.0
    keep: Tensor | None = None
    normals: Tensor | None = None

    def vertex_normals(self) -> Tensor:
        """(v,3) of length 1, the mean of the faces round each vertex, by area."""
        if self.normals is None:
            self.normals = vertex_normals(self.vertices, self.faces)
        return self.normals


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """(v,3) of length 1: the mean of the normals of the faces round each vertex, by area."""
    corner = faces.T.reshape(-1)
    a, b, c = vertices.index_select(0, corner).view(3, -1, 3)
    normal = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices).index_add_(0, corner, normal.repeat(3, 1))
    return total / total.norm(dim=1, keepdim=True).clamp_min(1e-12)


def body_layers(figure: Figure, hidden: Tensor | None, skin: Any, eyes: Any) -> list[Layer]:
    """The skin, without the faces (F,) bool that are covered, and the eyes.

    Args:
        figure: the body.
        hidden: faces that are covered, or None.
        skin: its material.
        eyes: their material.
    """
    asset = figure.asset
    made = []
    for name, region, material in (("skin", "body", skin), ("eyes", "eyes", eyes)):
        span = asset.ranges[region]
        faces = asset.faces[region] - span.start
        if name == "skin" and hidden is not None:
            faces = faces[~hidden]
        vertices = figure.vertices[span]
        made.append(
            Layer(
                name, vertices, faces, figure.rest[span], asset.uv[span], asset.part[span],
                asset.part_uv[span], material, normals=vertex_normals(vertices, faces),
            )
        )  # fmt: skip
    return made
