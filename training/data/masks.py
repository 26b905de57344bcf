"""Random masks for training: rectangles, strokes, blobs, and disturbed person masks.

All (B,1,H,W), 1 = inside.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional

FAULTS = ("size", "spill", "holes")
"""Of segmenters."""


def random_masks(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """`count` masks: a third each of rectangles, thick strokes and blobs."""
    makers = (rectangle, strokes, blobs)
    choice = torch.randint(len(makers), (count,), generator=generator)
    return torch.stack([makers[int(index)](size, generator) for index in choice])


def rectangle(size: int, generator: torch.Generator) -> torch.Tensor:
    """One rectangle (1,H,W): sides of 0.2 to 0.8 of the picture, centre in the middle half."""
    draw = torch.rand(4, generator=generator)
    centre, half = 0.25 + 0.5 * draw[:2], 0.1 + 0.3 * draw[2:]
    axis = (torch.arange(size) + 0.5) / size
    inside_x = (axis - centre[0]).abs() < half[0]
    inside_y = (axis - centre[1]).abs() < half[1]
    return (inside_y[:, None] & inside_x[None, :])[None].float()


def strokes(size: int, generator: torch.Generator) -> torch.Tensor:
    """A thick polyline (1,H,W) of 2 to 5 corners."""
    corners = int(torch.randint(2, 6, (1,), generator=generator))
    points = 0.1 + 0.8 * torch.rand(corners, 2, generator=generator)
    width = 0.04 + 0.1 * float(torch.rand(1, generator=generator))
    axis = (torch.arange(size) + 0.5) / size
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    distance = torch.full((size, size), torch.inf)
    for start, end in zip(points[:-1], points[1:], strict=True):
        distance = torch.minimum(distance, _segment_distance(grid, start, end))
    return (distance < width)[None].float()


def blobs(size: int, generator: torch.Generator) -> torch.Tensor:
    """Smooth random regions (1,H,W) that cover 15 to 60 percent."""
    noise = torch.randn(1, 1, 5, 5, generator=generator)
    field = functional.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)[0]
    part = 0.4 + 0.45 * float(torch.rand(1, generator=generator))
    return (field > torch.quantile(field, part)).float()


def dilate_square(mask: torch.Tensor, radius: int) -> torch.Tensor:
    """Grow (radius > 0) or shrink (radius < 0) masks by a square of `radius` px."""
    if radius == 0:
        return mask
    reach = 2 * abs(radius) + 1
    if radius > 0:
        return functional.max_pool2d(mask, reach, 1, radius)
    return 1 - functional.max_pool2d(1 - mask, reach, 1, -radius)


def disturbed(masks: torch.Tensor, generator: torch.Generator, reach: int = 1) -> torch.Tensor:
    """Masks as a segmenter gives them: half of them grown or shrunk by up to `reach` px."""
    radii = torch.randint(-reach, reach + 1, (len(masks),), generator=generator)
    radii[torch.rand(len(masks), generator=generator) < 0.5] = 0
    return torch.cat(
        [dilate_square(mask[None], int(radius)) for mask, radius in zip(masks, radii, strict=True)]
    )


def as_segmented(masks: torch.Tensor, generator: torch.Generator, reach: int, spill: int) -> torch.Tensor:
    """Masks as segmenters give them: half as they are; others grown or shrunk, spilled in places over what is
    beside them, or with holes.

    Args:
        masks: (B,1,H,W) of 0 and 1.
        generator: draws the faults.
        reach: most that a mask grows or shrinks, in pixels.
        spill: most that one spills, in pixels.
    """
    size = masks.shape[-1]
    faults = torch.randint(2 * len(FAULTS), (len(masks),), generator=generator).tolist()
    made = masks.clone()
    for index, fault in enumerate(faults):
        places = blobs(size, generator)
        amount = 1 + int(torch.rand(1, generator=generator) * spill)
        kind = FAULTS[fault] if fault < len(FAULTS) else None
        if kind == "size":
            radius = min(amount, reach) * (1 if amount % 2 else -1)
            made[index] = dilate_square(masks[index][None], radius)[0]
        elif kind == "spill":
            grown = dilate_square(masks[index][None], amount)[0]
            made[index] = torch.maximum(masks[index], grown * places)
        elif kind == "holes":
            made[index] = masks[index] * (1 - places * blobs(size, generator))
    return made


def _segment_distance(grid: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    along = end - start
    part = (((grid - start) @ along) / along.square().sum().clamp(min=1e-8)).clamp(0, 1)
    return (grid - start - part[..., None] * along).norm(dim=-1)
