"""Where a person keeps the light away: from the lamp by a shadow map, from all around by a coarse solid of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_MAP = 80
_CELL = 0.04
_GRID = (32, 56, 32)
_FLOOR, _FLOOR_CELL = 56, 0.05
_BIAS = 0.035
_TAPS = ((0.0, 0.0), (0.8, 0.4), (-0.4, 0.9), (-0.9, -0.5), (0.5, -1.0))


@dataclass
class Shadows:
    """frame (3, 3): rows right, up and towards the lamp; nearest (N, N): how far towards the lamp the person
    reaches in each cell, -inf where they are not; soft (1, 2, N, N): that coverage, blurred a little and a lot;
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
        covered = F.grid_sample(self.soft, place[None, None], mode="bilinear", padding_mode="zeros", align_corners=False)
        near, far, top = covered[0, :, 0]
        gap = (top / far.clamp_min(0.02) - seen[:, 2]).clamp_min(0)
        amount = torch.lerp(near, far, (gap * self.spread * 0.35).clamp(0, 1)) * (gap > 0)
        near, wide = self._below(points)
        contact = (0.75 * near + 0.6 * wide * (1 - key_share)).clamp(0, 0.9) * (1 - points[:, 1].abs() / 0.5).clamp(0, 1)
        return (1 - amount.clamp(0, 1) * key_share * 0.92) * (1 - contact)

    def _below(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """How much of the person stands on the ground at points (R, 3), and how much of them is just above."""
        place = (points[:, [0, 2]] - self.stand) / (_FLOOR * _FLOOR_CELL) * 2 - 1
        found = F.grid_sample(self.floor, place[None, None], mode="bilinear", padding_mode="zeros", align_corners=False)
        return found[0, 0, 0], found[0, 1, 0]

    def _filled(self, points: Tensor) -> Tensor:
        size = points.new_tensor(_GRID) * _CELL
        place = (points - self.corner) / size * 2 - 1
        grid = place[None, None, None]
        return F.grid_sample(self.solid, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0, 0, 0, 0]


def cast(vertices: Tensor, direction: Tensor, wide: float) -> Shadows:
    """Shadows of a person of these vertices (n, 3) in a light from `direction` (3,), wide 0..1."""
    up = direction.new_tensor([0.0, 1.0, 0.0]) if abs(float(direction[1])) < 0.95 else direction.new_tensor([1.0, 0.0, 0.0])
    right = torch.linalg.cross(up, direction)
    right = right / right.norm()
    frame = torch.stack([right, torch.linalg.cross(direction, right), direction])
    seen = vertices @ frame.T
    margin = 0.25
    low, high = seen[:, :2].amin(0) - margin, seen[:, :2].amax(0) + margin
    step = ((high - low).amax() / _MAP).expand(2)
    cell = ((seen[:, :2] - low) / step).long().clamp(0, _MAP - 1)
    nearest = vertices.new_full((_MAP * _MAP,), -torch.inf)
    nearest = nearest.scatter_reduce(0, cell[:, 1] * _MAP + cell[:, 0], seen[:, 2], "amax").view(_MAP, _MAP)
    found = torch.isfinite(nearest)[None, None]
    covered = -F.max_pool2d(-F.max_pool2d(found.float(), 3, 1, 1), 3, 1, 1)
    height = torch.where(found, nearest, torch.zeros_like(nearest))
    filled = _mean(height, 1) / _mean(found.float(), 1).clamp_min(1e-3)
    height = torch.where(found, height, filled * covered)
    reach = 3 + round(4 * wide)
    far = _mean(_mean(torch.cat([covered, height], 1), reach), reach)
    solid, corner = _solid(vertices)
    return Shadows(frame, low, step, nearest, torch.cat([_mean(covered, 1), far], 1), solid, corner, *_floor(vertices), 0.6 + 2.2 * wide)


def _mean(picture: Tensor, reach: int) -> Tensor:
    side = 2 * reach + 1
    return F.avg_pool2d(F.avg_pool2d(picture, (side, 1), 1, (reach, 0)), (1, side), 1, (0, reach))


def _solid(vertices: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 1, D, H, W) share of the neighbourhood that is filled, and its lower corner (3,)."""
    columns, lines, layers = _GRID
    size = vertices.new_tensor(_GRID) * _CELL
    corner = (vertices.amin(0) + vertices.amax(0)) / 2 - size / 2
    cell = ((vertices - corner) / _CELL).long()
    cell = torch.minimum(cell.clamp_min(0), cell.new_tensor(_GRID) - 1)
    grid = vertices.new_zeros(layers * lines * columns)
    grid[(cell[:, 2] * lines + cell[:, 1]) * columns + cell[:, 0]] = 1.0
    grid = grid.view(1, 1, layers, lines, columns)
    for axis in range(3):
        side = [3 if axis == other else 1 for other in range(3)]
        grid = F.avg_pool3d(grid, side, 1, [n // 2 for n in side])
    return grid, corner


def _floor(vertices: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 2, N, N) seen from above: how near to the ground the person comes, for contact and for shade; its
    lower corner (x, z).
    """
    flat = vertices[:, [0, 2]]
    corner = (flat.amin(0) + flat.amax(0)) / 2 - _FLOOR * _FLOOR_CELL / 2
    cell = ((flat - corner) / _FLOOR_CELL).long().clamp(0, _FLOOR - 1)
    lowest = vertices.new_full((_FLOOR * _FLOOR,), 9.0)
    lowest = lowest.scatter_reduce(0, cell[:, 1] * _FLOOR + cell[:, 0], vertices[:, 1].clamp_min(0), "amin")
    lowest = lowest.view(1, 1, _FLOOR, _FLOOR)
    touching = _mean(F.max_pool2d(torch.exp(-lowest / 0.06), 3, 1, 1), 1)
    above = _mean(_mean(torch.exp(-lowest / 0.5), 2), 3)
    return torch.cat([touching, (1.6 * above).clamp(0, 1)], 1), corner
