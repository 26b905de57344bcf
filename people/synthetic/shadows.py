"""Where a person keeps the light away: from the lamp by a shadow map, from all around by a coarse solid of them."""

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
_BIAS, _MARGIN, _NOTHING = 0.035, 0.25, -100.0
_TAPS = ((0.0, 0.0), (0.8, 0.4), (-0.4, 0.9), (-0.9, -0.5), (0.5, -1.0))


@dataclass
class Shadows:
    """frame (3, 3): rows right, up and towards the lamp; nearest (N, N): how far towards the lamp the person
    reaches in each cell; soft (1, 3, N, N): coverage, blurred a little and a lot, and reach, blurred a lot;
    solid (1, 1, D, H, W): how much of a cube around each place is filled; floor (1, 2, N, N): what touches the ground, and what is above it.
    """

    frame: Tensor
    low: Tensor
    step: Tensor
    nearest: Tensor
    soft: Tensor
    solid: Tensor
    corner: Tensor
    floor: Tensor
    stand: Tensor
    spread: float

    def open_to_lamp(self, points: Tensor, normals: Tensor) -> Tensor:
        """(P,) 0..1: share of the first lamp that reaches points of the person."""
        seen = (points + normals * 0.012) @ self.frame.T
        place = (seen[:, :2] - self.low) / self.step
        blocked = torch.zeros_like(place[:, 0])
        for dx, dy in _TAPS:
            column = (place[:, 0] + dx * self.spread).long().clamp(0, _MAP - 1)
            line = (place[:, 1] + dy * self.spread).long().clamp(0, _MAP - 1)
            blocked += (self.nearest.flatten()[line * _MAP + column] > seen[:, 2] + _BIAS).float()
        return 1 - blocked / len(_TAPS)

    def open_to_surroundings(self, points: Tensor, normals: Tensor) -> Tensor:
        """(P,) 0..1: how little of the person stands about points of the person."""
        near = self._filled(points + normals * 0.06)
        far = self._filled(points + normals * 0.16)
        return ((1 - 1.0 * near) * (1 - 0.7 * far)).clamp(0.15, 1)

    def on_ground(self, points: Tensor, normals: Tensor, key_share: Tensor) -> Tensor:
        """(R,) 0..1: what a person leaves of the light on surroundings; key_share (R,): the lamp's part of it."""
        seen = points @ self.frame.T
        place = (seen[:, :2] - self.low) / (self.step * _MAP) * 2 - 1
        covered = F.grid_sample(
            self.soft, place[None, None], mode="bilinear", padding_mode="zeros", align_corners=False
        )
        near, far, top = covered[0, :, 0]
        gap = (top / far.clamp_min(0.02) - seen[:, 2]).clamp_min(0)
        amount = torch.lerp(near, far, (gap * self.spread * 0.35).clamp(0, 1)) * (gap > 0)
        near, wide = self._below(points)
        contact = (0.75 * near + 0.6 * wide * (1 - key_share)).clamp(0, 0.9) * (
            1 - points[:, 1].abs() / 0.5
        ).clamp(0, 1)
        return (1 - amount.clamp(0, 1) * key_share * 0.92) * (1 - contact)

    def _below(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """How much of the person stands on the ground at points (R, 3), and how much of them is just above."""
        place = (points[:, [0, 2]] - self.stand) / (_FLOOR * _FLOOR_CELL) * 2 - 1
        found = F.grid_sample(
            self.floor, place[None, None], mode="bilinear", padding_mode="zeros", align_corners=False
        )
        return found[0, 0, 0], found[0, 1, 0]

    def _filled(self, points: Tensor) -> Tensor:
        size = points.new_tensor(_GRID) * _CELL
        place = (points - self.corner) / size * 2 - 1
        grid = place[None, None, None]
        return F.grid_sample(self.solid, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[
            0, 0, 0, 0
        ]


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
    soft = _softened(nearest, wide)
    solid, corner = _solid(planes)
    floor, stand = _floor(planes)
    return Shadows(frame, low, step, nearest, soft, solid, corner, floor, stand, 0.6 + 2.2 * wide)


def _softened(nearest: Tensor, wide: float) -> Tensor:
    """(1, 3, N, N): coverage blurred a little and a lot, and how near the lamp, blurred a lot."""
    found = (nearest > 0.5 * _NOTHING).float()
    little = _blur(_MAP, 1, 1, nearest.device)
    share = little @ found @ little
    covered = ((share > 0.5) | (found > 0)).float()
    height = torch.where(
        found > 0, nearest, (little @ (nearest * found) @ little) / share.clamp_min(1e-3) * covered
    )
    much = _blur(_MAP, 3 + round(4 * wide), 2, nearest.device)
    both = torch.stack([covered, height])
    return torch.cat([(little @ covered @ little)[None], much @ both @ much])[None]


@lru_cache(maxsize=32)
def _blur(size: int, reach: int, times: int, device: torch.device) -> Tensor:
    """(size, size): the mean over 2 reach + 1 neighbours, so many times, as a matrix."""
    line = torch.arange(size, device=device)
    near = ((line[:, None] - line[None, :]).abs() <= reach).float() / (2 * reach + 1)
    return torch.linalg.matrix_power(near, times)


def _solid(planes: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 1, D, H, W) share of the neighbourhood that is filled, and its lower corner (3,); planes (3, n)."""
    columns, lines, layers = _GRID
    count = planes.new_tensor(_GRID)
    corner = (planes.amin(1) + planes.amax(1)) / 2 - count * _CELL / 2
    cell = ((planes - corner[:, None]) / _CELL).clamp_min_(0)
    cell = torch.minimum(cell, (count - 1)[:, None]).long()
    grid = planes.new_zeros(layers * lines * columns)
    grid[(cell[2] * lines + cell[1]) * columns + cell[0]] = 1.0
    grid = grid.view(layers, lines, columns)
    for axis in range(3):
        sum_of_three = grid.clone()
        sum_of_three.narrow(axis, 1, _grid_side(grid, axis)).add_(
            grid.narrow(axis, 0, _grid_side(grid, axis))
        )
        sum_of_three.narrow(axis, 0, _grid_side(grid, axis)).add_(
            grid.narrow(axis, 1, _grid_side(grid, axis))
        )
        grid = sum_of_three
    return (grid / 27)[None, None], corner


def _grid_side(grid: Tensor, axis: int) -> int:
    return grid.shape[axis] - 1


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
