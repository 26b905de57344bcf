"""HumanSD's metrics against figures worked out by hand and by an independent computation."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from figura.training.evaluation import pose_metrics as metrics
from figura.training.evaluation.pose_metrics import Detection

THRESHOLDS = np.arange(0.5, 1.0, 0.05)


def person(seed: int, side: float = 60.0, hidden: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    joints = np.concatenate([random.uniform(20, 20 + side, (17, 2)), np.ones((17, 1))], axis=1)
    joints[random.choice(17, hidden, replace=False), 2] = 0
    return joints


def moved(joints: np.ndarray, distance: float, seed: int = 0) -> np.ndarray:
    """Every joint moved by that many pixels in a direction of its own."""
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, 17)
    step = distance * np.stack([np.cos(angle), np.sin(angle), np.zeros(17)], 1)
    return joints + step


def similarity(truth: np.ndarray, found: np.ndarray) -> float:
    """Object keypoint similarity, from its definition."""
    seen = truth[:, 2] > 0
    area = np.prod(np.ptp(truth[seen, :2], axis=0))
    squared = ((truth[seen, :2] - found[seen, :2]) ** 2).sum(1)
    return float(np.exp(-squared / (2 * area * (2 * metrics.SIGMAS[seen]) ** 2)).mean())


def precision(similarities: list[float], scores: list[float]) -> float:
    """Mean average precision of one detection for the one person of every picture, from its definition."""
    right = np.array(similarities)[np.argsort(-np.array(scores), kind="stable")]
    means = []
    for threshold in THRESHOLDS:
        hits = np.cumsum(right >= threshold)
        recall, exact = hits / len(right), hits / np.arange(1, len(right) + 1)
        best = np.maximum.accumulate(exact[::-1])[::-1]
        at = [np.flatnonzero(recall >= level - 1e-12) for level in np.linspace(0, 1, 101)]
        means.append(np.mean([best[index[0]] if len(index) else 0.0 for index in at]))
    return float(np.mean(means))


def test_the_truth_itself_is_perfect() -> None:
    truth = [[person(1), person(2) + [100, 0, 0]], [person(3)]]
    found = [[Detection(joints, 0.5 + 0.1 * number) for number, joints in enumerate(row)] for row in truth]
    assert metrics.average_precision(truth, found) == pytest.approx((1.0, 1.0))
    assert metrics.cosine_average_precision(truth, found) == pytest.approx(1.0)
    assert metrics.people_count_error(truth, found) == 0


def found_people(seed: int, count: int, farthest_px: float) -> tuple[list, list, list[float]]:
    """People, how a detector that errs by up to so many pixels finds each, and its scores, no two alike."""
    random = np.random.default_rng(seed)
    truth = [person(50 * seed + number) for number in range(count)]
    found = [moved(joints, random.uniform(0, farthest_px), number) for number, joints in enumerate(truth)]
    return truth, found, list(random.permutation(count) / 10)


def one_in_each(truth: list, found: list, scores: list[float]) -> tuple[list, list]:
    """Every person in a picture of its own, as the metrics take them."""
    detections = [Detection(joints, score) for joints, score in zip(found, scores, strict=True)]
    return [[joints] for joints in truth], [[detection] for detection in detections]


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_its_definition(seed: int) -> None:
    truth, found, scores = found_people(seed, count=9, farthest_px=14)
    measured = metrics.average_precision(*one_in_each(truth, found, scores))
    expected = precision([similarity(*pair) for pair in zip(truth, found, strict=True)], scores)
    assert 0.05 < expected < 0.95 and measured.all == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_cosine_precision_is_that_of_its_definition(seed: int) -> None:
    truth, found, scores = found_people(seed, count=8, farthest_px=60)
    pairs, given = list(zip(truth, found, strict=True)), one_in_each(truth, found, scores)
    for released in (False, True):
        cosines = [metrics.pose_cosine(one, other, released=released) for one, other in pairs]
        measured = metrics.cosine_average_precision(*given, released=released)
        assert measured == pytest.approx(precision(cosines, scores), abs=1e-6)


def test_size_does_not_matter_to_the_cosine_but_does_to_ap() -> None:
    truth = person(4)
    found = truth * [2.5, 0.4, 1]
    assert metrics.pose_cosine(truth, found) == pytest.approx(1.0)
    given = [[truth]], [[Detection(found, 1.0)]]
    assert metrics.cosine_average_precision(*given) == pytest.approx(1.0)
    assert metrics.average_precision(*given).all < 0.5


def test_the_cosine_by_hand() -> None:
    truth, found = np.zeros((17, 3)), np.zeros((17, 3))
    # Shoulders and one elbow: x and y over the tolerances, stretched to 0..1, made as long as 1.
    places = {5: (0.0, 0.0), 6: (1.0, 0.0), 7: (0.0, 1.0)}
    for joint, (x, y) in places.items():
        scale = metrics.SIGMAS[joint]
        truth[joint], found[joint] = (x * scale, y * scale, 1), (x * scale, x * scale, 1)
    # x agrees: 1. y of the truth is (0,0,1) and of the detection (0,1,0): 0.
    assert metrics.pose_cosine(truth, found) == pytest.approx(0.5)
    # As released y of the detection is its x, (0,1,0), whatever it was.
    assert metrics.pose_cosine(truth, truth, released=True) == pytest.approx(0.5)


def test_the_released_cosine_takes_x_for_y_and_only_the_length_of_y() -> None:
    truth, found = person(5), moved(person(5), 9)
    truth[:, 2] = 1
    xg, yg, xd, yd = (
        (values - values.min()) / (values.max() - values.min())
        for values in (pose[:, axis] / metrics.SIGMAS for pose in (truth, found) for axis in (0, 1))
    )
    asked = np.concatenate([xg / np.sqrt((xg**2).sum()), yg / np.sqrt((yg**2).sum())])
    xd = xd / np.sqrt((xd**2).sum())
    seen = np.concatenate([xd, xd / np.sqrt((yd**2).sum())])
    expected = asked @ seen / np.linalg.norm(asked) / np.linalg.norm(seen)
    assert metrics.pose_cosine(truth, found, released=True) == pytest.approx(expected, abs=1e-9)
    turned = found.copy()
    turned[:, 1] = metrics.SIGMAS * np.roll(found[:, 1] / metrics.SIGMAS, 1)
    assert metrics.pose_cosine(truth, turned, released=True) == pytest.approx(expected, abs=1e-9)
    assert metrics.pose_cosine(truth, found) != pytest.approx(metrics.pose_cosine(truth, turned))


def test_the_released_precision_counts_missing_joints_in_the_area() -> None:
    truth = person(8) + [400, 400, 0]
    truth[:, 2] = 1
    off = moved(truth, 6)
    assert metrics.average_precision([[truth]], [[Detection(off, 1.0)]], released=True) == (
        metrics.average_precision([[truth]], [[Detection(off, 1.0)]])
    )
    truth[3, 2] = 0
    given = [[truth]], [[Detection(off, 1.0)]]
    assert metrics.average_precision(*given, released=True).all > metrics.average_precision(*given).all


def test_only_people_of_medium_size_count_for_ap_m() -> None:
    near, far = person(6, side=90), person(7, side=400)
    truth = [[near], [far]]
    good_near = [[Detection(near, 0.9)], [Detection(moved(far, 500), 0.8)]]
    good_far = [[Detection(moved(near, 500), 0.9)], [Detection(far, 0.8)]]
    first, second = (metrics.average_precision(truth, found) for found in (good_near, good_far))
    assert first.medium == pytest.approx(1.0) and second.medium < 0.01 and 0.3 < first.all < 0.7
    assert np.isnan(metrics.average_precision([[far]], [[Detection(far, 1.0)]]).medium)


def test_nobody_found_is_zero() -> None:
    assert metrics.average_precision([[person(8)]], [[]]) == (0.0, 0.0)
    assert metrics.cosine_average_precision([[person(8)]], [[]]) == 0.0


def test_people_are_counted_either_way() -> None:
    one = Detection(person(9), 1.0)
    truth = [[person(9)] * 3, [person(9)], []]
    assert metrics.people_count_error(truth, [[one], [one] * 2, [one]]) == pytest.approx((2 + 1 + 1) / 3)


@pytest.mark.parametrize("measure", [metrics.average_precision, metrics.people_count_error])
def test_pictures_must_agree(measure) -> None:
    with pytest.raises(ValueError, match="1 pictures and detections of 2"):
        measure([[]], [[], []])
    with pytest.raises(ValueError, match="at least 1"):
        measure([], [])


def test_pycocotools_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("pycocotools.cocoeval")
    metrics.average_precision([[person(1)]], [[Detection(person(1), 1.0)]])
    assert capsys.readouterr().out == ""


def test_precision_of_pictures_drawn_again_is_that_of_these_pictures() -> None:
    generator = np.random.default_rng(3)
    truth, found = [], []
    for _ in range(8):
        joints = np.concatenate([generator.uniform(10, 110, (17, 2)), np.ones((17, 1))], axis=1)
        moved = joints + np.concatenate([generator.normal(0, 4, (17, 2)), np.zeros((17, 1))], axis=1)
        truth.append([joints])
        found.append([Detection(moved, float(generator.uniform()))])
    picks = np.stack([np.arange(8), *(generator.integers(8, size=(3, 8)))])
    values = metrics.bootstrapped_precision(truth, found, picks)
    cosines = metrics.bootstrapped_precision(truth, found, picks, cosine=True)
    for pick, value, cosine in zip(picks, values, cosines, strict=True):
        again, seen = [truth[n] for n in pick], [found[n] for n in pick]
        assert value == pytest.approx(metrics.average_precision(again, seen).all, abs=1e-9)
        assert cosine == pytest.approx(metrics.cosine_average_precision(again, seen), abs=1e-9)
    assert 0.05 < values.mean() < 0.95


def test_nobody_found_is_a_precision_of_zero_on_every_draw() -> None:
    joints = np.ones((17, 3))
    assert (metrics.bootstrapped_precision([[joints]], [[]], np.zeros((5, 1), int)) == 0).all()
    with pytest.raises(ValueError, match="1 pictures and detections of 2"):
        metrics.bootstrapped_precision([[joints]], [[], []], np.zeros((5, 1), int))


def test_errors_of_single_pictures_have_the_people_count_error_as_their_mean() -> None:
    joints = np.ones((17, 3))
    truth, found = [[joints], [joints, joints]], [[], [Detection(joints, 1.0)]]
    assert metrics.people_count_errors(truth, found).tolist() == [1.0, 1.0]
    assert metrics.people_count_error(truth, found) == 1.0
