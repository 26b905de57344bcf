"""Grounds of coarse pictures: the person stays, plain grounds become white, pictures stay what they are."""

from __future__ import annotations

import torch
from figura.training.data.backgrounds import Backgrounds
from figura.training.data.grounds import SHARES, on_grounds

COUNT, SIZE = 64, 48


def on(photographs: Backgrounds | None, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What is given, the persons, and what is made."""
    generator = torch.Generator().manual_seed(seed)
    person = torch.zeros(COUNT, 1, SIZE, SIZE)
    person[..., 8:40, 16:32] = 1
    colours = 0.2 * torch.rand(COUNT, 3, 1, 1, generator=generator)
    coarse = torch.where(person > 0.5, colours, 1.0)
    scenes = torch.rand(COUNT, 3, SIZE, SIZE, generator=generator)
    return coarse, person, on_grounds(coarse, person, scenes, photographs, generator)


def test_the_person_stays_and_grounds_come_in_their_shares() -> None:
    coarse, person, made = on(None)
    inside = person.expand_as(made) > 0.5
    kept = ((made == coarse) | ~inside).flatten(1).all(1)
    assert float(kept.float().mean()) > 0.9  # a plain ground of the person's colour swallows some
    white = ((made == 1) | inside).flatten(1).all(1).float().mean()
    assert abs(float(white) - (1 - SHARES["picture"])) < 0.2


def test_photographs_stand_behind_a_part() -> None:
    blue = torch.zeros(3, 64, 64, dtype=torch.uint8)
    blue[2] = torch.randint(0, 255, (64, 64))
    _, person, made = on(Backgrounds([blue]))
    outside = made[:, :2].masked_fill(person > 0.5, 0.0)
    behind = outside.flatten(1).amax(1) == 0
    assert 2 < int(behind.sum()) < COUNT // 2


def test_the_generator_decides() -> None:
    assert torch.equal(on(None, 1)[2], on(None, 1)[2]) and not torch.equal(on(None, 1)[2], on(None, 2)[2])
