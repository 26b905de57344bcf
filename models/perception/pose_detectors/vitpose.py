"""ViTPose with RT-DETR as its finder of people, both of transformers, which the pack needs anyway.

Their folders, as published, lie in a model folder: config.json, preprocessor_config.json, model.safetensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ....people.keypoints import Pose
from .detector import Detector, find_file, person_of_coco17, to_bytes

POSE_FOLDERS = (
    "vitpose-base-simple",
    "vitpose-base",
    "vitpose-plus-base",
    "vitpose-plus-large",
    "vitpose-plus-huge",
)
"""Those that are known, the first one that is there is taken."""
FINDER_FOLDER = "rtdetr_r50vd_coco_o365"
WEIGHTS, PARTS = "model.safetensors", ("config.json", "preprocessor_config.json")
FILES = tuple(f"{folder}/{name}" for folder in (*POSE_FOLDERS, FINDER_FOLDER) for name in (WEIGHTS, *PARTS))
PERSON, PERSON_SCORE, JOINT_SCORE = 0, 0.3, 0.3
"""COCO's first class; the scores of transformers' own example."""
COCO_EXPERT = 0
"""Of the several experts of ViTPose+ the one that learned COCO's joints."""


def load(folders: Sequence[Path], device: str | torch.device) -> Detector:
    """Both networks on the CPU. Raises FileNotFoundError and ValueError that name a file or folder."""
    from transformers import (
        RTDetrForObjectDetection,
        RTDetrImageProcessor,
        VitPoseForPoseEstimation,
        VitPoseImageProcessor,
    )

    pose_folder = _first_folder(folders)
    finder_folder = _folder(FINDER_FOLDER, folders)
    finder = _pretrained(RTDetrForObjectDetection, finder_folder)
    poser = _pretrained(VitPoseForPoseEstimation, pose_folder)
    looks = _pretrained(RTDetrImageProcessor, finder_folder), _pretrained(VitPoseImageProcessor, pose_folder)

    def detect(image: torch.Tensor) -> Pose:
        boxes = boxes_of(finder, looks[0], image)
        return people_of(poser, looks[1], image, boxes)

    return Detector(detect, torch.nn.ModuleList([finder.eval(), poser.eval()]))


@torch.no_grad()
def boxes_of(finder: Any, look: Any, image: torch.Tensor) -> np.ndarray:
    """Where people are in a picture (3,H,W) in 0..1: (N,4) x0, y0, width, height in pixels."""
    picture = Image.fromarray(to_bytes(image))
    inputs = look(images=picture, return_tensors="pt").to(finder.device)
    size = torch.tensor([image.shape[-2:]])
    (found,) = look.post_process_object_detection(finder(**inputs), target_sizes=size, threshold=PERSON_SCORE)
    corners = found["boxes"][found["labels"] == PERSON].float().cpu().numpy().reshape(-1, 4)
    corners = np.clip(corners, 0, [*image.shape[:-3:-1]] * 2)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return boxes[(boxes[:, 2:] >= 1).all(axis=1)]


@torch.no_grad()
def people_of(poser: Any, look: Any, image: torch.Tensor, boxes: np.ndarray) -> Pose:
    """The joints of the people in those boxes.

    Args:
        poser: the network.
        look: transformers' processor, which cuts the boxes out and reads the heatmaps.
        image: (3,H,W) in 0..1.
        boxes: (N,4) x0, y0, width, height in pixels.
    """
    height, width = image.shape[-2:]
    if not len(boxes):
        return Pose((), width, height)
    inputs = look(Image.fromarray(to_bytes(image)), boxes=[boxes], return_tensors="pt").to(poser.device)
    if poser.config.backbone_config.num_experts > 1:
        inputs["dataset_index"] = torch.full((len(boxes),), COCO_EXPERT, device=poser.device)
    (found,) = look.post_process_pose_estimation(poser(**inputs), boxes=[boxes])
    people = (
        person_of_coco17(each["keypoints"].cpu().numpy(), each["scores"].cpu().numpy() >= JOINT_SCORE)
        for each in found
    )
    return Pose(tuple(person for person in people if np.any(person.body[:, 2])), width, height)


def _first_folder(folders: Sequence[Path]) -> Path:
    there = (name for name in POSE_FOLDERS if any((Path(f) / name / WEIGHTS).is_file() for f in folders))
    return _folder(next(there, POSE_FOLDERS[0]), folders)


def _folder(name: str, folders: Sequence[Path]) -> Path:
    """The folder of that name, whole."""
    place = find_file(f"{name}/{WEIGHTS}", folders, "vitpose").parent
    for part in PARTS:
        find_file(f"{name}/{part}", [place.parent], "vitpose")
    return place


def _pretrained(network: Any, folder: Path) -> Any:
    """One of transformers' classes from a folder on this machine, weights from safetensors alone."""
    weights = {"use_safetensors": True} if issubclass(network, torch.nn.Module) else {}
    try:
        return network.from_pretrained(folder, local_files_only=True, **weights)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{folder} is no {network.__name__} ({reason[:160]}): fetch the folder again"
        ) from error
