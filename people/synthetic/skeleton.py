"""From a shape and a pose to a posed body: bones, vertices and joints in space."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .asset import BodyAsset
from .clearance import DEEP, Trunk, arm_points, moved_away, steps
from .hand_bones import pose_hand
from .poses import LYING, Hand, Pose
from .rotations import Array, about, cross, frame, part_of, swing, turn_x, turn_y, turn_z, unit
from .shapes import Shape, body_at_rest

RIGHT, LEFT = 0, 1
SIDES = ("R", "L")
_SIGN = (-1.0, 1.0)  # the person's right is at negative x
_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")
_ANKLE = (-45.0, 22.0)
"""Degrees a foot turns down and up from square to the shin."""
_SHOULDERS_TO_HEELS = 1.05
_GAZE = (0.55, 0.4)


@dataclass(frozen=True)
class Figure:
    """A posed person. World: metres, x to the picture's right, y up, z to the camera; the ground is y = 0.

    rest (V,3): the whole asset at rest; vertices: skin and eyes posed, its first ones; bone_rotation (J,3,3),
    bone_shift (J,3): world = R rest + t.
    joints (18,3); hands (2,21,3), right and left; head (3,3): columns right (+x at rest), up, front.
    """

    shape: Shape
    pose: Pose
    asset: BodyAsset
    rest: Tensor
    vertices: Tensor
    bone_rotation: Tensor
    bone_shift: Tensor
    joints: Tensor
    hands: Tensor
    head: Tensor
    head_centre: Tensor
    height: float

    def pose_rigid(self, rest: Tensor, bone: str) -> Tensor:
        """Points (n,3) given at rest that move with one bone."""
        index = self.asset.bone(bone)
        return rest @ self.bone_rotation[index].T + self.bone_shift[index]


def pose_body(asset: BodyAsset, shape: Shape, pose: Pose) -> Figure:
    """The person of that shape in that pose, the lowest point on the ground, the pelvis above its middle."""
    if pose.name == LYING:
        pose = replace(pose, tilt=pose.tilt - _rise(_posed(asset, shape, pose)))
    return _posed(asset, shape, pose)


def _rise(figure: Figure) -> float:
    """Degrees by which a lying trunk is higher than the feet."""
    labels = figure.asset.part[: len(figure.vertices)]
    trunk, feet = (labels <= 2) | (labels >= 23), (labels == 5) | (labels == 6)
    height = figure.vertices[:, 1]
    return math.degrees(math.atan2(float(height[trunk].amin() - height[feet].amin()), _SHOULDERS_TO_HEELS))


def _posed(asset: BodyAsset, shape: Shape, pose: Pose) -> Figure:
    whole = body_at_rest(asset, shape)
    count = len(asset.bones)
    rest = whole[:count].clone()
    for name, amount in pose.expression.items():
        rest[asset.expression_vertices] += amount * asset.expressions[name]
    skeleton = Skeleton(asset, whole[asset.ranges["joints"]].double().cpu().numpy())
    pose = _clear(skeleton, pose, Trunk.of(asset, rest))
    turns = np.stack(skeleton.rotation)
    rotation = torch.tensor(turns, dtype=rest.dtype, device=rest.device)
    shift = torch.tensor(np.stack(skeleton.place) - (turns @ skeleton.rest[..., None])[..., 0]).to(rotation)
    moves = torch.cat([rotation.flatten(1), shift], 1)
    seen = asset.ranges["eyes"].stop
    vertices = _moved(asset.skinning[:seen], moves, rest[:seen])
    marks = _moved(asset.landmark_bones, moves, whole[asset.ranges["landmarks"]])
    root = skeleton.place[0]
    drop = torch.stack([torch.tensor(float(root[0]), device=rest.device), vertices[:, 1].amin(),
                        torch.tensor(float(root[2]), device=rest.device)])  # fmt: skip
    vertices, marks, shift = vertices - drop, marks - drop, shift - drop
    marks[1] = (marks[2] + marks[5]) / 2
    head = asset.bone("head")
    ears = (marks[16] + marks[17]) / 2
    return Figure(
        shape, pose, asset, rest, vertices, rotation, shift, marks[:18], marks[18:].view(2, 21, 3),
        rotation[head], ears, float(rest[:seen, 1].amax()),
    )  # fmt: skip


def _moved(shares: Tensor, moves: Tensor, points: Tensor) -> Tensor:
    """Points (n,3) moved by their shares (n,J) of the bones' matrices and shifts (J,12)."""
    rows = moves.T @ shares.T
    x, y, z = points.T.contiguous()
    planes = [
        rows[9 + i].addcmul(rows[3 * i], x).addcmul_(rows[3 * i + 1], y).addcmul_(rows[3 * i + 2], z)
        for i in range(3)
    ]
    return torch.stack(planes, 1)


