"""Who a person is: sex, age, build and height, always an adult; and the body at rest that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .asset import BodyAsset
from .draws import Draws

YOUNGEST, OLDEST = 20.0, 85.0
"""Years. The body's shapes begin at the phenotype "young", a grown-up; nobody is younger."""


@dataclass(frozen=True)
class Shape:
    """A person's body. age in years, muscle, weight, tallness and proportions 0..1 as the phenotypes count;
    origins: shares of the African, Asian and European face and build.
    """

    woman: bool
    age: float
    muscle: float
    weight: float
    tallness: float
    proportions: float
    bust: float
    origins: tuple[float, float, float]

    @property
    def oldness(self) -> float:
        """0 for the youngest adult, 1 for the oldest."""
        return (self.age - YOUNGEST) / (OLDEST - YOUNGEST)


def sample_shape(draws: Draws) -> Shape:
    """From slight to sturdy, from 20 to 85 years, most of them below 60."""
    woman = draws.chance(0.5)
    age = YOUNGEST + (OLDEST - YOUNGEST) * min(draws.uniform(), draws.uniform())
    origins = [-math.log(draws.uniform(1e-3, 1.0)) for _ in range(3)]
    strongest = draws.choice([1.0, 1.0, 1.2])
    origins[strongest] += 1.5
    return Shape(
        woman=woman, age=age,
        muscle=_within(draws.normal(0.5 if woman else 0.56, 0.17)),
        weight=_within(draws.normal(0.5, 0.2)),
        tallness=_within(draws.normal(0.36, 0.065)), proportions=draws.uniform(0.45, 1.0),
        bust=_within(draws.normal(0.42, 0.16)),
        origins=tuple(value / sum(origins) for value in origins),  # type: ignore[arg-type]
    )  # fmt: skip


def body_at_rest(asset: BodyAsset, shape: Shape) -> Tensor:
    """Vertices, joints and landmarks (V+J+60,3) of that person at rest, the soles at y = 0."""
    anchors = torch.tensor(_anchors(shape), device=asset.mean.device)
    mask = asset.factors
    weights = torch.prod(anchors * mask + (1 - mask), 1)
    coefficients = weights @ asset.projection - asset.offset
    rest = asset.mean + torch.mv(asset.components.flatten(1).T, coefficients).view_as(asset.mean)
    return rest - torch.stack([rest.new_zeros(()), rest[asset.ranges["body"], 1].amin(), rest.new_zeros(())])


def _anchors(shape: Shape) -> list[float]:
    """The weights of the phenotypes' 26 anchors."""
    old = shape.oldness
    age = [0.0, 0.0, 0.0, 1 - old, old]
    sex = [0.0, 1.0] if shape.woman else [1.0, 0.0]
    columns = [list(shape.origins), sex, age, _three(shape.muscle), _three(shape.weight),
               [1 - shape.tallness, shape.tallness], [shape.proportions, 1 - shape.proportions],
               _three(shape.bust), _three(0.6 - 0.3 * old)]  # fmt: skip
    return [value for column in columns for value in column]


def _three(value: float) -> list[float]:
    place = 2 * value
    return [max(0.0, 1 - abs(place - anchor)) for anchor in range(3)]


def _within(value: float, low: float = 0.06, high: float = 0.94) -> float:
    return min(max(value, low), high)
