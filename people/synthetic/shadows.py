"""Where a person keeps the light away: the lamp's by a shadow map, all other by a coarse solid of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_MAP = 80
_CELL = 0.04
_GRID = (32, 56, 32)
_FLOOR, _FLOOR_CELL = 56, 0.05
_BIAS, _FADE = 0.03, 0.08
_MARGIN, _NOTHING, _REACH = 0.25, -100.0, 3.5


@dataclass
class Shadows:
    """frame (3, 3): rows right, up and towards the lamp; reach (1, 1, N, N): how far towards the lamp the
    person comes about each cell; soft (1, 3, N, N): coverage, blurred a little and a lot, and reach,
    blurred a lot; solid (1, 2, D, H, W): how much of a small and of a large cube around each place is
    filled; floor (1, 2, N, N): what touches the ground, and what is above it, with its corner `stand`;
    middle (3,) of the person.
    """

    frame: Tensor
    low: Tensor
    step: Tensor
    reach: Tensor
    soft: Tensor
    solid: Tensor
    corner: Tensor
    floor: Tensor
    stand: Tensor
    middle: Tensor
    spread: float

    def open_to_lamp(self, points: Tensor, normals: Tensor) -> Tensor:
        """(P,) 0..1: share of the first lamp that reaches points of the person."""
        seen = (points + normals * 0.01) @ self.frame.T
        place = (seen[:, :2] - self.low) / (self.step * _MAP) * 2 - 1
        above = (_look_up(self.reach, place)[0] - seen[:, 2] - _BIAS) / _FADE
        above = above.clamp(0, 1)
        return 1 - above * above * (3 - 2 * above)

    def open_to_surroundings(self, points: Tensor, normals: Tensor) -> Tensor:
        """(P,) 0..1: how little of the person stands about points of the person."""
        size = points.new_tensor(_GRID) * _CELL
        place = (points + normals * 0.1 - self.corner) / size * 2 - 1
        filled = F.grid_sample(
            self.solid, place[None, None, None], mode="bilinear", padding_mode="zeros", align_corners=False
        )
        near, far = filled[0, :, 0, 0]
        return ((1 - 1.1 * near) * (1 - 0.9 * far)).clamp(0.15, 1)

    def on_ground(self, points: Tensor, rotation: Tensor, key_share: Tensor) -> Tensor:
        """(R,) 0..1: what the person leaves of the light on surroundings.

        points (3, R) in a frame that `rotation` (3, 3) takes the world to; key_share (R,): the first lamp's
        part of the light there.
        """
        left = torch.ones_like(key_share)
        x, y, z = points.unbind(0)
        about = (rotation @ self.middle).tolist()
        at = ((x - about[0]) ** 2 + (z - about[2]) ** 2 < _REACH**2).nonzero()[:, 0]
        near, share = rotation.T @ points[:, at], key_share[at]
        seen = self.frame @ near
        place = (seen[:2].T - self.low) / (self.step * _MAP) * 2 - 1
        covered, far, top = _look_up(self.soft, place)
        gap = (top / far.clamp_min(0.02) - seen[2]).clamp_min(0)
        amount = torch.lerp(covered, far, (gap * self.spread * 0.35).clamp(0, 1)) * (gap > 0)
        place = (near[[0, 2]].T - self.stand) / (_FLOOR * _FLOOR_CELL) * 2 - 1
        touching, above = _look_up(self.floor, place)
        contact = (0.75 * touching + 0.6 * above * (1 - share)).clamp(0, 0.9) * (
            1 - near[1].abs() / 0.5
        ).clamp(0, 1)
        left[at] = (1 - amount.clamp(0, 1) * share * 0.92) * (1 - contact)
        return left


def _look_up(maps: Tensor, place: Tensor) -> Tensor:
    """(C, R): maps (1, C, N, N) at places (R, 2) in -1..1, 0 outside."""
    found = F.grid_sample(maps, place[None, None], mode="bilinear", padding_mode="zeros", align_corners=False)
    return found[0, :, 0]


def cast(vertices: Tensor, direction: Tensor, wide: float) -> Shadows:
    """Shadows of a person of these vertices (n, 3) in a light from `direction` (3,), wide 0..1."""
    up = direction.new_tensor([0.0, 1.0, 0.0] if abs(float(direction[1])) < 0.95 else [1.0, 0.0, 0.0])
    right = torch.linalg.cross(up, direction)
    right = right / right.norm()
    frame = torch.stack([right, torch.linalg.cross(direction, right), direction])
    planes = vertices.T.contiguous()
    seen = frame @ planes
    low, high = seen[:2].amin(1) - _MARGIN, seen[:2].amax(1) + _MARGIN
    step = ((high - low).amax() / _MAP).expand(2)
    cell = ((seen[:2] - low[:, None]) / step[0]).long().clamp_(0, _MAP - 1)
    nearest = vertices.new_full((_MAP * _MAP,), _NOTHING)
    nearest = nearest.scatter_reduce(0, cell[1] * _MAP + cell[0], seen[2], "amax").view(_MAP, _MAP)
    reach, soft = _softened(nearest, wide)
    solid, corner = _solid(planes)
    floor, stand = _floor(planes)
    return Shadows(
        frame, low, step, reach, soft, solid, corner, floor, stand, vertices.mean(0), 0.6 + 2.2 * wide
    )


def _softened(nearest: Tensor, wide: float) -> tuple[Tensor, Tensor]:
    """How near the lamp, blurred a little (1, 1, N, N); coverage blurred a little and a lot, and how near
    the lamp, blurred a lot (1, 3, N, N).
    """
    found = (nearest > 0.5 * _NOTHING).float()
    little = _blur(_MAP, 1, 1, nearest.device)
    share = little @ found @ little
    covered = ((share > 0.5) | (found > 0)).float()
    height = torch.where(
        found > 0, nearest, (little @ (nearest * found) @ little) / share.clamp_min(1e-3) * covered
    )
    much = _blur(_MAP, 3 + round(4 * wide), 2, nearest.device)
    both = torch.stack([covered, height])
    spread = _blur(_MAP, 1 + round(wide), 2, nearest.device)
    filled = spread @ (nearest * found) @ spread / (spread @ found @ spread).clamp_min(1e-3)
    return filled[None, None], torch.cat([(little @ covered @ little)[None], much @ both @ much])[None]


@lru_cache(maxsize=32)
def _blur(size: int, reach: int, times: int, device: torch.device) -> Tensor:
    """(size, size): the mean over 2 reach + 1 neighbours, so many times, as a matrix."""
    line = torch.arange(size, device=device)
    near = ((line[:, None] - line[None, :]).abs() <= reach).float() / (2 * reach + 1)
    return torch.linalg.matrix_power(near, times)


def _solid(planes: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 2, D, H, W) share of the near and the far neighbourhood that is filled, and its lower corner
    (3,); planes (3, n).
    """
    columns, lines, layers = _GRID
    count = planes.new_tensor(_GRID)
    corner = (planes.amin(1) + planes.amax(1)) / 2 - count * _CELL / 2
    cell = ((planes - corner[:, None]) / _CELL).clamp_min_(0)
    cell = torch.minimum(cell, (count - 1)[:, None]).long()
    grid = planes.new_zeros(layers * lines * columns)
    grid[(cell[2] * lines + cell[1]) * columns + cell[0]] = 1.0
    grid = grid.view(layers, lines, columns)
    near = _sum_of_three(grid)
    far = _sum_of_three(_sum_of_three(near))
    return torch.stack([near / 27, far / 27**3])[None], corner


