"""Hands of people in pictures: which there are, and the similarity that maps one frame onto another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .keypoints import BODY_18, HAND_21, Person, Pose

RIGHT, LEFT = SIDES = ("right", "left")
FEWEST_JOINTS = 3
"""A similarity is fitted to at least this many joints."""
CLOSE_UP_SHARE = 0.66
"""Longer side of a hand's box in its close-up, as a share of the picture's side."""
SMALLEST_BOX_PX = 1.0
ONE_PLACE_PX = 1e-6
"""Points nearer than this lie in one place."""


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand. side: RIGHT or LEFT. joints: (21, 3) x_px, y_px, confidence; confidence 0 means absent."""

    side: str
    joints: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """(21,) bool: the joints that are there."""
        return self.joints[:, 2] > 0

    def inside(self, height: int, width: int) -> np.ndarray:
        """(21,) bool: the joints that are there and lie in a picture of that size in pixels."""
        x, y = self.joints[:, 0], self.joints[:, 1]
        return self.present & (x >= 0) & (x < width) & (y >= 0) & (y < height)


def hands_of(pose: Pose) -> list[Hand]:
    """The hands of the first person who has any, right then left.

    A hand has at least FEWEST_JOINTS, which place it; where no hand of that person has so many, one will do,
    so that whoever needs more can say which hand lacks them.
    """
    for person in pose.people:
        hands = _hands_of_person(person)
        if hands:
            return hands
    return []


def _hands_of_person(person: Person) -> list[Hand]:
    joints = {RIGHT: person.right_hand, LEFT: person.left_hand}
    hands = [Hand(side, each) for side, each in joints.items() if each is not None and (each[:, 2] > 0).any()]
    return [hand for hand in hands if hand.present.sum() >= FEWEST_JOINTS] or hands


def hand_pose(hand: Hand, size: int) -> Pose:
    """The pose of a picture of size x size pixels that shows this hand alone: a person without a body."""
    right = hand.joints if hand.side == RIGHT else None
    left = hand.joints if hand.side == LEFT else None
    no_body = np.zeros((len(BODY_18), 3), np.float32)
    return Pose((Person(no_body, left_hand=left, right_hand=right),), size, size)


@dataclass(frozen=True)
class Similarity:
    """p_out = scale * R(angle) p_in + shift, without reflection.

    angle: radians; positive turns the x axis towards the y axis (clockwise on screen). shift_px: x, y.
    """

    scale: float
    angle: float
    shift_px: tuple[float, float]

    @property
    def matrix(self) -> np.ndarray:
        """scale * R(angle), (2, 2) float64."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return self.scale * np.array([[cos, -sin], [sin, cos]])

    def apply(self, points_px: np.ndarray) -> np.ndarray:
        """Points (n, 2) in the source frame to (n, 2) float64 in the target frame."""
        return np.asarray(points_px, np.float64) @ self.matrix.T + np.array(self.shift_px)

    def inverse(self) -> Similarity:
        """The map from the target frame back to the source frame."""
        back = Similarity(1.0 / self.scale, -self.angle, (0.0, 0.0))
        x, y = -back.apply(np.array([self.shift_px]))[0]
        return Similarity(back.scale, back.angle, (float(x), float(y)))

    def moved(self, hand: Hand) -> Hand:
        """The hand in the target frame; absent joints stay zero."""
        points = np.where(hand.present[:, None], self.apply(hand.joints[:, :2]), 0.0)
        return Hand(hand.side, np.concatenate([points, hand.joints[:, 2:]], axis=1).astype(np.float32))


def fit_similarity(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The similarity that takes source (n, 2) to target (n, 2) with the least squared error (Umeyama 1991).

    Always a proper rotation: for mirrored points it is the best one that does not mirror. Raises ValueError
    for shapes that do not match, fewer than 3 points, NaN or infinity, and points that are all in one place.

    >>> corner = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> found = fit_similarity(corner, 2 * corner + 5)
    >>> round(found.scale, 6), abs(round(found.angle, 6)), np.round(found.shift_px, 6).tolist()
    (2.0, 0.0, [5.0, 5.0])
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    _check_points(source, target)
    middle, target_middle = source.mean(axis=0), target.mean(axis=0)
    # In the plane a point is a complex number and a similarity z -> a z + b: least squares gives a at once.
    z, w = _complex(source - middle), _complex(target - target_middle)
    factor = np.vdot(z, w) / np.vdot(z, z).real
    if abs(factor) * np.abs(z).max() < ONE_PLACE_PX:
        raise ValueError(
            "turned and scaled, the source points never resemble the target points: those lie in one place, "
            "or are a mirror image. Give the hand's joints of the same side."
        )
    turned = Similarity(float(abs(factor)), float(np.angle(factor)), (0.0, 0.0))
    x, y = target_middle - turned.apply(middle[None])[0]
    return Similarity(turned.scale, turned.angle, (float(x), float(y)))


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


def _check_points(source: np.ndarray, target: np.ndarray) -> None:
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2:
        raise ValueError(
            f"source points of shape {source.shape} and target points of shape {target.shape} came; "
            "both must be (n, 2)"
        )
    if len(source) < FEWEST_JOINTS:
        raise ValueError(f"{len(source)} points came; a similarity needs at least {FEWEST_JOINTS}")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise ValueError("the points hold NaN or infinite numbers")
    if np.ptp(source, axis=0).max() < ONE_PLACE_PX:
        raise ValueError("all source points lie in one place; at least two different ones are needed")


def close_up(hand: Hand, size: int, share: float = CLOSE_UP_SHARE) -> Similarity:
    """The map, without rotation, that shows the hand in the middle of a picture of size x size pixels.

    The longer side of the box round its present joints becomes share * size. Raises ValueError, naming the
    hand, for fewer than 3 present joints and for a box of at most 1 px.
    """
    count = int(hand.present.sum())
    if count < FEWEST_JOINTS:
        raise ValueError(
            f"the {hand.side} hand has {count} of {len(HAND_21)} joints; at least {FEWEST_JOINTS} are "
            "needed. Add joints to the pose, or leave that hand out."
        )
    points = hand.joints[hand.present, :2].astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    side = float((high - low).max())
    if not side > SMALLEST_BOX_PX:
        raise ValueError(
            f"the joints of the {hand.side} hand lie within {side:.2g} px of one another; more than "
            f"{SMALLEST_BOX_PX:g} px is needed. Use a larger picture of the pose, or leave that hand out."
        )
    scale = share * size / side
    x, y = size / 2 - scale * (low + high) / 2
    return Similarity(scale, 0.0, (float(x), float(y)))
