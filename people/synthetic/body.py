"""From proportions and joint angles to points in space: metres, x to the picture's right, y up, z
towards the camera.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws
from .poses import Poses

RIGHT, LEFT = 0, 1
_SIDE_SIGN = (-1.0, 1.0)  # the person's right hand lies on the picture's left when they face the camera


@dataclass(frozen=True)
class Proportions:
    """All (B,). height in metres; the others are factors round 1."""

    height: Tensor
    girth: Tensor
    shoulders: Tensor
    hips: Tensor
    legs: Tensor
    head: Tensor
    woman: Tensor


@dataclass(frozen=True)
class Body:
    """Joint points (B, 3) and frames (B, 3, 3; columns right, up, front) of a posed person, pelvis at
    the origin.
    """

    proportions: Proportions
    hand_size: Tensor  # (B,), a factor
    torso: Tensor
    pelvis: Tensor
    head: Tensor
    points: dict[str, Tensor]
    hands: Tensor  # (B, 2, 21, 3), right then left
    palm_normals: Tensor  # (B, 2, 3)


def sample_proportions(draws: Draws) -> Proportions:
    """People from slight to sturdy; women a little shorter, with narrower shoulders and wider hips, on
    average.
    """
    woman = draws.chance(0.5)
    sex = torch.where(woman, 1.0, 0.0)
    one = [draws.normal(0, 1).reshape(-1) for _ in range(6)]
    return Proportions(
        height=1.76 - 0.12 * sex + 0.06 * one[0],
        girth=(1.03 + 0.11 * one[1]).clamp_min(0.8),
        shoulders=1.03 - 0.09 * sex + 0.04 * one[2],
        hips=0.97 + 0.07 * sex + 0.04 * one[3],
        legs=1.0 + 0.03 * one[4],
        head=1.06 + 0.04 * one[5],
        woman=woman,
    )


def pose_body(proportions: Proportions, poses: Poses) -> Body:
    """Forward kinematics from the pelvis outwards."""
    h, angle = proportions.height[:, None], poses.angles
    facing = _turn_y(poses.yaw)
    pelvis = facing @ _turn_z(angle["roll"] * 0.4)
    torso = facing @ _turn_x(angle["lean"]) @ _turn_z(angle["roll"]) @ _turn_y(angle["twist"] * 0.5)
    head = torso @ _turn_y(angle["head_yaw"]) @ _turn_x(-angle["head_pitch"] - 0.5 * angle["lean"])
    points = _trunk_points(proportions, pelvis, torso, head, h)
    hands, normals = [], []
    for side, name in ((RIGHT, "r"), (LEFT, "l")):
        _add_leg(points, proportions, pelvis, angle, side, name, h)
        direction, normal = _add_arm(points, torso, angle, side, name, h)
        normal = _twisted(normal, direction, poses.twist[:, side, None])
        hands.append(_hand_points(points[f"{name}_wrist"], direction, normal, side, poses, h))
        normals.append(normal)
    tilt = _turn_x(poses.pitch)  # the camera looks down, so the world tips towards it
    points = {name: torch.einsum("bij,bj->bi", tilt, p) for name, p in points.items()}
    return Body(
        proportions, poses.hand_size, tilt @ torso, tilt @ pelvis, tilt @ head, points,
        torch.einsum("bij,bsnj->bsni", tilt, torch.stack(hands, 1)),
        torch.einsum("bij,bsj->bsi", tilt, torch.stack(normals, 1)),
    )  # fmt: skip


def openpose_points(body: Body) -> tuple[Tensor, Tensor]:
    """The 18 OpenPose joints in space (B, 18, 3), and which of them a camera could see past the head
    (B, 18) bool.
    """
    p = body.points
    names = ("nose", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist",
             "r_hip", "r_knee", "r_ankle", "l_hip", "l_knee", "l_ankle",
             "r_eye", "l_eye", "r_ear", "l_ear")  # fmt: skip
    joints = torch.stack([p[name] for name in names], 1)
    seen = torch.ones(joints.shape[:2], dtype=torch.bool, device=joints.device)
    for index, name in ((0, "nose"), (14, "r_eye"), (15, "l_eye"), (16, "r_ear"), (17, "l_ear")):
        outward = p[name] - p["skull"]
        seen[:, index] = outward[:, 2] / outward.norm(dim=1) > (-0.35 if name != "nose" else -0.2)
    return joints, seen


def _trunk_points(
    body: Proportions, pelvis: Tensor, torso: Tensor, head: Tensor, h: Tensor
) -> dict[str, Tensor]:
    origin = torch.zeros_like(h.expand(-1, 3))
    neck = origin + torso[:, :, 1] * 0.285 * h
    half_shoulders, half_hips = 0.108 * h * body.shoulders[:, None], 0.058 * h * body.hips[:, None]
    chin = neck + (0.6 * torso[:, :, 1] + 0.4 * head[:, :, 1]) * 0.055 * h
    r = 0.058 * h * body.head[:, None]
    skull = chin + head[:, :, 1] * 1.05 * r + head[:, :, 2] * 0.25 * r
    points = {"pelvis": origin, "neck": neck, "chin": chin, "skull": skull}
    for side, name in ((RIGHT, "r"), (LEFT, "l")):
        sign = _SIDE_SIGN[side]
        points[f"{name}_shoulder"] = neck + torso[:, :, 0] * sign * half_shoulders - torso[:, :, 1] * 0.01 * h
        points[f"{name}_hip"] = origin + pelvis[:, :, 0] * sign * half_hips - pelvis[:, :, 1] * 0.015 * h
        points[f"{name}_eye"] = skull + r * (head @ _column(0.36 * sign, 0.12, 0.92, h)).squeeze(-1)
        points[f"{name}_ear"] = skull + r * (head @ _column(0.98 * sign, -0.05, -0.1, h)).squeeze(-1)
    points["nose"] = skull + r * (head @ _column(0.0, -0.15, 1.08, h)).squeeze(-1)
    return points


def _add_arm(
    points: dict, torso: Tensor, angle: dict, side: int, name: str, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Upper arm by flexion and abduction; the forearm bends towards a hint of inward, up and forward."""
    flexion, abduction, bend = (angle[f"{name}_{k}"] for k in ("arm_flexion", "arm_abduction", "elbow"))
    sign = _SIDE_SIGN[side]
    upper = torch.stack(
        [sign * abduction.sin(), -abduction.cos() * flexion.cos(), abduction.cos() * flexion.sin()], 1
    )
    hint = torch.stack(
        [-sign * angle[f"{name}_elbow_inward"], angle[f"{name}_elbow_up"], torch.ones_like(bend)], 1
    )
    across = _unit(hint - (hint * upper).sum(1, keepdim=True) * upper)
    lower = bend.cos()[:, None] * upper + bend.sin()[:, None] * across
    inward = torch.zeros_like(upper)
    inward[:, 0], inward[:, 2] = -sign, -0.35
    normal = _unit(inward - (inward * lower).sum(1, keepdim=True) * lower + 1e-4)
    upper, lower, normal = (torch.einsum("bij,bj->bi", torso, v) for v in (upper, lower, normal))
    points[f"{name}_elbow"] = points[f"{name}_shoulder"] + upper * 0.165 * h
    points[f"{name}_wrist"] = points[f"{name}_elbow"] + lower * 0.148 * h
    return lower, normal