def _sum_of_three(grid: Tensor) -> Tensor:
    """Each cell of a solid (D, H, W) with its neighbours along every axis."""
    for axis in range(3):
        rest = grid.shape[axis] - 1
        total = grid.clone()
        total.narrow(axis, 1, rest).add_(grid.narrow(axis, 0, rest))
        total.narrow(axis, 0, rest).add_(grid.narrow(axis, 1, rest))
        grid = total
    return grid


def _floor(planes: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 2, N, N) seen from above: how near to the ground the person comes, for contact and for shade; its
    lower corner (x, z); planes (3, n).
    """
    flat = planes[[0, 2]]
    corner = (flat.amin(1) + flat.amax(1)) / 2 - _FLOOR * _FLOOR_CELL / 2
    cell = ((flat - corner[:, None]) / _FLOOR_CELL).long().clamp_(0, _FLOOR - 1)
    lowest = planes.new_full((_FLOOR * _FLOOR,), 9.0)
    lowest = lowest.scatter_reduce(0, cell[1] * _FLOOR + cell[0], planes[1].clamp_min(0), "amin").view(
        _FLOOR, _FLOOR
    )
    little, much = (_blur(_FLOOR, reach, 2, planes.device) for reach in (1, 3))
    touching = (1.5 * (little @ torch.exp(-lowest / 0.06) @ little)).clamp(0, 1)
    above = (1.6 * (much @ torch.exp(-lowest / 0.5) @ much)).clamp(0, 1)
    return torch.stack([touching, above])[None], corner
