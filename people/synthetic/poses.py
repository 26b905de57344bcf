"""How people hold themselves: joint angles drawn round everyday poses, within what joints allow."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws

# Columns of a pose, in degrees unless said otherwise. Arms and legs: the person's right, then left.
ANGLES = (
    "lean", "roll", "twist", "head_yaw", "head_pitch",
    "r_arm_flexion", "r_arm_abduction", "r_elbow", "r_elbow_inward", "r_elbow_up",
    "l_arm_flexion", "l_arm_abduction", "l_elbow", "l_elbow_inward", "l_elbow_up",
    "r_hip_flexion", "r_hip_abduction", "r_knee", "l_hip_flexion", "l_hip_abduction", "l_knee",
)  # fmt: skip
_LOW = (-25, -20, -35, -65, -35, -45, -5, 0, -1, -1, -45, -5, 0, -1, -1, -35, -8, 0, -35, -8, 0)
_HIGH = (70, 20, 35, 65, 35, 175, 150, 145, 1.5, 1.5, 175, 150, 145, 1.5, 1.5, 120, 60, 140, 120, 60, 140)
_SPREAD = (5, 3, 8, 20, 9, 12, 8, 14, 0.3, 0.3, 12, 8, 14, 0.3, 0.3, 6, 4, 7, 6, 4, 7)

_REST_ARM = (0, 10, 15, 0.3, 0)
_REST_LEGS = (0, 5, 4, 0, 5, 4)
# name, weight, torso and head, right arm, left arm,
# legs (right flexion, abduction, knee; left ...), spread of angles
_EVERYDAY: tuple[tuple[str, float, tuple, tuple, tuple, tuple, float], ...] = (
    ("standing", 16, (0, 0, 0, 0, 0), _REST_ARM, _REST_ARM, _REST_LEGS, 1.0),
    ("hand on hip", 8, (0, 3, 0, 0, 0), (-15, 42, 95, 1.4, -0.2),
     _REST_ARM, _REST_LEGS, 0.8),
    ("arms folded", 6, (0, 0, 0, 0, 0), (38, 8, 100, 1.4, 0.2), (34, 8, 100, 1.4, 0),
     _REST_LEGS, 0.7),
    ("walking", 16, (4, 0, 0, 0, 0), (-24, 8, 20, 0.2, 0), (26, 8, 28, 0.2, 0), (26, 3, 10, -20, 3, 28), 1.0),
    ("running", 8, (14, 0, 0, 0, 0), (-35, 10, 90, 0.4, 0.2), (45, 10, 90, 0.4, 0.4),
     (58, 3, 70, -22, 3, 60), 1.0),
    ("waving", 9, (0, 0, 0, 0, 0), (20, 95, 75, 0.0, 1.4), _REST_ARM, _REST_LEGS, 1.2),
    ("reaching up", 7, (0, 0, 0, 0, 10), (155, 15, 15, 0.2, 0.5), _REST_ARM, _REST_LEGS, 1.3),
    ("reaching forward", 7, (12, 0, 0, 0, 0), (80, 8, 20, 0.2, 0.5), (50, 8, 35, 0.3, 0.3),
     (12, 5, 12, -8, 5, 8), 1.2),
    ("cheering", 5, (0, 0, 0, 0, 8), (30, 135, 30, 0, 1.3), (30, 135, 30, 0, 1.3), _REST_LEGS, 1.2),
    ("pointing", 6, (0, 0, 0, 30, 0), (25, 82, 8, 0, 0.5), _REST_ARM, _REST_LEGS, 1.1),
    ("sitting", 12, (4, 0, 0, 0, 0), (28, 12, 50, 0.5, 0.3), (28, 12, 50, 0.5, 0.3),
     (84, 10, 84, 84, 10, 84), 1.1),
    ("crouching", 4, (24, 0, 0, 0, -8), (50, 12, 50, 0.6, 0.4), (50, 12, 50, 0.6, 0.4),
     (98, 14, 118, 98, 14, 118), 1.0),
    ("lunging", 5, (8, 0, 0, 0, 0), (20, 20, 40, 0.4, 0.4), (-10, 20, 30, 0.4, 0.2),
     (62, 4, 62, -22, 4, 24), 1.1),
    ("bending", 4, (48, 0, 0, 0, -10), (55, 8, 20, 0.2, 0), (45, 8, 20, 0.2, 0), (6, 6, 14, 4, 6, 12), 1.1),
    ("dancing", 6, (0, 6, 10, 0, 0), (60, 75, 60, 0, 0.8), (10, 70, 70, 0.4, 0.8),
     (30, 22, 40, -2, 12, 12), 2.4),
)  # fmt: skip
POSE_NAMES = tuple(entry[0] for entry in _EVERYDAY)


@dataclass(frozen=True)
class Poses:
    """How B people hold themselves.

    angles: name -> (B,) radians (unit-less for the elbow hints); kind (B,) index into POSE_NAMES;
    yaw (B,) radians, 0 faces the camera; pitch (B,) radians of the camera looking down; curl (B, 2, 5) and
    spread (B, 2) of the fingers; twist (B, 2) radians of the hands round the forearms, 0 has the palms
    towards the body; hand_size (B,) a factor, above 1 as a near camera shows a hand held out.
    """

    angles: dict[str, Tensor]
    kind: Tensor
    yaw: Tensor
    pitch: Tensor
    curl: Tensor
    spread: Tensor
    twist: Tensor
    hand_size: Tensor


def sample_poses(draws: Draws) -> Poses:
    """Everyday poses of either handedness seen mostly from the front, often from the side, sometimes
    from behind.
    """
    kind = draws.choice([entry[1] for entry in _EVERYDAY])
    mirror = draws.chance(0.5)
    values = _mean_and_spread(kind)[0] + _mean_and_spread(kind)[1] * draws.normal(0, 1, len(ANGLES))
    low, high = (torch.tensor(limits, dtype=torch.float32, device=values.device) for limits in (_LOW, _HIGH))
    values = torch.where(mirror[:, None], _mirrored(values), values)
    values = torch.maximum(torch.minimum(values, high), low)
    angles = {name: values[:, i] for i, name in enumerate(ANGLES)}
    for name in ANGLES:
        if not name.endswith(("_inward", "_up")):
            angles[name] = torch.deg2rad(angles[name])
    curl = (draws.uniform(0, 1, 2, 1) ** 1.5 + draws.normal(0, 0.12, 2, 5)).clamp(0, 1)
    plain = torch.zeros_like(values[:, :2])
    return Poses(angles, kind, _sample_yaw(draws), torch.deg2rad(draws.normal(6, 5).reshape(-1)), curl,
                 draws.uniform(0.2, 1.0, 2), twist=plain, hand_size=torch.ones_like(plain[:, 0]))  # fmt: skip


def _mean_and_spread(kind: Tensor) -> tuple[Tensor, Tensor]:
    means = [torso + right + left + legs for _, _, torso, right, left, legs, _ in _EVERYDAY]
    factor = torch.tensor([entry[6] for entry in _EVERYDAY], device=kind.device)[kind, None]
    spread = torch.tensor(_SPREAD, dtype=torch.float32, device=kind.device) * factor
    return torch.tensor(means, dtype=torch.float32, device=kind.device)[kind], spread


def _mirrored(values: Tensor) -> Tensor:
    """Right and left exchanged: the turning angles of torso and head change sign, the limbs change places."""
    sign = torch.tensor([1, -1, -1, -1, 1], dtype=values.dtype, device=values.device)
    torso, right, left = values[:, :5] * sign, values[:, 5:10], values[:, 10:15]
    return torch.cat([torso, left, right, values[:, 18:21], values[:, 15:18]], dim=1)


def _sample_yaw(draws: Draws) -> Tensor:
    view = draws.choice([0.6, 0.26, 0.14])
    side = torch.where(draws.chance(0.5), 1.0, -1.0)
    frontal, profile, back = (
        draws.normal(0, 28).reshape(-1),
        draws.normal(78, 18).reshape(-1),
        draws.normal(180, 25).reshape(-1),
    )
    return torch.deg2rad(torch.where(view == 0, frontal, torch.where(view == 1, side * profile, back)))
