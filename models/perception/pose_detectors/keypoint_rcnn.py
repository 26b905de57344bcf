"""Keypoint R-CNN of torchvision (COCO's 17 joints of several people); one file, no further package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ....people.keypoints import Pose
from ...convert import read_pickle
from .detector import Detector, find_file, person_of_coco17

FILE = "keypointrcnn_resnet50_fpn_coco-fc266e95.pth"
FILES = (FILE,)
PERSON_SCORE = 0.7
JOINT_SCORE = 2.0
"""Logit above which a joint counts: what Detectron draws."""


def load(folders: Sequence[Path], device: str | torch.device) -> Detector:
    """The network on the CPU. Raises FileNotFoundError, or ValueError for a file that is not its own."""
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    path = find_file(FILE, folders, "keypoint_rcnn")
    network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    try:
        network.load_state_dict(read_pickle(path))
    except RuntimeError as error:
        raise ValueError(
            f"{path} is no Keypoint R-CNN of torchvision ({str(error).splitlines()[-1].strip()[:120]}): "
            "download it again"
        ) from error
    return Detector(lambda image: people_of(network, image), torch.nn.ModuleList([network]))


@torch.no_grad()
def people_of(network: torch.nn.Module, image: torch.Tensor) -> Pose:
    """All people of a picture (3,H,W) in 0..1, the most certain first."""
    device = next(network.parameters()).device
    (found,) = network([image.float().to(device)])
    return pose_of(found, image.shape[-2], image.shape[-1])


def pose_of(found: Mapping[str, torch.Tensor], height: int, width: int) -> Pose:
    """What torchvision gives for a picture as people.

    Args:
        found: scores (N,), keypoints (N,17,3) x, y in pixels, keypoints_scores (N,17) logits.
        height: of the picture in pixels.
        width: the same.
    """
    kept = found["scores"] >= PERSON_SCORE
    points, scores = found["keypoints"][kept].cpu().numpy(), found["keypoints_scores"][kept].cpu().numpy()
    people = (
        person_of_coco17(each[:, :2], seen) for each, seen in zip(points, scores >= JOINT_SCORE, strict=True)
    )
    return Pose(tuple(person for person in people if np.any(person.body[:, 2])), width, height)
