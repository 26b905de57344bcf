"""Single hands close up, with the truth about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .camera import Camera, frame_points, look_at
from .captions import sleeve_words
from .draws import Draws
from .gestures import LEFT, RIGHT, raise_hands, sample_hand
from .layers import Layer
from .person import Person, draw_person, make_person, shadows_of
from .photograph import sample_photograph
from .poses import Pose, sample_pose
from .render import HAND_LABELS, hands_px
from .scene import draw_behind, sample_scene
from .skin import SKIN_NAMES

_ARM_LABELS = {RIGHT: (3, 20, 22, 16, 18), LEFT: (4, 19, 21, 15, 17)}
"""DensePose labels of each side's arm: hand, forearm, upper arm."""
SIDES = ("right", "left")
SHARE = (0.56, 0.76)
WHOLE_BODY = 0.15
__all__ = ["SKIN_NAMES", "SyntheticHands", "render_hands"]


@dataclass(frozen=True)
class SyntheticHands:
    """B hands, one a picture of S x S pixels.

    pictures (B,3,S,S) 0..1; masks (B,1,S,S) 0 or 1, the hand without the arm; joints (B,21,3) x_px, y_px and
    1 where the point lies in the picture; left (B,) bool.
    """

    images: Tensor
    masks: Tensor
    joints: Tensor
    left: Tensor
    captions: list[str]


@torch.no_grad()
def render_hands(seeds: Sequence[int], size: int = 128, device: torch.device | str = "cpu") -> SyntheticHands:
    """The hands of these seeds: both sides, skins, sleeves, backgrounds, turned every way, mostly upright."""
    with torch.inference_mode():  # see render_people
        rows = [_render(int(seed), size, device) for seed in seeds]
    images, masks, joints, left, captions = zip(*rows, strict=True)
    sides = torch.tensor(left, device=device)
    return SyntheticHands(
        torch.stack(images), torch.stack(masks), torch.stack(joints), sides, list(captions)
    )  # fmt: skip


def _render(seed: int, size: int, device: torch.device | str) -> tuple[Tensor, Tensor, Tensor, bool, str]:
    draws = Draws(seed, "hand")
    side, alone = (LEFT if draws.chance(0.5) else RIGHT), not draws.chance(WHOLE_BODY)
    person = make_person(seed, _pose(seed, side, draws), device)
    if alone:
        person = replace(person, layers=[only_arm(layer, side) for layer in person.layers])
    camera = _camera(person, side, draws, size)
    scene = sample_scene(seed, camera)
    light = scene.light(seed, device)
    shadows = shadows_of(person, light)
    drawing = draw_person(person, camera, light, shadows)
    photograph = sample_photograph(seed, size, device)
    behind = photograph.develop(draw_behind(scene, light, camera, size, shadows))
    mask = (drawing.part == HAND_LABELS[side])[None].float()
    colour = photograph.develop(drawing.colour)
    image = colour * drawing.coverage + behind * (1 - drawing.coverage)
    text = f"a {SIDES[side]} hand{sleeve_words(person.look)}"
    return image, mask, hands_px(person, camera)[side], side == LEFT, text


def _pose(seed: int, side: int, draws: Draws) -> Pose:
    """A pose with that hand up, its gesture and palm drawn from the stream "hand"."""
    pose, _ = raise_hands(sample_pose(Draws(seed, "pose")), draws)
    both = [pose.hands[RIGHT], pose.hands[LEFT]]
    both[side] = sample_hand(draws, 0.5 * pose.yaw)
    angles = dict(pose.angles)
    name = "rl"[side]
    angles |= {
        f"{name}_arm_flexion": draws.uniform(30, 70), f"{name}_arm_abduction": draws.uniform(12, 60),
        f"{name}_elbow": draws.uniform(70, 130), f"{name}_elbow_up": draws.uniform(0.8, 1.5),
        f"{name}_elbow_inward": draws.uniform(-0.45, 0.2),
    }  # fmt: skip
    return replace(pose, angles=angles, yaw=0.5 * pose.yaw, hands=(both[RIGHT], both[LEFT]))


def only_arm(layer: Layer, side: int) -> Layer:
    """The layer without the faces that are not of that arm."""
    labels = torch.tensor(_ARM_LABELS[side], device=layer.part.device)
    own = torch.isin(layer.part.long(), labels)[layer.faces].all(1)
    layer.vertex_normals()
    return replace(layer, faces=layer.faces[own])


def _camera(person: Person, side: int, draws: Draws, size: int) -> Camera:
    """The hand in the middle; in the picture's plane mostly turned a little, sometimes any way."""
    joints = person.figure.hands[side]
    roll = draws.normal(0, 0.6) if draws.chance(0.75) else draws.uniform(-math.pi, math.pi)
    middle = joints.mean(0).cpu()
    distance = draws.uniform(0.45, 1.1)
    camera = look_at(middle, distance, float(middle[1]) + distance * draws.normal(0, 0.28), roll,
                     draws.normal(0, 0.28))  # fmt: skip
    place = (0.5 + draws.normal(0, 0.06), 0.5 + draws.normal(0, 0.06))
    return frame_points(camera, joints, draws.uniform(*SHARE), place, size)