class Skeleton:
    """Bones while they are being turned: `rest` (J,3) joints; world rotation and place of each."""

    def __init__(self, asset: BodyAsset, rest: Array) -> None:
        self.asset, self.rest = asset, rest
        self.number = {name: i for i, name in enumerate(asset.bone_names)}
        self.world: dict[int, Array] = {}
        self.rotation: list[Array] = []
        self.place: list[Array] = []

    def joint(self, name: str) -> Array:
        """Where the bone starts at rest."""
        return self.rest[self.number[name]]

    def turn(self, name: str, world: Array) -> None:
        """Give a bone its rotation in the world; bones that are given none follow their parents."""
        self.world[self.number[name]] = world

    def finish(self) -> None:
        """Rotation and place of every bone, from the root outwards."""
        self.rotation, self.place = [], []
        for index, parent in enumerate(self.asset.parents):
            if parent < 0:
                self.rotation.append(self.world[index])
                self.place.append(self.rest[index])
                continue
            self.rotation.append(self.world.get(index, self.rotation[parent]))
            self.place.append(
                self.place[parent] + self.rotation[parent] @ (self.rest[index] - self.rest[parent])
            )


def _clear(skeleton: Skeleton, pose: Pose, trunk: Trunk) -> Pose:
    """Turn the bones, and move arms away that go through the trunk; gives the pose that came out."""
    move_bones(skeleton, pose)
    for side in (RIGHT, LEFT):
        for _ in steps():
            if float(closeness(skeleton, trunk, side).amin()) >= DEEP:
                break
            pose = moved_away(pose, side)
            move_bones(skeleton, pose)
    return pose


def closeness(skeleton: Skeleton, trunk: Trunk, side: int) -> Tensor:
    """How near forearm and hand are to the trunk's middle, see `Trunk.closeness`."""
    place = {name: skeleton.place[i] for name, i in skeleton.number.items()}
    middle = skeleton.number[_SPINE[2]]
    points = arm_points(place, SIDES[side])
    at_rest = (points - skeleton.place[middle]) @ skeleton.rotation[middle] + skeleton.rest[middle]
    return trunk.closeness(torch.tensor(at_rest, dtype=torch.float32), 0.03)


def move_bones(skeleton: Skeleton, pose: Pose) -> None:
    """Turn every bone as the pose says."""
    angle = {name: math.radians(value) for name, value in pose.angles.items() if _in_degrees(name)}
    hint = {name: value for name, value in pose.angles.items() if not _in_degrees(name)}
    stance = _stance(pose)
    root = stance @ turn_z(0.4 * angle["roll"]) @ turn_x(0.15 * angle["lean"])
    skeleton.turn("root", root)
    bend = root.T @ stance @ turn_x(angle["lean"]) @ turn_z(angle["roll"]) @ turn_y(angle["twist"])
    for number, name in enumerate(_SPINE):
        skeleton.turn(name, root @ part_of(bend, (number + 1) / len(_SPINE)))
    torso = root @ bend
    nod = turn_y(angle["head_yaw"]) @ turn_x(angle["head_pitch"] - 0.55 * max(angle["lean"], 0.0))
    for number, name in enumerate(_NECK):
        skeleton.turn(name, torso @ part_of(nod, (number + 1) / len(_NECK)))
    left, up = (math.radians(value) * share for value, share in zip(pose.gaze, _GAZE, strict=True))
    for letter in SIDES:
        skeleton.turn(f"eye.{letter}", torso @ nod @ turn_y(left) @ turn_x(-up))
    for side in (RIGHT, LEFT):
        _move_arm(skeleton, torso, angle, hint, side, pose.hands[side], stance)
        _move_leg(skeleton, root, angle, side)
    skeleton.finish()


def _in_degrees(name: str) -> bool:
    return not name.endswith(("_inward", "_up"))


