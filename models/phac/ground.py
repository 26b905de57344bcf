"""A coarse picture of any generator: the person told from a plain ground of whatever colour, or by alpha."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..diffusion.compose import in_box

WHITE = 1.0
TOLERANCE = 0.1
"""How far a channel of the ground may be from the ground's colour, of 1."""
PLAIN_SHARE = 0.8
"""Of the picture's border, that has to be of one colour for it to be the ground's."""


class Drawn(NamedTuple):
    """What a coarse picture shows.

    image: (B,3,H,W), the person on white; a picture without a plain ground, as it is. person: (B,1,H,W) float
    0 or 1; without a plain ground everywhere. area: the same, but nowhere without a plain ground: where the
    person is known to be.
    """

    image: Tensor
    person: Tensor
    area: Tensor


def split_ground(coarse: Tensor) -> Drawn:
    """Tells the person of coarse pictures from their ground.

    With alpha the person is what is not transparent. Else the ground is plain when most of the picture's
    border is white, or of one other colour: then the person is all that differs from that colour, and what
    it encloses.

    coarse: (B,3,H,W) in 0..1, or (B,4,H,W) with alpha. An alpha of 1 all over a picture says nothing.
    """
    parts = [_split(image) for image in coarse]
    image, person, area = (torch.stack(part) for part in zip(*parts, strict=True))
    return Drawn(image, person, area)


def _split(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Picture (3,H,W), person and area (1,H,W) of one picture (3,H,W) or (4,H,W)."""
    image, alpha = image[:3], image[3:]
    if bool((alpha < 1).any()):
        person = (alpha > 0.5).to(image)
        return image * alpha + WHITE * (1.0 - alpha), person, person
    colour, whole = ground_colour(image), torch.ones_like(image[:1])
    if colour is None:
        return image, whole, torch.zeros_like(whole)
    person = _without_holes((_distance(image, colour) > TOLERANCE)[None])
    is_white = bool((colour == WHITE).all())
    if not is_white and not person.any():  # one colour all over is no ground
        return image, whole, torch.zeros_like(whole)
    return image if is_white else torch.where(person > 0.5, image, WHITE), person, person


def ground_colour(image: Tensor) -> Tensor | None:
    """The colour (3,) of the plain ground of a picture (3,H,W); None when it has no plain ground."""
    border = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], dim=1)
    for colour in (torch.full_like(border[:, 0], WHITE), border.median(dim=1).values):
        if float((_distance(border, colour) <= TOLERANCE).float().mean()) >= PLAIN_SHARE:
            return colour
    return None


def _distance(pixels: Tensor, colour: Tensor) -> Tensor:
    """The largest difference of a channel, without the channels' dimension, which is the first."""
    return (pixels - colour.reshape(-1, *[1] * (pixels.ndim - 1))).abs().amax(dim=0)


def _without_holes(mask: Tensor) -> Tensor:
    """A mask (1,H,W) bool with what it encloses, (1,H,W) float 0 or 1."""
    from scipy.ndimage import binary_fill_holes

    filled = in_box(mask[0].cpu().numpy(), (1, 1), binary_fill_holes)
    return torch.from_numpy(np.asarray(filled, dtype=np.float32))[None].to(mask.device)
