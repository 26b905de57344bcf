"""How a person is framed: whole, from the head to the hips, or so close that the border cuts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .camera import Camera, frame_points, look_at, sample_camera
from .choices import CLOSE, HANDS_RAISED
from .draws import Draws
from .person import Person

_HIPS, _HEAD_LABELS = (8, 11), (23, 24)
_SHOWN_CLOSE = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13)
SMALLEST_HAND = 0.22
"""Longer side of the box of a shown hand's joints, as a share of the picture's side."""
_NEAREST_M = 0.95


def frame_person(
    person: Person, view: str, raised: tuple[bool, bool] | None, draws: Draws, size: int
) -> Camera:
    """The camera of that view, from the stream "camera".

    Args:
        person: who.
        view: a name of VIEWS.
        raised: which hands are raised, or None.
        draws: of the person.
        size: side of the picture in pixels.
    """
    if view == HANDS_RAISED and raised is not None:
        return _showing_hands(person, raised, draws, size)
    middle = person.figure.joints.mean(0).cpu()
    camera = sample_camera(draws, middle)
    share, place = draws.uniform(0.74, 0.94), (draws.uniform(0.04, 0.96), draws.uniform(0.04, 0.96))
    if view == CLOSE:
        return _close(person, camera, draws, size)
    return frame_points(camera, person.vertices, share, place, size)


def _close(person: Person, camera: Camera, draws: Draws, size: int) -> Camera:
    """Head to hips, head to chest, or any part of the body, often with the border across it."""
    joints = person.figure.joints
    which = draws.choice([0.45, 0.25, 0.3])
    head = _head(person)
    if which == 0:
        points = torch.cat([head, joints[[2, 5, 8, 11]], joints[[3, 6]]])
    elif which == 1:
        points = torch.cat([head, joints[[2, 5]], (joints[[2, 5]] + joints[[8, 11]]) / 2])
    else:
        centre = joints[draws.pick(_SHOWN_CLOSE)]
        points = centre + torch.tensor(
            [[-0.5, -0.5, 0], [0.5, 0.5, 0]], device=joints.device
        ) * draws.uniform(0.8, 1.8)
    place = (draws.uniform(0.1, 0.9), draws.uniform(0.2, 0.9))
    return frame_points(camera, points, draws.uniform(0.75, 1.1), place, size)


def _showing_hands(person: Person, raised: tuple[bool, bool], draws: Draws, size: int) -> Camera:
    """From the head to the hips with the raised hands, near enough that the hands are large."""
    figure = person.figure
    hands = [figure.hands[i] for i in (0, 1) if raised[i]]
    hips = figure.joints[list(_HIPS)]
    points = torch.cat([_head(person), figure.joints[[2, 5]], hips, *hands])
    target = figure.joints[1].cpu()
    distance = draws.uniform(1.3, 2.4)
    height = float(target[1]) + draws.normal(0.0, 0.12)
    roll, share = math.radians(draws.normal(0, 2)), draws.uniform(0.86, 0.95)
    place = (draws.uniform(0.15, 0.85), draws.uniform(0.75, 1.0))
    while True:
        camera = frame_points(look_at(target, distance, height, roll), points, share, place, size)
        boxes = [camera.project(hand)[:, :2] for hand in hands]
        smallest = min(float((box.amax(0) - box.amin(0)).amax()) for box in boxes)
        if smallest >= SMALLEST_HAND * size or distance < _NEAREST_M:
            return camera
        distance *= 0.88


def _head(person: Person) -> Tensor:
    """Points of the head and hair."""
    asset = person.figure.asset
    span = asset.ranges["body"]
    labels = asset.part[span]
    skin = person.figure.vertices[span][(labels == _HEAD_LABELS[0]) | (labels == _HEAD_LABELS[1])]
    hair = [layer.vertices for layer in person.layers if layer.name in ("hair", "hat")]
    return torch.cat([skin[::5], *(h[::5] for h in hair)])
