"""The people that perception learns from: whole, close, from the hips up; half of them before photographs."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from ...people.synthetic import SyntheticPeople, render_people
from ...people.synthetic.choices import CLOSE, HANDS_RAISED, WHOLE
from .backgrounds import open_backgrounds
from .people import PeopleDataset, Processes, build_people
from .perception import FOLDER

PEOPLE = 8000
VIEWS = (WHOLE, CLOSE, WHOLE, HANDS_RAISED, WHOLE, CLOSE, WHOLE)
"""One after another, seed by seed."""


def build_perception(root: Path, count: int = PEOPLE, processes: Processes = 2) -> PeopleDataset:
    """Render `count` people into the data's folder `perception`, or finish it."""
    renderer = partial(render_views, Path(root))
    return build_people(Path(root) / FOLDER, count, processes=processes, renderer=renderer)


def render_views(root: Path, seeds: list[int], size: int) -> SyntheticPeople:
    """People with these seeds, each in its seed's view; the data's photographs are behind half of them."""
    photographs = _photographs(root) or None
    people = [
        render_people([seed], size, view=VIEWS[seed % len(VIEWS)], photographs=photographs) for seed in seeds
    ]
    tensors = {
        field.name: torch.cat([getattr(each, field.name) for each in people])
        for field in fields(SyntheticPeople)
        if field.name != "captions"
    }
    return SyntheticPeople(**tensors, captions=[each.captions[0] for each in people])


@lru_cache(maxsize=1)
def _photographs(root: Path) -> tuple[Tensor, ...]:
    backgrounds = open_backgrounds(root)
    return tuple(image.float() / 255 for image in backgrounds.images) if backgrounds else ()
