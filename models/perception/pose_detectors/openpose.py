"""OpenPose, through the package controlnet-aux: bodies, and hands if hand_pose_model.pth is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ....people.keypoints import Person, Pose
from .detector import Detector, find_file, find_optional, to_bytes

FILES = BODY, HAND = "body_pose_model.pth", "hand_pose_model.pth"
INSTALL = "pip install controlnet-aux"


def load(folders: Sequence[Path], device: str | torch.device) -> Detector:
    """OpenPose. Raises ImportError without the package, FileNotFoundError without its file.

    Its networks look for the device that their own weights are on, so that whoever manages them moves them.
    """
    try:
        from controlnet_aux.open_pose import Body, Hand, OpenposeDetector
    except ImportError as error:
        raise ImportError(
            f"the openpose detector needs controlnet-aux: {INSTALL}; vitpose needs no package"
        ) from error
    body = Body(str(find_file(BODY, folders, "openpose")))
    hand = find_optional(HAND, folders)
    network = OpenposeDetector(body, Hand(str(hand)) if hand else None)
    parts = [part.model for part in (body, network.hand_estimation) if part is not None]
    return Detector(
        lambda image: people_of(network, to_bytes(image), network.hand_estimation is not None),
        torch.nn.ModuleList(parts),
    )


def people_of(network: Any, image: np.ndarray, hands: bool) -> Pose:
    """All people of a picture (H,W,3) uint8, with their hands if asked for."""
    height, width = image.shape[:2]
    found = network.detect_poses(image, include_hand=hands)
    people = tuple(
        Person(
            _points(person.body.keypoints, width, height),
            _hand(person.left_hand, width, height),
            _hand(person.right_hand, width, height),
        )
        for person in found
    )
    return Pose(people, width, height)


def _points(keypoints: Sequence[Any], width: int, height: int) -> np.ndarray:
    """Keypoints in fractions of the picture, None or negative where absent, as (n,3) pixels."""
    points = np.zeros((len(keypoints), 3), dtype=np.float32)
    for point, found in zip(points, keypoints, strict=True):
        if found is not None and found.x >= 0 and found.y >= 0:
            point[:] = found.x * width, found.y * height, 1.0
    return points


def _hand(keypoints: Sequence[Any] | None, width: int, height: int) -> np.ndarray | None:
    return None if keypoints is None else _points(keypoints, width, height)
