"""Hands of a pose, and the similarity between two frames of a hand."""

from __future__ import annotations

import numpy as np
import pytest
from figura.people.hands import LEFT, RIGHT, Hand, Similarity, close_up, fit_similarity, hand_pose, hands_of
from figura.people.keypoints import Person, Pose, read_pose_keypoint, write_pose_keypoint
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

NO_BODY = np.zeros((18, 3), np.float32)
scales = st.floats(0.01, 50)
angles = st.floats(-3.1, 3.1)
shifts = st.tuples(st.floats(-500, 500), st.floats(-500, 500))
similarities = st.builds(Similarity, scales, angles, shifts)


def joints(seed: int = 0, size: float = 100, present: int = 21) -> np.ndarray:
    drawn = np.random.default_rng(seed).uniform(0, size, (21, 3)).astype(np.float32)
    drawn[:, 2] = 1
    drawn[present:] = 0
    return drawn


def points(seed: int, count: int = 21) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-100, 100, (count, 2))


def squared_error(parameters: np.ndarray, source: np.ndarray, target: np.ndarray) -> float:
    """Of x' = a x - b y + u, y' = b x + a y + v: every similarity without reflection has this form."""
    a, b, u, v = parameters
    moved = source @ np.array([[a, b], [-b, a]]) + [u, v]
    return float(((moved - target) ** 2).sum())


def test_hands_are_those_of_the_first_person_with_any_right_first():
    bare = Person(NO_BODY, left_hand=np.zeros((21, 3), np.float32))
    both = Person(NO_BODY, left_hand=joints(1), right_hand=joints(2))
    pose = Pose((bare, both, Person(NO_BODY, left_hand=joints(3))), 100, 100)
    right, left = hands_of(pose)
    assert (right.side, left.side) == (RIGHT, LEFT)
    assert np.array_equal(right.joints, both.right_hand) and np.array_equal(left.joints, both.left_hand)
    assert hands_of(Pose((bare,), 9, 9)) == [] and hands_of(Pose((), 9, 9)) == []


def test_a_hand_of_too_few_joints_gives_way_to_one_that_can_be_placed():
    poor, good = joints(1, present=2), joints(2)
    (only,) = hands_of(Pose((Person(NO_BODY, left_hand=poor, right_hand=good),), 100, 100))
    assert only.side == RIGHT and np.array_equal(only.joints, good)
    (alone,) = hands_of(Pose((Person(NO_BODY, left_hand=poor),), 100, 100))
    assert alone.side == LEFT  # so that the node says how many joints it has


def test_joints_inside_a_picture_are_there_and_short_of_its_far_sides():
    places = joints(present=6)
    places[:6, :2] = (0, 0), (39.9, 19.9), (40, 5), (5, 20), (-0.1, 5), (5, -0.1)
    assert Hand(LEFT, places).inside(20, 40).nonzero()[0].tolist() == [0, 1]


@pytest.mark.parametrize("side", [RIGHT, LEFT])
def test_a_hands_pose_holds_it_alone_through_the_hosts_form(side):
    hand = Hand(side, joints(4, present=12))
    (read,) = read_pose_keypoint(write_pose_keypoint([hand_pose(hand, 128)]))
    (found,) = hands_of(read)
    assert (read.width, read.height) == (128, 128) and not read.people[0].body.any()
    assert found.side == side and np.allclose(found.joints, hand.joints)


@given(similarities, st.integers(0, 99))
def test_inverse_undoes(similarity, seed):
    there = similarity.apply(points(seed))
    assert np.allclose(similarity.inverse().apply(there), points(seed), atol=1e-6)


@given(similarities)
def test_the_matrix_scales_and_turns_without_mirroring(similarity):
    matrix = similarity.matrix
    assert np.allclose(matrix @ matrix.T, similarity.scale**2 * np.eye(2))
    assert np.isclose(np.linalg.det(matrix), similarity.scale**2)


@given(similarities, st.integers(0, 99), st.integers(3, 21))
def test_the_fit_finds_an_exact_similarity(similarity, seed, count):
    source = points(seed, count)
    found = fit_similarity(source, similarity.apply(source))
    assert np.allclose(found.matrix, similarity.matrix, rtol=1e-6, atol=1e-9)
    assert np.allclose(found.shift_px, similarity.shift_px, atol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_fit_has_the_least_squared_error_of_all_proper_similarities(seed, mirrored):
    source = points(seed, 5 + seed)
    target = Similarity(0.4, 2.0, (30, -8)).apply(source * [-1 if mirrored else 1, 1])
    target += np.random.default_rng(seed + 50).normal(0, 5, target.shape)
    found = fit_similarity(source, target)
    (a, _), (b, _) = found.matrix
    own = squared_error(np.array([a, b, *found.shift_px]), source, target)
    best = minimize(squared_error, np.zeros(4), (source, target), tol=1e-12)
    assert own <= best.fun * (1 + 1e-6)
    assert np.linalg.det(found.matrix) > 0


def test_the_fit_equals_umeyamas_closed_form():
    rng = np.random.default_rng(7)
    source, target = rng.normal(size=(9, 2)), rng.normal(size=(9, 2))
    x, y = source - source.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(y.T @ x / 9)
    sign = np.diag([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    matrix = (np.diag(d) @ sign).trace() / (x**2).sum(1).mean() * u @ sign @ vt
    assert np.allclose(fit_similarity(source, target).matrix, matrix)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (points(0, 2), points(1, 2), "2 points came.*at least 3"),
        (points(0, 5), points(1, 6), r"\(5, 2\).*\(6, 2\)"),
        (np.zeros((4, 3)), np.zeros((4, 3)), r"must be \(n, 2\)"),
        (np.full((4, 2), 3.0), points(1, 4), "source points lie in one place"),
        (points(1, 4), np.full((4, 2), 3.0), "lie in one place"),
        (np.array([[0, 0], [1, 0], [np.nan, 1]]), points(1, 3), "NaN"),
        (points(1, 3), np.array([[0, 0], [1, 0], [np.inf, 1]]), "NaN or infinite"),
    ],
)
def test_points_that_fix_no_similarity_are_refused(source, target, message):
    with pytest.raises(ValueError, match=message):
        fit_similarity(source, target)


@given(st.integers(0, 99), st.sampled_from([64, 128, 513]), st.floats(0.2, 0.95), st.integers(3, 21))
def test_a_close_up_shows_the_hand_in_the_middle_at_its_share(seed, size, share, count):
    hand = Hand(LEFT, joints(seed, present=count))
    similarity = close_up(hand, size, share)
    moved = similarity.moved(hand)
    seen = moved.joints[:count, :2]
    assert similarity.angle == 0 and moved.side == LEFT
    assert np.isclose(np.ptp(seen, axis=0).max(), share * size, rtol=1e-4)
    assert np.allclose((seen.min(0) + seen.max(0)) / 2, size / 2, atol=1e-2)
    assert not moved.joints[count:].any() and (moved.joints[:count, 2] == 1).all()


@pytest.mark.parametrize(
    ("present", "size", "message"), [(2, 100, "2 of 21"), (21, 0.5, "px of one another")]
)
def test_a_hand_too_poor_for_a_close_up_is_named(present, size, message):
    with pytest.raises(ValueError, match=f"right hand.*{message}"):
        close_up(Hand(RIGHT, joints(3, size, present)), 128)
