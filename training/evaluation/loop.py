"""What all evaluations share: people in batches, values person by person, and what a method offers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..reports.sheets import Row
from .intervals import Weighted, per_person
from .metrics import Mean, mean_of

BatchT = TypeVar("BatchT")
SubjectT = TypeVar("SubjectT")
OnDone = Callable[[int], object]
"""Told the number of people done in a batch."""
BATCH = 16


class Method(NamedTuple):
    """What `figura eval` needs of a method.

    load(folder, device) -> its networks. evaluate(networks, people, on_batch=, on_done=) -> every metric by
    its name. rows: a batch -> rows of the contact sheet. columns: of that sheet. more: further sheets, what
    is added to the file's name -> (rows, how many people). pairs: variants whose metrics are compared person
    by person, such as the full method and one without a part of it.
    """

    load: Callable[[Path, str], Any]
    evaluate: Callable[..., Metrics]
    rows: Callable[[Any], Iterable[Row]]
    columns: int = 1
    more: Mapping[str, tuple[Callable[[Any], Iterable[Row]], int]] = {}
    pairs: Sequence[tuple[str, str]] = ()


class Metrics(dict[str, float]):
    """Every metric by its name.

    people: what each person has of those that are means over people. drawn: of others, such as average
    precision, what they are on people drawn again (`intervals.drawn_again`), (draws,).
    """

    def __init__(
        self,
        values: Mapping[str, float],
        people: Mapping[str, Weighted],
        drawn: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        super().__init__(values)
        self.people, self.drawn = dict(people), drawn or {}


def in_batches(
    subjects: Sequence[SubjectT],
    measure: Callable[[list[SubjectT]], BatchT | None],
    *,
    batch_size: int = BATCH,
    on_batch: Callable[[BatchT], object] | None = None,
    on_done: OnDone | None = None,
) -> None:
    """Measure people batch by batch.

    Args:
        subjects: the people, mostly as seeds.
        measure: gets those of a batch; gives what a sheet shows of it, or None when nobody was seen.
        batch_size: people in a batch.
        on_batch: gets what `measure` gave, unless that is None.
        on_done: gets the number of people of every batch that is finished.
    """
    for start in range(0, len(subjects), batch_size):
        part = list(subjects[start : start + batch_size])
        batch = measure(part)
        if batch is not None and on_batch is not None:
            on_batch(batch)
        if on_done is not None:
            on_done(len(part))


class PerPerson:
    """Values of metrics person by person, tensors (B,) as batches bring them, or (B,J) of what a person has
    up to J of, such as hands; NaN is nothing to measure.
    """

    def __init__(self) -> None:
        self.values: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, name: str, values: Tensor) -> None:
        """Take the values (B,) or (B,J) of a batch."""
        self.values[name].append(values.double().cpu())

    def count(self, name: str) -> int:
        """How many people a metric has, those with nothing to measure included."""
        return sum(len(part) for part in self.values.get(name, ()))

    def means(self) -> dict[str, Mean]:
        """Mean and number of the values of every metric that are not NaN, by name."""
        return {name: mean_of(torch.cat(parts)) for name, parts in self.values.items()}

    def weighted(self) -> dict[str, Weighted]:
        """What each person has of every metric, for intervals."""
        whole = {name: torch.cat(parts) for name, parts in self.values.items()}
        return {
            name: per_person(values, ~values.isnan() if values.ndim > 1 else None)
            for name, values in whole.items()
        }