def _stance(pose: Pose) -> Array:
    return turn_y(math.radians(pose.yaw)) @ turn_x(math.radians(pose.tilt))


def _move_arm(
    skeleton: Skeleton, torso: Array, angle: dict[str, float], hint: dict[str, float], side: int, hand: Hand,
    stance: Array,
) -> None:  # fmt: skip
    """Upper arm by flexion and abduction; the forearm bends towards a hint of inward, up and forwards."""
    letter, name, sign = SIDES[side], "rl"[side], _SIGN[side]
    flexion, abduction, bend = (angle[f"{name}_{k}"] for k in ("arm_flexion", "arm_abduction", "elbow"))
    upper = np.array([sign * math.sin(abduction), -math.cos(abduction) * math.cos(flexion),
                          math.cos(abduction) * math.sin(flexion)])  # fmt: skip
    towards = np.array([-sign * hint[f"{name}_elbow_inward"], hint[f"{name}_elbow_up"], 1.0])
    across = unit(towards - (towards @ upper) * upper)
    lower = math.cos(bend) * upper + math.sin(bend) * across
    hinge = cross(upper, across)
    shoulder, elbow, wrist = (
        skeleton.joint(f"{bone}.{letter}") for bone in ("upperarm01", "lowerarm01", "wrist")
    )
    rest_upper, rest_lower = elbow - shoulder, wrist - elbow
    rest_hinge = cross(rest_upper, rest_lower)
    turned = torso @ frame(upper, hinge) @ frame(rest_upper, rest_hinge).T
    plain = torso @ swing(rest_upper, upper)
    lift = max(0.0, float(upper[1]) + 0.35)
    raised = torso @ turn_z(-sign * -0.38 * lift) if lift else torso
    skeleton.turn(f"clavicle.{letter}", torso @ part_of(torso.T @ raised, 0.6))
    skeleton.turn(f"shoulder01.{letter}", raised @ part_of(raised.T @ plain, 0.12))
    skeleton.turn(f"upperarm01.{letter}", plain @ part_of(plain.T @ turned, 0.45))
    skeleton.turn(f"upperarm02.{letter}", turned)
    forearm = torso @ frame(lower, hinge) @ frame(rest_lower, rest_hinge).T
    pose_hand(skeleton, forearm, rest_lower, side, angle[f"{name}_turn"], hand, stance)


def _move_leg(skeleton: Skeleton, root: Array, angle: dict[str, float], side: int) -> None:
    letter, name, sign = SIDES[side], "rl"[side], _SIGN[side]
    flexion, abduction, bend, out = (
        angle[f"{name}_{k}"] for k in ("hip_flexion", "hip_abduction", "knee", "hip_turn")
    )
    thigh = np.array([sign * math.sin(abduction), -math.cos(abduction) * math.cos(flexion),
                          math.cos(abduction) * math.sin(flexion)])  # fmt: skip
    hinge = turn_y(sign * out) @ np.array([1.0, 0, 0])
    hinge = unit(hinge - (hinge @ thigh) * thigh)
    shin = about(hinge, bend) @ thigh
    hip, knee, ankle = (skeleton.joint(f"{bone}.{letter}") for bone in ("upperleg01", "lowerleg01", "foot"))
    sideways = np.array([1.0, 0, 0])
    turned = root @ frame(thigh, hinge) @ frame(knee - hip, sideways).T
    plain = root @ swing(knee - hip, thigh)
    skeleton.turn(f"upperleg01.{letter}", plain @ part_of(plain.T @ turned, 0.6))
    skeleton.turn(f"upperleg02.{letter}", turned)
    lower = root @ frame(shin, hinge) @ frame(ankle - knee, sideways).T
    skeleton.turn(f"lowerleg01.{letter}", lower)
    skeleton.turn(f"foot.{letter}", lower @ turn_x(-_foot(lower)))


def _foot(lower: Array) -> float:
    """Radians by which the toes rise against the shin for a flat sole, as far as the ankle goes."""
    toes = lower @ np.array([0.0, 0, 1])
    level = -math.degrees(math.atan2(float(toes[1]), math.hypot(float(toes[0]), float(toes[2]))))
    if float((lower @ np.array([0.0, 1, 0]))[1]) < 0.1:
        level = -20.0
    return math.radians(min(max(level, _ANKLE[0]), _ANKLE[1]))
