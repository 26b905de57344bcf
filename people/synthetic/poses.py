"""How people hold themselves: joint angles drawn round everyday poses, within what joints allow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .draws import Draws

# Angles of a pose in degrees; arms and legs: the person's right, then left. Arm: flexion (forwards),
# abduction (sideways), elbow, and the hints inward and up (-1..1.5) of where the forearm bends to.
TORSO = ("lean", "roll", "twist", "head_yaw", "head_pitch")
ARM = ("arm_flexion", "arm_abduction", "elbow", "elbow_inward", "elbow_up", "turn")
LEG = ("hip_flexion", "hip_abduction", "knee", "hip_turn")
LIMITS = {
    "lean": (-20, 75), "roll": (-20, 20), "twist": (-40, 40), "head_yaw": (-70, 70), "head_pitch": (-40, 45),
    "arm_flexion": (-50, 175), "arm_abduction": (4, 160), "elbow": (4, 145), "elbow_inward": (-1.2, 1.5),
    "elbow_up": (-1.2, 1.6), "turn": (-80, 80),
    "hip_flexion": (-28, 118), "hip_abduction": (-6, 50), "knee": (2, 145), "hip_turn": (-15, 40),
}  # fmt: skip
_SPREAD = {
    "lean": 4, "roll": 2.5, "twist": 7, "head_yaw": 20, "head_pitch": 9, "arm_flexion": 11,
    "arm_abduction": 7, "elbow": 12, "elbow_inward": 0.25, "elbow_up": 0.25, "turn": 14,
    "hip_flexion": 5, "hip_abduction": 3, "knee": 5, "hip_turn": 6,
}  # fmt: skip

LYING = "lying"
_ARM = (0, 9, 14, 0.3, 0, -8)
_LEG = (1, 2, 4, 8)
_PHONE = (38, 30, 140, 0.75, 1.1, 10)
_HIP = (-18, 44, 92, 1.3, -0.1, -30)


@dataclass(frozen=True)
class Everyday:
    """A pose people take: its name in a caption, how often, torso and head, arms, legs, variation."""

    name: str
    weight: float
    torso: tuple[float, ...] = (0, 0, 0, 0, 0)
    right_arm: tuple[float, ...] = _ARM
    left_arm: tuple[float, ...] = _ARM
    right_leg: tuple[float, ...] = _LEG
    left_leg: tuple[float, ...] = _LEG
    variation: float = 1.0


EVERYDAY = (
    Everyday("standing", 18),
    Everyday("standing", 6, right_leg=(6, 10, 16, 18), left_leg=(-4, -2, 3, 6), torso=(0, -3, 4, 0, 0)),
    Everyday("hand on hip", 7, right_arm=_HIP, torso=(0, 3, 0, 0, 0), variation=0.7),
    Everyday("hands on hips", 3, right_arm=_HIP, left_arm=_HIP, right_leg=(2, 8, 4, 12),
             left_leg=(2, 8, 4, 12), variation=0.6),
    Everyday("arms folded", 6, right_arm=(30, 16, 102, 1.45, -0.2, 35), left_arm=(38, 14, 98, 1.5, -0.5, 35),
             variation=0.3),
    Everyday("walking", 18, (4, 0, 4, 0, 0), (-24, 6, 18, 0.2, 0, 0), (26, 6, 28, 0.2, 0, 0),
             (24, 1, 8, 3), (-16, 1, 24, 3)),
    Everyday("walking", 5, (3, 0, 3, 0, 0), (-8, 6, 12, 0.2, 0, 0), (10, 6, 18, 0.2, 0, 0),
             (8, 1, 6, 3), (2, 1, 52, 3)),
    Everyday("running", 7, (14, 0, 8, 0, -6), (-42, 12, 92, 0.4, 0.2, 0), (38, 12, 96, 0.5, 0.5, 0),
             (54, 2, 72, 2), (-20, 2, 62, 2)),
    Everyday("running", 3, (12, 0, 5, 0, -6), (-25, 12, 85, 0.4, 0.2, 0), (20, 12, 90, 0.5, 0.5, 0),
             (22, 2, 18, 2), (5, 2, 104, 2)),
    Everyday("waving", 7, right_arm=(20, 88, 78, 0.0, 1.4, 40), variation=1.1),
    Everyday("reaching up", 6, (0, 0, 0, 0, -14), (150, 15, 18, 0.2, 0.5, 0), variation=1.2),
    Everyday("reaching forward", 6, (12, 0, 0, 0, 0), (78, 8, 20, 0.2, 0.5, 30), (40, 8, 35, 0.3, 0.3, 10),
             (12, 3, 12, 6), (-8, 3, 8, 6), 1.1),
    Everyday("cheering", 4, (-4, 0, 0, 0, -10), (30, 128, 32, 0, 1.3, 30), (30, 128, 32, 0, 1.3, 30),
             (3, 8, 4, 10), (3, 8, 4, 10), 1.1),
    Everyday("pointing", 5, (0, 0, 0, -30, 0), (30, 74, 8, 0, 0.5, 30)),
    Everyday("phoning", 7, (0, 0, 0, 5, 4), _PHONE, variation=0.5),
    Everyday("looking at a phone", 5, (3, 0, 0, 0, 24), (34, 8, 100, 0.75, 0.4, -20), variation=0.6),
    Everyday("carrying something", 5, (-3, 0, 0, 0, 0), (18, 8, 86, 0.45, 0.1, -55),
             (18, 8, 86, 0.45, 0.1, -55), variation=0.5),
    Everyday("sitting", 11, (4, 0, 0, 0, 2), (26, 12, 48, 0.5, 0.3, 25), (26, 12, 48, 0.5, 0.3, 25),
             (84, 7, 84, 6), (84, 7, 84, 6), 0.9),
    Everyday("sitting", 3, (-8, 0, 0, 0, 0), (-4, 20, 40, 0.5, 0.2, 20), (30, 12, 52, 0.6, 0.3, 25),
             (88, -4, 70, 4), (80, 6, 84, 6), 0.7),
    Everyday("crouching", 4, (24, 0, 0, 0, -14), (50, 12, 50, 0.6, 0.4, 20), (50, 12, 50, 0.6, 0.4, 20),
             (104, 14, 122, 10), (104, 14, 122, 10), 0.8),
    Everyday("kneeling", 2, (6, 0, 0, 0, 0), (20, 12, 40, 0.6, 0.4, 20), (20, 12, 40, 0.6, 0.4, 20),
             (88, 8, 92, 6), (2, 4, 92, 4), 0.6),
    Everyday("lunging", 4, (8, 0, 0, 0, 0), (20, 20, 40, 0.4, 0.4, 0), (-10, 20, 30, 0.4, 0.2, 0),
             (62, 3, 62, 4), (-20, 3, 22, 4)),
    Everyday("bending", 4, (50, 0, 0, 0, -12), (52, 8, 20, 0.2, 0, 0), (42, 8, 20, 0.2, 0, 0),
             (22, 5, 16, 6), (20, 5, 14, 6)),
    Everyday("dancing", 5, (0, 5, 10, 0, 0), (60, 70, 60, 0, 0.8, 0), (10, 66, 70, 0.4, 0.8, 0),
             (28, 18, 40, 14), (-2, 10, 12, 8), 2.0),
    Everyday(LYING, 2, (-2, 0, 0, 10, 0), (10, 25, 20, 0.4, 0.3, 10), (20, 20, 30, 0.4, 0.3, 10),
             (14, 5, 20, 8), (2, 5, 6, 8), 1.3),
)  # fmt: skip


@dataclass(frozen=True)
class Hand:
    """One hand. curl of thumb to little finger, 0 straight to 1 bent; spread 0..1; bend of the wrist in
    degrees, towards the palm; facing: where the palm shall point as far as the forearm turns, in the person's
    own frame (left, up, front), or None.
    """

    curl: tuple[float, float, float, float, float] = (0.25, 0.3, 0.33, 0.36, 0.4)
    spread: float = 0.3
    bend: float = 0.0
    facing: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Pose:
    """How a person holds themselves.

    angles: name -> degrees; limbs as "r_..." and "l_...". yaw, degrees: 0 faces the camera, positive turns
    to the person's left; tilt, degrees: -90 lies on the back. expression: name -> 0..1; gaze: degrees to the
    person's left and up.
    """

    name: str
    angles: dict[str, float]
    yaw: float
    hands: tuple[Hand, Hand]
    expression: dict[str, float] = field(default_factory=dict)
    gaze: tuple[float, float] = (0.0, 0.0)
    tilt: float = 0.0


def sample_pose(draws: Draws) -> Pose:
    """Everyday poses of either handedness, seen mostly from the front, often from the side, sometimes from
    behind.
    """
    entry = EVERYDAY[draws.choice([each.weight for each in EVERYDAY])]
    mirror = draws.chance(0.5)
    angles = _angles(entry, mirror, draws)
    relaxed = [_relaxed_hand(draws) for _ in range(2)]
    yaw = _sample_yaw(draws)
    lying = entry.name == LYING
    if lying:  # seen from the side, not from the soles
        yaw = math.copysign(draws.normal(90, 22), draws.uniform(-1, 1))
    return Pose(entry.name, angles, yaw, (relaxed[0], relaxed[1]), sample_expression(draws),
                (draws.normal(0, 11), draws.normal(-2, 7)), -90.0 if lying else 0.0)  # fmt: skip


def _angles(entry: Everyday, mirror: bool, draws: Draws) -> dict[str, float]:
    sides = ("l", "r") if mirror else ("r", "l")
    sign = -1 if mirror else 1
    means = {name: value * (sign if name in ("roll", "twist", "head_yaw") else 1)
             for name, value in zip(TORSO, entry.torso, strict=True)}  # fmt: skip
    for side, arm, leg in zip(sides, (entry.right_arm, entry.left_arm), (entry.right_leg, entry.left_leg),
                              strict=True):  # fmt: skip
        means |= {f"{side}_{name}": value for name, value in zip((*ARM, *LEG), (*arm, *leg), strict=True)}
    return {name: limited(name, value + entry.variation * _SPREAD[_group(name)] * draws.normal())
            for name, value in sorted(means.items())}  # fmt: skip


def _group(name: str) -> str:
    return name[2:] if name.startswith(("r_", "l_")) else name


def limited(name: str, value: float) -> float:
    """An angle within what the joint allows."""
    low, high = LIMITS[_group(name)]
    return min(max(value, low), high)


def sample_expression(draws: Draws) -> dict[str, float]:
    """Mostly calm or smiling faces."""
    which = draws.choice([5, 4, 1, 1, 1])
    much = draws.uniform(0.3, 1.0)
    faces = (
        {"smile": 0.15 * much},
        {"smile": 0.9 * much, "squint": 0.3 * much, "mouth open": 0.12 * draws.uniform()},
        {"mouth open": 0.5 * much, "brows up": 0.6 * much, "wide": 0.5 * much},
        {"frown": 0.7 * much, "brows down": 0.7 * much}, {"pucker": 0.5 * much, "brows up": 0.2 * much},
    )  # fmt: skip
    return {**faces[which], "blink": draws.uniform(0.0, 0.25) if draws.chance(0.94) else 0.9}


def _relaxed_hand(draws: Draws) -> Hand:
    base = draws.uniform(0.18, 0.6) if draws.chance(0.85) else draws.uniform(0.75, 1.0)
    curl = [
        min(max(base * factor + draws.normal(0, 0.06), 0.0), 1.0) for factor in (0.8, 0.85, 1, 1.08, 1.12)
    ]
    return Hand((curl[0], curl[1], curl[2], curl[3], curl[4]), draws.uniform(0.05, 0.4), draws.normal(4, 8))


def _sample_yaw(draws: Draws) -> float:
    which = draws.choice([0.6, 0.26, 0.14])
    if which == 0:
        return draws.normal(0, 28)
    if which == 1:
        return math.copysign(draws.normal(78, 18), draws.uniform(-1, 1))
    return draws.normal(180, 25)
