"""The body dressed: which capsules make up a person, what each is made of, and which DensePose part it
belongs to.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .body import LEFT, RIGHT, Body
from .clothes import BOTTOM, HAIR, SHOES, SKIN, TOP, Outfit

# DensePose labels (behind, in front) of each part: 1/2 torso, 3/4 hands, 5/6 feet, 7-14 legs, 15-22 arms,
# 23/24 head
_LABELS = {
    "torso": (1, 2), "r_hand": (3, 3), "l_hand": (4, 4), "l_foot": (5, 5), "r_foot": (6, 6),
    "r_thigh": (7, 9), "l_thigh": (8, 10), "r_shin": (11, 13), "l_shin": (12, 14),
    "l_upper_arm": (15, 17), "r_upper_arm": (16, 18), "l_forearm": (19, 21), "r_forearm": (20, 22),
    "head": (23, 24),
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """P capsules per person, in metres.

    material (B, P) up to `cut` (B, P; 0..1 along the capsule), material_after beyond;
    label_behind, label_front (P,); front, origin, axis (B, P, 3) fix the surface coordinates; is_head (P,)
    bool.
    """

    start: Tensor
    end: Tensor
    start_radius: Tensor
    end_radius: Tensor
    material: Tensor
    material_after: Tensor
    cut: Tensor
    front: Tensor
    origin: Tensor
    axis: Tensor
    label_behind: Tensor
    label_front: Tensor
    is_head: Tensor


class _Builder:
    def __init__(self, body: Body) -> None:
        self.body = body
        self.rows: list[tuple[Tensor, ...]] = []
        self.labels: list[tuple[int, int]] = []
        self.heads: list[bool] = []
        self.like = body.proportions.height

    def add(
        self,
        start,
        end,
        r0,
        r1,
        part,
        material,
        after=None,
        cut=1.0,
        frame=None,
        origin=None,
        axis=None,
        head=False,
    ):
        """One capsule; radii in metres, (B,) or numbers; materials (B,) or one of clothes.SKIN..SHOES."""
        frame = self.body.torso if frame is None else frame
        direction = end - start if axis is None else axis
        direction = direction / direction.norm(dim=1, keepdim=True).clamp_min(1e-6)
        front = frame[:, :, 2] - (frame[:, :, 2] * direction).sum(1, keepdim=True) * direction
        front = front + 0.05 * frame[:, :, 1]  # a limb along the front axis still has a front: its upper side
        numbers = [self._column(v) for v in (r0, r1, material, material if after is None else after, cut)]
        front = front / front.norm(dim=1, keepdim=True)
        self.rows.append((start, end, front, start if origin is None else origin, direction, *numbers))
        self.labels.append(_LABELS[part])
        self.heads.append(head)

    def _column(self, value) -> Tensor:
        return (
            value.to(self.like.dtype) if torch.is_tensor(value) else torch.full_like(self.like, float(value))
        )

    def finish(self) -> Figure:
        start, end, front, origin, axis, r0, r1, material, after, cut = (
            torch.stack(c, 1) for c in zip(*self.rows, strict=True)
        )
        labels = torch.tensor(self.labels, device=start.device)
        return Figure(start, end, r0, r1, material.long(), after.long(), cut, front, origin, axis,
                      labels[:, 0], labels[:, 1], torch.tensor(self.heads, device=start.device))  # fmt: skip


def dress(body: Body, outfit: Outfit, fingers: bool) -> Figure:
    """`fingers` draws each phalanx; without, a hand is a palm and two groups of fingers, enough below
    a pixel's width.
    """
    build = _Builder(body)
    _trunk(build, body, outfit)
    for side, name in ((RIGHT, "r"), (LEFT, "l")):
        _arm(build, body, outfit, name)
        _hand(build, body, side, name, fingers)
        _leg(build, body, outfit, name)
    _skirt(build, body, outfit)
    _head(build, body, outfit)
    return build.finish()


def _trunk(build: _Builder, body: Body, outfit: Outfit) -> None:
    p, g = body.points, body.proportions.height * body.proportions.girth
    up = body.torso[:, :, 1]
    h = body.proportions.height[:, None]
    shared = {"origin": p["pelvis"], "axis": up}
    dress_or = torch.where(outfit.bottoms == 3, TOP, BOTTOM)
    build.add(p["r_hip"], p["l_hip"], 0.056 * g, 0.056 * g, "torso", dress_or, frame=body.pelvis, **shared)
    waist = p["pelvis"] + up * 0.05 * h
    build.add(waist, p["neck"] - up * 0.065 * h, 0.067 * g, 0.07 * g, "torso", TOP, **shared)
    for name in ("r", "l"):
        low = p["pelvis"] + (p[f"{name}_hip"] - p["pelvis"]) * 0.8 + up * 0.03 * h
        high = p["neck"] + (p[f"{name}_shoulder"] - p["neck"]) * 0.62 - up * 0.055 * h
        build.add(low, high, 0.050 * g, 0.060 * g, "torso", TOP, **shared)
    build.add(p["r_shoulder"], p["l_shoulder"], 0.036 * g, 0.036 * g, "torso", TOP, **shared)
    bust = torch.where(body.proportions.woman, 0.034, 0.0) * g
    for name in ("r", "l"):
        chest = (
            p["neck"]
            + (p[f"{name}_shoulder"] - p["neck"]) * 0.42
            - up * 0.085 * h
            + body.torso[:, :, 2] * 0.045 * h
        )
        build.add(chest, chest - up * 0.004 * h, bust, bust, "torso", TOP, **shared)
    build.add(p["neck"] - up * 0.01 * h, p["chin"], 0.030 * g, 0.028 * g, "head", SKIN)


def _arm(build: _Builder, body: Body, outfit: Outfit, name: str) -> None:
    p, g = body.points, body.proportions.height * body.proportions.girth
    upper = torch.where(outfit.sleeves == 0, SKIN, TOP)
    lower = torch.where(outfit.sleeves == 2, TOP, SKIN)
    cut = torch.where(outfit.sleeves == 1, 0.62, 1.0)
    build.add(
        p[f"{name}_shoulder"], p[f"{name}_elbow"], 0.034 * g, 0.026 * g, f"{name}_upper_arm", upper, SKIN, cut
    )
    build.add(
        p[f"{name}_elbow"], p[f"{name}_wrist"], 0.026 * g, 0.018 * g, f"{name}_forearm", lower, SKIN, 0.93
    )


def _hand(build: _Builder, body: Body, side: int, name: str, fingers: bool) -> None:
    hand, part = body.hands[:, side], f"{name}_hand"
    g = body.proportions.height * body.hand_size
    knuckles = (hand[:, 5] + hand[:, 9] + hand[:, 13] + hand[:, 17]) / 4
    build.add(hand[:, 0], knuckles, 0.015 * g, 0.019 * g, part, SKIN)
    if not fingers:
        for base, middle, tip in ((5, 7, 8), (17, 15, 16), (2, 3, 4)):
            build.add(hand[:, base], (hand[:, middle] + hand[:, tip]) / 2, 0.011 * g, 0.009 * g, part, SKIN)
        return
    for base, wide in ((1, 0.0088), (5, 0.0075), (9, 0.0077), (13, 0.0073), (17, 0.0064)):
        build.add(hand[:, 0], hand[:, base], 0.012 * g, wide * 1.15 * g, part, SKIN)
        for joint in range(base, base + 3):
            taper = 1.0 - 0.1 * (joint - base)
            build.add(
                hand[:, joint], hand[:, joint + 1], wide * taper * g, wide * (taper - 0.1) * g, part, SKIN
            )


def _leg(build: _Builder, body: Body, outfit: Outfit, name: str) -> None:
    p, g, frame = body.points, body.proportions.height * body.proportions.girth, body.pelvis
    bare = outfit.bottoms >= 2
    thigh = torch.where(bare, SKIN, BOTTOM)
    shin = torch.where(outfit.bottoms == 0, BOTTOM, SKIN)
    thigh_cut = torch.where(outfit.bottoms == 1, 0.72, 1.0)
    boot_cut = torch.where(outfit.boots, 0.55, 0.93)
    build.add(
        p[f"{name}_hip"],
        p[f"{name}_knee"],
        0.051 * g,
        0.036 * g,
        f"{name}_thigh",
        thigh,
        SKIN,
        thigh_cut,
        frame,
    )
    build.add(
        p[f"{name}_knee"],
        p[f"{name}_ankle"],
        0.036 * g,
        0.024 * g,
        f"{name}_shin",
        shin,
        SHOES,
        boot_cut,
        frame,
    )
    height = body.proportions.height
    build.add(
        p[f"{name}_heel"],
        p[f"{name}_toe"],
        0.024 * height,
        0.018 * height,
        f"{name}_foot",
        SHOES,
        frame=frame,
    )


def _skirt(build: _Builder, body: Body, outfit: Outfit) -> None:
    """A cone from the hips to the middle of the thighs; without a skirt its radius is 0."""
    p, g = body.points, body.proportions.height * body.proportions.girth
    worn = torch.where(outfit.bottoms >= 2, 1.0, 0.0)
    knees, hips = (p["r_knee"] + p["l_knee"]) / 2, (p["r_hip"] + p["l_hip"]) / 2
    shared = {"frame": body.pelvis, "origin": p["pelvis"], "axis": body.torso[:, :, 1]}
    material = torch.where(outfit.bottoms == 3, TOP, BOTTOM)
    for name in ("r", "l"):
        hem = p[f"{name}_hip"] + (p[f"{name}_knee"] - p[f"{name}_hip"]) * 0.72
        build.add(
            p[f"{name}_hip"], hem, 0.056 * g * worn, 0.062 * g * worn, f"{name}_thigh", material, **shared
        )
    build.add(
        hips, hips + (knees - hips) * 0.66, 0.06 * g * worn, 0.07 * g * worn, "torso", material, **shared
    )


def _head(build: _Builder, body: Body, outfit: Outfit) -> None:
    p, frame = body.points, body.head
    r = 0.058 * body.proportions.height * body.proportions.head
    up, front = frame[:, :, 1], frame[:, :, 2]
    R = r[:, None]
    build.add(p["skull"] - up * 0.38 * R + front * 0.10 * R, p["skull"] + up * 0.22 * R, 0.80 * r, 0.97 * r,
              "head", SKIN, frame=frame, origin=p["skull"], axis=up, head=True)  # fmt: skip
    build.add(
        p["nose"] - front * 0.22 * R + up * 0.12 * R,
        p["nose"] - front * 0.16 * R - up * 0.1 * R,
        0.10 * r,
        0.15 * r,
        "head",
        SKIN,
        frame=frame,
    )
    for name in ("r", "l"):
        build.add(
            p[f"{name}_ear"] - up * 0.12 * R,
            p[f"{name}_ear"] + up * 0.1 * R,
            0.15 * r,
            0.17 * r,
            "head",
            SKIN,
            frame=frame,
        )
    has_hair, long, bun = outfit.hair_cut > 0, outfit.hair_cut == 2, outfit.hair_cut == 3
    cap = torch.where(has_hair, r, 0.0)
    crown = p["skull"] + up * 0.40 * R - front * 0.13 * R
    build.add(
        crown - front * 0.14 * R - up * 0.35 * R,
        crown + up * 0.05 * R,
        cap * 0.98,
        cap * 1.0,
        "head",
        HAIR,
        frame=frame,
    )
    fall = torch.where(long, r, 0.0)
    for side in (-1.0, 0.0, 1.0):
        top = p["skull"] - front * 0.35 * R + frame[:, :, 0] * side * 0.62 * R
        down = (
            p["neck"] * 0.75
            + p["skull"] * 0.25
            - front * 0.55 * R
            + frame[:, :, 0] * side * 0.8 * R
            - up * 0.35 * R
        )
        build.add(top, down, fall * 0.5, fall * 0.42, "head", HAIR, frame=frame)
    knot = torch.where(bun, 0.42 * r, 0.0)
    build.add(
        crown - front * 0.95 * R + up * 0.5 * R,
        crown - front * 1.0 * R + up * 0.55 * R,
        knot,
        knot,
        "head",
        HAIR,
        frame=frame,
    )
