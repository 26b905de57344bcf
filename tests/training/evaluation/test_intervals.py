"""Bootstrap intervals against what statistics says of means of many people."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from figura.training.evaluation.intervals import (
    bootstrap_difference,
    bootstrap_interval,
    differences_of,
    drawn_again,
    intervals_of,
    per_person,
)

PEOPLE = 400


def drawn(seed: int, people: int = PEOPLE) -> torch.Tensor:
    return torch.randn(people, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_interval_is_as_wide_as_the_standard_error_says() -> None:
    values = 5 + 2 * drawn(0)
    interval = bootstrap_interval(per_person(values))
    half = 1.96 * float(values.std()) / math.sqrt(PEOPLE)
    assert interval.low == pytest.approx(float(values.mean()) - half, abs=0.15 * half)
    assert interval.high == pytest.approx(float(values.mean()) + half, abs=0.15 * half)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = [
        interval.low <= 0 <= interval.high
        for interval in (bootstrap_interval(per_person(drawn(seed, 100)), seed, 200) for seed in range(200))
    ]
    assert 0.88 <= sum(held) / len(held) <= 0.99


def test_the_seed_decides() -> None:
    people = per_person(drawn(0))
    assert bootstrap_interval(people, 1) == bootstrap_interval(people, 1) != bootstrap_interval(people, 2)


def test_people_with_nothing_to_measure_do_not_count() -> None:
    values = drawn(0, 50)
    gaps = torch.cat([values, torch.full((50,), torch.nan)])
    interval = bootstrap_interval(per_person(gaps))
    assert interval.low < float(values.mean()) < interval.high and not math.isnan(interval.low)
    assert bootstrap_interval(per_person(torch.full((4,), torch.nan))) is None
    assert bootstrap_interval(per_person(torch.zeros(0))) is None


def test_joints_count_alike_whoever_they_belong_to() -> None:
    """A person with ten joints counts ten times as much as one with one, as in the mean over all joints."""
    values = torch.zeros(2, 10)
    values[1] = 1.0
    counted = torch.zeros(2, 10, dtype=torch.bool)
    counted[0, :1], counted[1] = True, True
    people = per_person(values, counted)
    mean = float((people.values * people.weights).sum() / people.weights.sum())
    assert mean == pytest.approx(float(values[counted].mean()))
    assert bootstrap_interval(people) == (0.0, 1.0)


def test_a_small_difference_that_all_people_share_is_seen() -> None:
    first = 10 * drawn(0)
    second = first - 0.1 + 0.01 * drawn(1)
    alone = [bootstrap_interval(per_person(values)) for values in (first, second)]
    assert alone[0].low < alone[1].high
    difference = bootstrap_difference(per_person(first), per_person(second))
    assert 0.09 < difference.low < difference.high < 0.11
    other_way = bootstrap_difference(per_person(second), per_person(first))
    assert other_way == pytest.approx((-difference.high, -difference.low))


def test_pairs_need_the_same_people() -> None:
    with pytest.raises(ValueError, match="3 and of 2 people"):
        bootstrap_difference(per_person(torch.zeros(3)), per_person(torch.zeros(2)))


def test_differences_are_of_the_pairs_that_were_measured() -> None:
    values = drawn(0)
    people = {
        "ssim.full": per_person(values),
        "ssim.plain": per_person(values - 0.5),
        "psnr.full": per_person(values),
    }
    found = differences_of(people, [("full", "plain"), ("full", "other")])
    assert list(found) == ["ssim.full_minus_plain"]
    assert found["ssim.full_minus_plain"]["mean"] == pytest.approx(0.5)
    assert found["ssim.full_minus_plain"]["interval"] == pytest.approx([0.5, 0.5])
    intervals = intervals_of({**people, "nothing": per_person(torch.full((3,), torch.nan))})
    assert set(intervals) == set(people)
    assert intervals["ssim.full"].low < float(values.mean()) < intervals["ssim.full"].high


def test_metrics_that_are_no_means_have_intervals_from_their_draws() -> None:
    on_draws = {
        "ap.full": np.linspace(10, 12, 1001),
        "ap.plain": np.linspace(9, 11, 1001),
        "pce.full": np.zeros(3),
    }
    low, high = intervals_of({}, on_draws)["ap.full"]
    assert (low, high) == pytest.approx((10.05, 11.95))
    found = differences_of({}, [("full", "plain")], {"ap.full": 11.5, "ap.plain": 10.0}, on_draws)
    assert list(found) == ["ap.full_minus_plain"] and found["ap.full_minus_plain"]["mean"] == 1.5
    assert found["ap.full_minus_plain"]["interval"] == pytest.approx([1.0, 1.0])


def test_the_same_people_are_drawn_again_for_every_metric() -> None:
    assert np.array_equal(drawn_again(12), drawn_again(12)) and drawn_again(12).shape == (1000, 12)
    assert not np.array_equal(drawn_again(12, seed=1), drawn_again(12))
