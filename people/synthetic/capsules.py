"""Drawing tapered capsules (round cones) with a depth buffer, each only in the window of the picture
that it can cover.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Capsules:
    """P capsules in each of B pictures, in pixels (x right, y down) and depth (z towards the camera,
    in pixels too).
    """

    start: Tensor  # (B, P, 3)
    end: Tensor  # (B, P, 3)
    start_radius: Tensor  # (B, P); a radius of 0 draws nothing
    end_radius: Tensor  # (B, P)


@dataclass(frozen=True)
class Surface:
    """What each pixel shows. capsule (B, H, W) int64, -1 for none; z (B, H, W); along (B, H, W) 0..1
    from start to end.
    """

    capsule: Tensor
    z: Tensor
    along: Tensor


def rasterize(capsules: Capsules, height: int, width: int) -> Surface:
    """The nearest surface at every pixel centre.

    The silhouette of a capsule is the union of discs along its axis; the height over the axis at distance d
    from it is sqrt(r^2 - d^2). This is exact for spheres and for capsules seen from the side.
    """
    batch, count = capsules.start_radius.shape
    device = capsules.start.device
    z_buffer = torch.full((batch, height * width), -1e9, device=device)
    owner = torch.full((batch, height * width), -1, dtype=torch.int64, device=device)
    along_buffer = torch.zeros(batch, height * width, device=device)
    origins, sides = _windows(capsules, height, width)
    for index in range(count):
        window_height, window_width = sides[index]
        if window_height == 0 or window_width == 0:
            continue
        ys = origins[:, index, 1, None] + torch.arange(window_height, device=device)
        xs = origins[:, index, 0, None] + torch.arange(window_width, device=device)
        pixel = (ys[:, :, None] * width + xs[:, None, :]).reshape(batch, -1)
        z, along = _height_over_picture(capsules, index, xs[:, None, :] + 0.5, ys[:, :, None] + 0.5)
        z, along = z.reshape(batch, -1), along.reshape(batch, -1)
        before = z_buffer.gather(1, pixel)
        nearer = z > before
        z_buffer.scatter_(1, pixel, torch.where(nearer, z, before))
        owner.scatter_(1, pixel, torch.where(nearer, index, owner.gather(1, pixel)))
        along_buffer.scatter_(1, pixel, torch.where(nearer, along, along_buffer.gather(1, pixel)))
    shape = (batch, height, width)
    return Surface(owner.view(shape), z_buffer.view(shape), along_buffer.view(shape))


def _windows(capsules: Capsules, height: int, width: int) -> tuple[Tensor, list[tuple[int, int]]]:
    """Corner (B, P, 2; x, y) of each capsule's window, and per capsule the (height, width) that fits
    every picture.
    """
    radius = torch.maximum(capsules.start_radius, capsules.end_radius)[..., None]
    low = torch.minimum(capsules.start[..., :2], capsules.end[..., :2]) - radius - 1
    high = torch.maximum(capsules.start[..., :2], capsules.end[..., :2]) + radius + 1
    limit = torch.tensor([width, height], device=low.device)
    low, high = low.clamp_min(0).minimum(limit), high.clamp_min(0).minimum(limit)
    extent = torch.where(radius > 0, (high - low).ceil(), 0.0).amax(0).clamp_min(0).long() + 1
    extent = torch.where(radius.amax(0) > 0, torch.minimum(extent, limit), 0)
    origin = torch.minimum(low.floor().long().clamp_min(0), limit - extent).clamp_min(0)
    return origin, [(int(h), int(w)) for w, h in extent.tolist()]


def _height_over_picture(capsules: Capsules, index: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Depth of capsule `index` at pixel centres (B, h, w), -1e9 where it is not, and the position
    along its axis.
    """
    start, end = (p[:, index, :, None, None] for p in (capsules.start, capsules.end))
    r0, r1 = (r[:, index, None, None] for r in (capsules.start_radius, capsules.end_radius))
    axis_x, axis_y = end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]
    length_squared = (axis_x * axis_x + axis_y * axis_y).clamp_min(1e-6)
    dx, dy = x - start[:, 0], y - start[:, 1]
    along = ((dx * axis_x + dy * axis_y) / length_squared).clamp(0, 1)
    radius = r0 + along * (r1 - r0)
    off_x, off_y = dx - along * axis_x, dy - along * axis_y
    over = radius * radius - off_x * off_x - off_y * off_y
    z = start[:, 2] + along * (end[:, 2] - start[:, 2]) + over.clamp_min(0).sqrt()
    return torch.where((over > 0) & (radius > 0), z, torch.full_like(z, -1e9)), along
