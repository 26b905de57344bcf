"""People who show a hand, or both: framed from the head to the hips; and what their fingers say."""

from __future__ import annotations

import math
from dataclasses import replace

from .draws import Draws
from .poses import Hand, Pose, limited

# How far thumb, index, middle, ring and little finger are bent, 0 straight to 1 a fist.
GESTURES = {
    "palm": (0.0, 0.0, 0.0, 0.0, 0.0),
    "fist": (0.8, 1.0, 1.0, 1.0, 1.0),
    "one": (0.85, 0.0, 1.0, 1.0, 1.0),
    "two": (0.9, 0.0, 0.0, 1.0, 1.0),
    "three": (0.9, 0.0, 0.0, 0.0, 1.0),
    "four": (1.0, 0.0, 0.0, 0.0, 0.0),
    "thumb": (0.0, 1.0, 1.0, 1.0, 1.0),
    "call": (0.0, 1.0, 1.0, 1.0, 0.0),
    "horns": (0.8, 0.0, 1.0, 1.0, 0.0),
    "half": (0.4, 0.45, 0.45, 0.45, 0.45),
}
_WEIGHTS = (4.0, 1.5, 1.5, 1.5, 1.2, 1.2, 1.2, 1.0, 1.0, 1.5)
RIGHT, LEFT = 0, 1
HANDS_UP = (", hand up", ", hands up")


def raise_hands(pose: Pose, draws: Draws) -> tuple[Pose, tuple[bool, bool]]:
    """The pose with one hand or both held up before the body, seen from the front; and which."""
    side = draws.choice([0.36, 0.36, 0.28])
    raised = (side != LEFT, side != RIGHT)
    angles = {name: 0.3 * value for name, value in pose.angles.items()}
    for number, name in ((RIGHT, "r"), (LEFT, "l")):
        up = {
            "arm_flexion": draws.uniform(12, 60), "arm_abduction": draws.uniform(8, 60),
            "elbow": draws.uniform(98, 140), "elbow_inward": draws.uniform(-0.45, 0.3),
            "elbow_up": draws.uniform(0.7, 1.5), "turn": draws.normal(0, 15),
        }  # fmt: skip
        if raised[number]:
            angles |= {f"{name}_{part}": value for part, value in up.items()}
    angles = {name: limited(name, value) for name, value in angles.items()}
    yaw = draws.normal(0, 22)
    right, left = (sample_hand(draws, yaw) if up else own for up, own in zip(raised, pose.hands, strict=True))
    return replace(pose, name="showing", angles=angles, yaw=yaw, tilt=0.0, hands=(right, left)), raised


def sample_hand(draws: Draws, yaw: float) -> Hand:
    """A hand that is shown by who is turned by `yaw` degrees: one of the ten gestures, mostly the palm to the
    camera, also the back.
    """
    shape = list(GESTURES.values())[draws.choice(_WEIGHTS)]
    much = draws.uniform(0.82, 1.0)
    curl = [min(max(value * much + draws.normal(0.03, 0.05), 0.0), 1.0) for value in shape]
    towards = 1.0 if draws.chance(0.75) else -1.0
    x, y, z = draws.normal(0, 0.4), draws.normal(0.1, 0.25), towards
    cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    facing = (cos * x - sin * z, y, sin * x + cos * z)
    return Hand((curl[0], curl[1], curl[2], curl[3], curl[4]), draws.uniform(0.2, 1.0),
                draws.normal(-6, 10), facing)  # fmt: skip


def showing(caption: str, hands: int) -> str:
    """A person's caption with what the hands do in the place of the pose."""
    return caption.rpartition(",")[0] + HANDS_UP[hands - 1]
