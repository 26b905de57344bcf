"""Surfaces of triangles: cut along a line, relaxed, given an edge of some thickness."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cut(table: Tensor, faces: Tensor, field: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The part of a surface where a field is above 0, with a clean edge through the triangles.

    Args:
        table: (v,c), values of the vertices, normals in columns 3..5, which the edge takes from the vertex
            inside.
        faces: (f,3).
        field: (v,), linear within a triangle.

    Returns:
        table (v+n,c) with the vertices of the edge behind the others; source (v+n,): the vertex each comes
        of; faces (g,3); edges (e,2), pairs of vertices.
    """
    inside = (field > 0).index_select(0, faces.flatten()).view(-1, 3)
    count = inside.sum(1)
    one, two = _first(faces, inside, count == 1), _first(faces, ~inside, count == 2)
    corner = torch.cat([one, two])
    start, many = len(table), len(corner)
    at = field[corner]
    t = (at[:, :1] / (at[:, :1] - at[:, 1:])).clamp(0.001, 0.999)
    new = torch.lerp(table[corner[:, :1]], table[corner[:, 1:]], t[..., None])
    ab = start + 2 * torch.arange(many, device=faces.device)
    ac = ab + 1
    n = len(one)
    made = torch.cat([
        faces[count == 3],
        torch.stack([one[:, 0], ab[:n], ac[:n]], 1),
        torch.stack([ab[n:], two[:, 1], two[:, 2]], 1),
        torch.stack([ab[n:], two[:, 2], ac[n:]], 1),
    ])  # fmt: skip
    edges = torch.cat([torch.stack([ab[:n], ac[:n]], 1), torch.stack([ac[n:], ab[n:]], 1)])
    own = torch.cat([one[:, :1].expand(-1, 2), two[:, 1:]]).flatten()
    source = torch.cat([torch.arange(start, device=faces.device), own])
    new = new.flatten(0, 1)
    new[:, 3:6] = table[own, 3:6]
    return torch.cat([table, new]), source, made, edges


def _first(faces: Tensor, wanted: Tensor, where: Tensor) -> Tensor:
    """Those faces, turned so that their wanted corner comes first."""
    chosen = faces[where]
    turn = wanted[where].long().argmax(1, keepdim=True)
    return chosen.gather(1, (turn + torch.arange(3, device=faces.device)) % 3)


def compact(table: Tensor, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of a table (v,c) that faces (f,3) need, the faces into them, and which rows (u,) they were."""
    used = torch.zeros(len(table), dtype=torch.bool, device=table.device)
    used[faces.flatten()] = True
    kept, number = used.nonzero()[:, 0], used.cumsum(0) - 1
    return table.index_select(0, kept), number[faces], kept


def hem(
    table: Tensor, source: Tensor, faces: Tensor, edges: Tensor, thickness: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The cloth's edge turned inwards: a strip from the edge, `thickness` metres against the normals.

    Columns 0..2 of the table are places and 3..5 normals.

    Args:
        table: (v,c), a row a corner.
        source: (v,), where each corner comes from.
        faces: (f,3) int.
        edges: (e,2) int, at which the cloth ends.
        thickness: metres.
    """
    start = len(table)
    rim = table[edges].clone()
    rim[..., :3] -= thickness * rim[..., 3:6]
    p, q = edges.unbind(1)
    pi = start + 2 * torch.arange(len(edges), device=faces.device)
    qi = pi + 1
    strip = torch.cat([torch.stack([p, pi, q], 1), torch.stack([q, pi, qi], 1)])
    return (
        torch.cat([table, rim.flatten(0, 1)]),
        torch.cat([source, source[edges].flatten()]),
        torch.cat([faces, strip]),
    )


def neighbours(faces: Tensor, count: int) -> Tensor:
    """(count,8) of the vertices beside each vertex; rows are filled up with the vertex itself."""
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = torch.unique(torch.cat([pairs, pairs.flip(1)]), dim=0)
    first, second = pairs.unbind(1)
    rank = torch.arange(len(pairs)) - torch.searchsorted(first.contiguous(), first.contiguous())
    keep = rank < 8
    table = torch.arange(count)[:, None].repeat(1, 8)
    table[first[keep], rank[keep]] = second[keep]
    return table


def relaxed(
    points: Tensor, beside: Tensor, share: float, rounds: int, normals: Tensor | None = None
) -> Tensor:
    """Points (v,3) drawn towards the middle of their neighbours, a few times; along their normals alone where
    those are given, so that nothing slides over the surface.

    Args:
        points: (v,3).
        beside: (v,k) int, the neighbours of each.
        share: of the way, 0..1.
        rounds: how often.
        normals: (v,3), or None.
    """
    for _ in range(rounds):
        move = F.embedding_bag(beside, points, mode="mean") - points
        if normals is not None:
            move = (move * normals).sum(1, keepdim=True) * normals
        points = points + share * move
    return points


def tube(rings: int, around: int) -> Tensor:
    """Faces (f,3) of a closed tube of `rings` rings of `around` vertices, ring after ring, outer side out
    when the rings go upwards and each runs from +x over +z.
    """
    i = torch.arange(rings - 1)[:, None] * around
    j = torch.arange(around)[None, :]
    k = (j + 1) % around
    a, b, c, d = (x.flatten() for x in (i + j, i + k, i + around + j, i + around + k))
    return torch.cat([torch.stack([a, c, b], 1), torch.stack([b, c, d], 1)])
