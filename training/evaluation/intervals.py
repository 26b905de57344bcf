"""How sure a mean over people is: bootstrap intervals, of metrics and of differences between two of them.

People are drawn again with replacement, as many as there are; the interval holds the middle 95 % of the means
so found. Two metrics of the same people are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

DRAWS = 1000
PERCENTILES = (2.5, 97.5)


class Interval(NamedTuple):
    """Where the middle 95 % of the bootstrapped values are."""

    low: float
    high: float


class Weighted(NamedTuple):
    """values (N,): a metric of each person. weights (N,): how much each counts, such as joints."""

    values: Tensor
    weights: Tensor


def per_person(values: Tensor, counted: Tensor | None = None) -> Weighted:
    """Values of people as a mean of each and its weight.

    Args:
        values: (N,), NaN where a person has nothing to measure; or (N,J), of joints.
        counted: (N,J) bool, the joints that count; None for (N,) values.
    """
    values = values.detach().double().cpu()
    if counted is None:
        known = ~values.isnan()
        return Weighted(torch.where(known, values, 0.0), known.double())
    counted = counted.cpu()
    weights = counted.sum(1).double()
    sums = torch.where(counted, values, 0.0).sum(1)
    return Weighted(sums / weights.clamp_min(1), weights)


def bootstrap_interval(people: Weighted, seed: int = 0, draws: int = DRAWS) -> Interval | None:
    """The 95 % interval of the mean over people; None where nobody has anything to measure.

    >>> bootstrap_interval(per_person(torch.full((8,), 0.25)))
    Interval(low=0.25, high=0.25)
    """
    return _interval(_means(people, drawn_again(len(people.values), seed, draws)))


def bootstrap_difference(
    first: Weighted, second: Weighted, seed: int = 0, draws: int = DRAWS
) -> Interval | None:
    """The 95 % interval of the mean of `first` minus that of `second`, of the same people in the same order.

    Args:
        first: a metric of each person.
        second: another one of the same people in the same order.
        seed: of the draws.
        draws: how many.

    Returns:
        None where nobody has anything to measure.

    Raises:
        ValueError: they are of different numbers of people.
    """
    if len(first.values) != len(second.values):
        raise ValueError(
            f"values of {len(first.values)} and of {len(second.values)} people cannot be compared in pairs"
        )
    picks = drawn_again(len(first.values), seed, draws)
    return _interval(_means(first, picks) - _means(second, picks))


def drawn_again(people: int, seed: int = 0, draws: int = DRAWS) -> np.ndarray:
    """(draws, people): numbers of people drawn with replacement."""
    return np.random.default_rng(seed).integers(max(people, 1), size=(draws, people))


def _means(people: Weighted, picks: np.ndarray) -> np.ndarray:
    """(draws,): the weighted mean of each draw, NaN where nobody drawn has anything to measure."""
    values, weights = people.values.numpy(), people.weights.numpy()
    drawn = weights[picks]
    total = drawn.sum(1)
    sums = (values[picks] * drawn).sum(1)
    return np.divide(sums, total, out=np.full(len(picks), np.nan), where=total > 0)


def _interval(means: np.ndarray) -> Interval | None:
    known = means[~np.isnan(means)]
    if not len(known):
        return None
    low, high = np.percentile(known, PERCENTILES)
    return Interval(float(low), float(high))


def intervals_of(
    people: Mapping[str, Weighted], drawn: Mapping[str, np.ndarray] | None = None
) -> dict[str, Interval]:
    """The interval of every metric by its name: of means over people, and of others from their values on
    people `drawn_again`.
    """
    found = {name: bootstrap_interval(each) for name, each in people.items()}
    found |= {name: _interval(values) for name, values in (drawn or {}).items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def differences_of(
    people: Mapping[str, Weighted],
    pairs: Sequence[tuple[str, str]],
    values: Mapping[str, float] | None = None,
    drawn: Mapping[str, np.ndarray] | None = None,
) -> dict[str, dict[str, Any]]:
    """METRIC.FIRST_minus_SECOND -> {"mean", "interval"} for every metric that both of a pair have.

    Args:
        people: of metrics that are means.
        pairs: the variants that are compared.
        values: the other metrics.
        drawn: these on people `drawn_again`, the same ones for all.
    """
    values, drawn = values or {}, drawn or {}
    found: dict[str, dict[str, Any]] = {}
    for first, second in pairs:
        for name in [name for name in (*people, *drawn) if name.endswith(f".{first}")]:
            metric = name.removesuffix(f".{first}")
            beside = f"{metric}.{second}"
            mean, interval = 0.0, None
            if name in people and beside in people:
                own, other = people[name], people[beside]
                if len(own.values) == len(other.values):
                    mean, interval = _mean_of(own) - _mean_of(other), bootstrap_difference(own, other)
            elif name in drawn and beside in drawn:
                mean, interval = values[name] - values[beside], _interval(drawn[name] - drawn[beside])
            if interval is not None:
                found[f"{metric}.{first}_minus_{second}"] = {"mean": mean, "interval": list(interval)}
    return found


def _mean_of(people: Weighted) -> float:
    return float((people.values * people.weights).sum() / people.weights.sum())
