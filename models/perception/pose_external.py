"""Full-size pose detectors of the controlnet_aux package, brought to this pack's joints.

Nothing is fetched here: the files must lie in the folders that are named. OpenPose needs body_pose_model.pth
(hands too when hand_pose_model.pth lies there); DWPose needs its two .pth files, mmcv, mmdet and mmpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...people.keypoints import Person, Pose

PROVIDERS = ("openpose", "dwpose")
OPENPOSE_BODY, OPENPOSE_HAND = "body_pose_model.pth", "hand_pose_model.pth"
DWPOSE_DETECTOR, DWPOSE_BODY = "yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth", "dw-ll_ucoco_384.pth"
DWPOSE_SCORE = 0.3
DWPOSE_HANDS = (slice(92, 113), slice(113, 134))
INSTALL = "pip install controlnet-aux"
INSTALL_MIM = "pip install openmim && mim install mmengine 'mmcv>=2.0.1' 'mmdet>=3.1.0' 'mmpose>=1.1.0'"

Detector = Callable[[torch.Tensor], list[Pose]]


def load_external(name: str, folders: Sequence[Path], device: str | torch.device = "cpu") -> Detector:
    """A detector "openpose" or "dwpose": pictures (B,3,H,W) in 0..1 -> one Pose with all people per picture.

    folders: where its files are looked for. Raises ValueError for another name, ImportError with what to
    install, FileNotFoundError with the missing file and the folders.
    """
    if name == "openpose":
        return _openpose(folders, device)
    if name == "dwpose":
        return _dwpose(folders, device)
    raise ValueError(f"unknown pose detector {name!r}: mini, {' and '.join(PROVIDERS)} are accepted")


def _openpose(folders: Sequence[Path], device: str | torch.device) -> Detector:
    try:
        from controlnet_aux.open_pose import Body, Hand, OpenposeDetector
    except ImportError as error:
        raise ImportError(f"the openpose detector needs controlnet-aux: {INSTALL}") from error
    body = Body(str(_find(OPENPOSE_BODY, folders, "openpose")))
    hand = _find_optional(OPENPOSE_HAND, folders)
    network = OpenposeDetector(body, Hand(str(hand)) if hand else None)
    body.to(device)
    if network.hand_estimation is not None:
        network.hand_estimation.to(device)

    def detect(images: torch.Tensor) -> list[Pose]:
        hands = network.hand_estimation is not None
        return [_openpose_image(network, image, hands) for image in to_bytes(images)]

    return detect


def _openpose_image(network: Any, image: np.ndarray, hands: bool) -> Pose:
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


def _dwpose(folders: Sequence[Path], device: str | torch.device) -> Detector:
    try:
        import mmdet  # noqa: F401
        import mmpose  # noqa: F401
        from controlnet_aux.dwpose import DWposeDetector
    except ImportError as error:
        raise ImportError(f"the dwpose detector needs {error.name}: {INSTALL} && {INSTALL_MIM}") from error
    files = [str(_find(name, folders, "dwpose")) for name in (DWPOSE_DETECTOR, DWPOSE_BODY)]
    network = DWposeDetector(det_ckpt=files[0], pose_ckpt=files[1], device=str(device)).pose_estimation

    def detect(images: torch.Tensor) -> list[Pose]:
        return [_dwpose_image(network, image) for image in to_bytes(images)]

    return detect


def _dwpose_image(network: Any, image: np.ndarray) -> Pose:
    points, scores = network(np.ascontiguousarray(image[:, :, ::-1]))
    seen = (scores >= DWPOSE_SCORE)[..., None]
    values = np.concatenate([points * seen, seen], axis=2).astype(np.float32)
    left, right = DWPOSE_HANDS
    people = tuple(
        Person(person[:18], _hand_if_seen(person[left]), _hand_if_seen(person[right])) for person in values
    )
    return Pose(people, image.shape[1], image.shape[0])


def _hand_if_seen(hand: np.ndarray) -> np.ndarray | None:
    return hand if hand[:, 2].any() else None


def to_bytes(images: torch.Tensor) -> list[np.ndarray]:
    """Pictures (B,3,H,W) in 0..1 as RGB uint8 arrays (H,W,3)."""
    pixels = (images.detach().float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [np.ascontiguousarray(image) for image in pixels]


def _find_optional(name: str, folders: Sequence[Path]) -> Path | None:
    return next((path for path in (Path(folder) / name for folder in folders) if path.is_file()), None)


def _find(name: str, folders: Sequence[Path], detector: str) -> Path:
    path = _find_optional(name, folders)
    if path is None:
        searched = ", ".join(map(str, folders)) or "no folder"
        raise FileNotFoundError(
            f"the {detector} detector needs {name}, looked for in {searched}: put it there"
        )
    return path
