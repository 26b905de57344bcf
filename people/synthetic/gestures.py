"""People who show a hand, or both: framed from the head to the hips, as in HaGRID."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from .body import LEFT, RIGHT, Body, Proportions, pose_body
from .draws import Draws
from .poses import Poses

# How far thumb, index, middle, ring and little finger are bent, 0 straight to 1 a fist.
GESTURES = {
    "palm": (0.0, 0.0, 0.0, 0.0, 0.0),
    "fist": (0.8, 1.0, 1.0, 1.0, 1.0),
    "one": (0.7, 0.0, 1.0, 1.0, 1.0),
    "two": (0.7, 0.0, 0.0, 1.0, 1.0),
    "three": (0.8, 0.0, 0.0, 0.0, 1.0),
    "four": (0.9, 0.0, 0.0, 0.0, 0.0),
    "thumb": (0.0, 1.0, 1.0, 1.0, 1.0),
    "call": (0.0, 1.0, 1.0, 1.0, 0.0),
    "horns": (0.7, 0.0, 1.0, 1.0, 0.0),
    "half": (0.4, 0.45, 0.45, 0.45, 0.45),
}
_WEIGHTS = (4.0, 1.5, 1.5, 1.5, 1.2, 1.2, 1.2, 1.0, 1.0, 1.5)
_SIDE_SIGN = (-1.0, 1.0)
_PALM_TO_CAMERA = math.pi / 2
SMALLEST_HAND_PX_AT_128 = 26.0
"""A hand of 24 px can be judged; the fingers' thickness is not in the joints' box, the wrist is."""
LARGEST_HAND = 1.9
HANDS_UP = (", hand up", ", hands up")


def raise_hands(poses: Poses, draws: Draws) -> tuple[Poses, Tensor]:
    """The poses with one hand or both held up beside the body, seen from the front; and which, (B,2) bool."""
    side = draws.choice([0.36, 0.36, 0.28])
    raised = torch.stack([side != LEFT, side != RIGHT], 1)
    angles = {name: 0.3 * value for name, value in poses.angles.items()}
    for number, name in ((RIGHT, "r"), (LEFT, "l")):
        up = {
            "arm_flexion": torch.deg2rad(draws.uniform(0, 55).reshape(-1)),
            "arm_abduction": torch.deg2rad(draws.uniform(5, 70).reshape(-1)),
            "elbow": torch.deg2rad(draws.uniform(100, 145).reshape(-1)),
            "elbow_inward": draws.uniform(-0.5, 0.4).reshape(-1),
            "elbow_up": draws.uniform(0.6, 1.5).reshape(-1),
        }
        for part, value in up.items():
            key = f"{name}_{part}"
            angles[key] = torch.where(raised[:, number], value, angles[key])
    curl, spread, twist = sample_hands(draws)
    seen = replace(
        poses, angles=angles, yaw=torch.deg2rad(draws.normal(0, 22).reshape(-1)), curl=curl, spread=spread,
        twist=torch.where(raised, twist, 0.0), hand_size=draws.uniform(1.05, 1.4).reshape(-1),
    )  # fmt: skip
    return seen, raised


def sample_hands(draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Curl (B,2,5), spread (B,2) and twist (B,2) of hands that are shown: mostly the palm, also the back."""
    table = torch.tensor(list(GESTURES.values()), device=draws.device)
    curls, twists = [], []
    for sign in _SIDE_SIGN:
        shape = table[draws.choice(_WEIGHTS)]
        curls.append((shape * draws.uniform(0.75, 1.0, 1) + draws.normal(0.04, 0.06, 5)).clamp(0, 1))
        front = torch.where(draws.chance(0.75), 1.0, -1.0)
        twists.append(sign * (front * _PALM_TO_CAMERA + draws.normal(0, 0.45).reshape(-1)))
    return torch.stack(curls, 1), draws.uniform(0.2, 1.0, 2), torch.stack(twists, 1)


def pose_showing(
    proportions: Proportions, poses: Poses, raised: Tensor, share: Tensor
) -> tuple[Body, Tensor]:
    """The posed body, its raised hands large enough to be judged; and pixels per metre and side (B,)."""
    body = pose_body(proportions, poses)
    for _ in range(2):
        scale = share / _extent(body, raised)[2]
        across = body.hands[..., :2].amax(2) - body.hands[..., :2].amin(2)
        smallest = torch.where(raised, across.amax(-1), torch.inf).amin(1) * scale
        wanted = (SMALLEST_HAND_PX_AT_128 / 128 / smallest).clamp_min(1.0)
        poses = replace(poses, hand_size=(poses.hand_size * wanted).clamp_max(LARGEST_HAND))
        body = pose_body(proportions, poses)
    return body, share / _extent(body, raised)[2]


def close_camera(draws: Draws, body: Body, raised: Tensor, scale: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pixels per metre (B,) and where the pelvis lands (B,2): head to hips, with the raised hands."""
    low, high, _ = _extent(body, raised)
    per_metre = scale * size
    free = size - (high - low) * per_metre[:, None]
    left = free[:, 0] * draws.uniform(0.15, 0.85).reshape(-1)
    below = free[:, 1] * draws.uniform(0.0, 0.25).reshape(-1)
    centre = torch.stack([left - low[:, 0] * per_metre, size - below + low[:, 1] * per_metre], 1)
    return per_metre, centre


def showing(caption: str, hands: int) -> str:
    """A person's caption with what the hands do in the place of the pose."""
    return caption.rpartition(",")[0] + HANDS_UP[hands - 1]


def _extent(body: Body, raised: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Corners (B,2) of the box round head, hips and raised hands, in metres; and its longer side (B,)."""
    p, radius = body.points, 0.075 * body.proportions.height
    whole = [p[name][:, :2] for name in ("r_hip", "l_hip", "r_shoulder", "l_shoulder")]
    head = p["skull"][:, :2]
    points = torch.stack([*whole, head - radius[:, None], head + radius[:, None]], 1)
    hands = torch.where(raised[:, :, None, None], body.hands[..., :2], p["neck"][:, None, None, :2])
    margin = 0.012 * body.proportions.height[:, None, None]
    hands = hands.flatten(1, 2)
    points = torch.cat([points, hands - margin, hands + margin], 1)
    low, high = points.amin(1), points.amax(1)
    return low, high, (high - low).amax(1)
