"""Coarse pictures as other generators leave them: the person on white, on a tinted ground, in a scene."""

from __future__ import annotations

import torch
from torch import Tensor

from ...models.phac.ground import split_ground
from .backgrounds import Backgrounds

OFF_WHITE = 0.8
"""Darkest channel of an off-white ground."""
SHARES = {"white": 0.4, "off-white": 0.1, "plain": 0.15, "picture": 0.35}
"""Of the kinds of ground."""


def on_grounds(
    coarse: Tensor,
    person: Tensor,
    scenes: Tensor,
    photographs: Backgrounds | None,
    generator: torch.Generator,
) -> Tensor:
    """Coarse pictures (B,3,S,S) on grounds of all kinds, as U_iv is shown them: plain grounds made white.

    Args:
        coarse: (B,3,S,S) in 0..1, on white.
        person: (B,1,S,S) of 0 and 1, their persons.
        scenes: (B,3,S,S), what lies round each person: half of the pictures behind the person.
        photographs: the other half; without them all are scenes.
        generator: draws the grounds.
    """
    size, count = coarse.shape[-1], len(coarse)
    chances = torch.tensor(list(SHARES.values()))
    kinds = torch.multinomial(chances, count, replacement=True, generator=generator)
    colours = torch.rand(count, 3, 1, 1, generator=generator)
    grey = torch.rand(count, 1, 1, 1, generator=generator)
    tints = OFF_WHITE + (1 - OFF_WHITE) * (0.7 * grey + 0.3 * colours)
    pictures = scenes
    if photographs is not None:
        own = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
        pictures = torch.where(own, scenes, photographs.crops(count, size, generator))
    others = [ground.expand_as(coarse) for ground in (tints, colours, pictures)]
    grounds = torch.stack([torch.ones_like(coarse), *others])
    chosen = grounds[kinds, torch.arange(count)]
    return split_ground(torch.where(person > 0.5, coarse, chosen)).image
