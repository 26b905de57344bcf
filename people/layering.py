"""Several people of one picture, completed one by one, laid over each other: the front stays in front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from .boxes import Box
from .keypoints import Person

LOWEST_FIRST, LARGEST_FIRST, AS_GIVEN = ORDERS = ("lowest first", "largest first", "as given")
"""Who is in front: whose lowest joint is lower in the picture; who is higher in pixels; or as given."""
SEAM_PX = 8
"""Width of the strips on both sides of a seam whose colours are compared."""
LARGEST_SHIFT = 0.25


def front_to_back(people: Sequence[Person], order: str) -> list[int]:
    """Numbers of the people who have joints, the one in front first. ValueError for an unknown order."""
    if order not in ORDERS:
        raise ValueError(f"order is {order!r}; it is one of {', '.join(ORDERS)}")
    present = [number for number, person in enumerate(people) if person.is_present]
    if order == AS_GIVEN:
        return present
    measure = _lowest if order == LOWEST_FIRST else _height
    return sorted(present, key=lambda number: -measure(people[number].body))


def _lowest(body: np.ndarray) -> float:
    return float(body[body[:, 2] > 0, 1].max())


def _height(body: np.ndarray) -> float:
    return float(np.ptp(body[body[:, 2] > 0, 1]))


def lay_over(
    image: torch.Tensor,
    completed: torch.Tensor,
    changed: torch.Tensor,
    visible: torch.Tensor,
    colour_match: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One picture of all completed people, from the back to the front.

    Of each person the completed part is laid over what is there, and what could be seen of them over that:
    so nobody covers somebody who stands in front of them. What no mask of `changed` holds is the input's, bit
    for bit.

    Args:
        image: (1,3,H,W) in 0..1.
        completed: (N,3,H,W), the picture with one person completed in each, the one in front first.
        changed: (N,1,H,W) in 0..1, what was changed for that person; values between blend.
        visible: (N,1,H,W) in 0..1, what could be seen of that person from the start.
        colour_match: 0..1, how far the colours of a completed part are moved to those of its person's seen
            part along the seam between the two.

    Returns:
        The picture (1,3,H,W), and what was changed in it, (1,1,H,W).
    """
    done, amount = image.clone(), torch.zeros_like(image[:, :1])
    for number in reversed(range(len(completed))):
        touched = (changed[number, 0] > 0) | (visible[number, 0] > 0.5)
        if not bool(touched.any()):
            continue
        x0, y0, x1, y1 = (int(side) for side in Box.around_mask(touched))
        here = (slice(None), slice(None), slice(y0, y1), slice(x0, x1))
        patch, mask = completed[number : number + 1][here], changed[number : number + 1][here]
        before, below, seen = image[here], done[here], visible[number : number + 1][here] > 0.5
        patch = patch if colour_match == 0 else matched(patch, mask, before, seen, colour_match)
        mask = torch.where(seen, 0.0, mask)
        blended = torch.where(mask >= 1, patch, torch.lerp(below, patch, mask))
        done[here] = torch.where(seen, before, torch.where(mask > 0, blended, below))
        amount[here] = torch.where(seen, 0.0, torch.maximum(amount[here], mask))
    return done, amount


def matched(
    patch: torch.Tensor, mask: torch.Tensor, image: torch.Tensor, seen: torch.Tensor, strength: float
) -> torch.Tensor:
    """The patch with its colours moved so that both sides of a seam have the same mean.

    Args:
        patch: (1,3,H,W) in 0..1, the picture with the completed part.
        mask: (1,1,H,W), where that part is.
        image: (1,3,H,W), with the seen part of the same person.
        seen: (1,1,H,W) bool, where that is.
        strength: 0..1.
    """
    drawn = (mask > 0.5) & ~seen
    here, there = drawn & _near(seen), seen & _near(drawn)
    if not bool(here.any()) or not bool(there.any()):
        return patch
    shift = [_mean(image, there, channel) - _mean(patch, here, channel) for channel in range(3)]
    moved = image.new_tensor(shift).clamp(-LARGEST_SHIFT, LARGEST_SHIFT)[None, :, None, None]
    return (patch + strength * moved).clamp(0, 1)


def _near(mask: torch.Tensor) -> torch.Tensor:
    """(1,1,H,W) bool: pixels of a mask (1,1,H,W), and those up to SEAM_PX beside it."""
    side = 2 * SEAM_PX + 1
    across = F.max_pool2d(mask.float(), (1, side), stride=1, padding=(0, SEAM_PX))
    return F.max_pool2d(across, (side, 1), stride=1, padding=(SEAM_PX, 0)) > 0


def _mean(pixels: torch.Tensor, where: torch.Tensor, channel: int) -> float:
    return float(pixels[:, channel : channel + 1][where].mean())