def _add_leg(
    points: dict, body: Proportions, pelvis: Tensor, angle: dict, side: int, name: str, h: Tensor
) -> None:
    flexion, abduction, bend = (angle[f"{name}_{k}"] for k in ("hip_flexion", "hip_abduction", "knee"))
    thigh = torch.stack([_SIDE_SIGN[side] * abduction.sin(), -abduction.cos() * flexion.cos(),
                         abduction.cos() * flexion.sin()], 1)  # fmt: skip
    lateral = torch.zeros_like(thigh)
    lateral[:, 0] = 1.0
    behind = torch.linalg.cross(lateral, thigh)
    shin = _unit(bend.cos()[:, None] * thigh + bend.sin()[:, None] * behind)
    toes = -torch.linalg.cross(lateral, shin) + 0.12 * _SIDE_SIGN[side] * lateral
    thigh, shin, toes = (torch.einsum("bij,bj->bi", pelvis, _unit(v)) for v in (thigh, shin, toes))
    length = h * body.legs[:, None]
    points[f"{name}_knee"] = points[f"{name}_hip"] + thigh * 0.245 * length
    points[f"{name}_ankle"] = points[f"{name}_knee"] + shin * 0.232 * length
    points[f"{name}_heel"] = points[f"{name}_ankle"] + shin * 0.022 * h - toes * 0.012 * h
    points[f"{name}_toe"] = points[f"{name}_heel"] + toes * 0.105 * h - shin * 0.004 * h


