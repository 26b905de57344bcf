"""Cameras: where they stand, how they look, and what part of the picture a person fills."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .draws import Draws
from .rotations import turn_x, turn_y, turn_z

NEAREST = 0.05
"""Metres; nothing nearer is drawn."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. eye (3,) in the world; rotation (3,3) from the world to the camera's x right, y up,
    z backwards; focal_px; centre_px: where the line of sight meets the picture of `size` pixels a side.
    """

    eye: Tensor
    rotation: Tensor
    focal_px: float
    centre_px: tuple[float, float]
    size: int

    def project(self, points: Tensor) -> Tensor:
        """World points (..., 3) to x_px, y_px and depth in metres along the line of sight."""
        local = (points - self.eye.to(points.device)) @ self.rotation.T.to(points.device)
        depth = -local[..., 2]
        scale = self.focal_px / depth.clamp_min(NEAREST)
        return torch.stack(
            [self.centre_px[0] + local[..., 0] * scale, self.centre_px[1] - local[..., 1] * scale, depth], -1
        )

    def rays(self, side: int, device: torch.device | str = "cpu") -> Tensor:
        """(side,side,3) of length 1: the lines of sight through the pixels of the picture at that size."""
        line = (torch.arange(side, device=device) + 0.5) * (self.size / side)
        x = ((line - self.centre_px[0]) / self.focal_px)[None, :].expand(side, side)
        y = ((self.centre_px[1] - line) / self.focal_px)[:, None].expand(side, side)
        local = torch.stack([x, y, -torch.ones_like(x)], -1)
        ray = local @ self.rotation.to(device)
        return ray / ray.norm(dim=-1, keepdim=True)

    def resized(self, size: int) -> Camera:
        """The same view with another number of pixels."""
        factor = size / self.size
        return replace(
            self, focal_px=self.focal_px * factor, size=size,
            centre_px=(self.centre_px[0] * factor, self.centre_px[1] * factor),
        )  # fmt: skip


def look_at(target: Tensor, distance: float, height: float, roll: float, side: float = 0.0) -> Camera:
    """A camera at that height and distance before a point (3,), `side` radians round it, looking there.

    Its picture is 1 pixel large until it is framed.

    Args:
        target: (3,), metres.
        distance: from it over the ground, metres.
        height: of the camera in metres.
        roll: radians round the line of sight.
        side: radians round the target.
    """
    away = torch.tensor([math.sin(side) * distance, 0.0, math.cos(side) * distance])
    eye = torch.stack([target[0], torch.tensor(height), target[2]]) + away
    drop = math.atan2(height - float(target[1]), distance)
    rotation = torch.tensor(turn_z(-roll) @ turn_x(drop) @ turn_y(-side), dtype=torch.float32)
    return Camera(eye, rotation, 1.0, (0.0, 0.0), 1)


def frame_points(
    camera: Camera, points: Tensor, share: float, place: tuple[float, float], size: int
) -> Camera:
    """Zoomed and shifted so that the points' box is `share` of the picture and lies at `place` (0..1 of the
    free room to the right and below).

    Args:
        camera: to zoom and shift.
        points: (n, 3), metres.
        share: of the picture that their box fills, 0..1.
        place: of the box in the free room to the right and below, 0..1.
        size: S, side of the picture in pixels.
    """
    seen = camera.project(points)[..., :2]
    low, high = seen.amin(0).tolist(), seen.amax(0).tolist()
    extent = [high[0] - low[0], high[1] - low[1]]
    scale = share / max(extent)
    free = [1 - extent[0] * scale, 1 - extent[1] * scale]
    x, y = (place[i] * free[i] - low[i] * scale for i in (0, 1))
    framed = replace(camera, focal_px=scale, centre_px=(x, y), size=1)
    return framed.resized(size)


def sample_camera(draws: Draws, target: Tensor) -> Camera:
    """From a child's to a tall man's eye level and above, from near by to a long way off."""
    distance = 1.9 + 5.5 * draws.uniform() ** 1.5
    height = max(0.35, draws.normal(1.35, 0.4))
    if draws.chance(0.1):
        height = draws.uniform(1.9, 2.7)
    return look_at(target, distance, height, math.radians(draws.normal(0, 2.5)))