def _hand_points(
    wrist: Tensor, forward: Tensor, normal: Tensor, side: int, poses: Poses, h: Tensor
) -> Tensor:
    """21 joints (B, 21, 3): wrist, then thumb to little finger, each from its base to its tip."""
    across = torch.linalg.cross(forward, normal) * (-_SIDE_SIGN[side])  # towards the thumb
    spread, joints = poses.spread[:, side, None], [wrist]
    size = 0.108 * h * poses.hand_size[:, None]
    thumb = wrist + size * (0.12 * forward + 0.18 * across)
    direction = _unit(0.62 * forward + 0.62 * across * (0.5 + 0.5 * spread) + 0.25 * normal)
    joints += _finger(thumb, direction, normal, 0.46 * size, 0.5 * poses.curl[:, side, 0, None])
    for finger, (offset, base, length) in enumerate(
        ((0.19, 0.5, 0.44), (0.065, 0.52, 0.49), (-0.06, 0.5, 0.45), (-0.18, 0.46, 0.36))
    ):
        start = wrist + size * (base * forward + offset * across)
        direction = _unit(forward + across * offset * 1.3 * spread)
        joints += _finger(start, direction, normal, length * size, poses.curl[:, side, finger + 1, None])
    return torch.stack(joints, 1)


def _twisted(normal: Tensor, forward: Tensor, angle: Tensor) -> Tensor:
    """The palm's normal turned round the forearm."""
    return angle.cos() * normal + angle.sin() * torch.linalg.cross(forward, normal)


def _finger(start: Tensor, direction: Tensor, normal: Tensor, length: Tensor, curl: Tensor) -> list[Tensor]:
    points, along, angle = [start], start, torch.zeros_like(curl)
    for share, bend in ((0.45, 1.25), (0.31, 1.55), (0.24, 1.0)):
        angle = angle + curl * bend
        along = along + length * share * (angle.cos() * direction + angle.sin() * normal)
        points.append(along)
    return points


def _column(x: float, y: float, z: float, like: Tensor) -> Tensor:
    return torch.tensor([[x], [y], [z]], dtype=like.dtype, device=like.device)


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm(dim=-1, keepdim=True).clamp_min(1e-6)


def _turn(angle: Tensor, i: int, j: int) -> Tensor:
    """(B, 3, 3) rotation in the plane of axes i and j, from i towards j."""
    matrix = torch.eye(3, dtype=angle.dtype, device=angle.device).repeat(len(angle), 1, 1)
    matrix[:, i, i] = matrix[:, j, j] = angle.cos()
    matrix[:, j, i], matrix[:, i, j] = angle.sin(), -angle.sin()
    return matrix


def _turn_x(angle: Tensor) -> Tensor:
    """Leaning forward: up goes towards the front."""
    return _turn(angle, 1, 2)


def _turn_y(angle: Tensor) -> Tensor:
    """Turning: the front goes towards the right of the picture."""
    return _turn(angle, 2, 0)


def _turn_z(angle: Tensor) -> Tensor:
    return _turn(angle, 0, 1)
