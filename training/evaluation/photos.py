"""The pose detector and the mini SAM measured on photographs, each annotated person given by the box.

A joint is found when it lies within 20 % of the torso's length (between the middles of shoulders and hips),
or of a third of the box's height where the torso is not labelled, however certain the detector is of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...models.perception.pose import (
    CONFIDENCE,
    PoseDetector,
    box_view,
    detect_joints,
    load_pose_detector,
    resample_view,
)
from ...models.perception.sam import visible_mask
from ...models.perception.sam_networks import load_sam
from ...people.boxes import Box
from ...people.keypoints import COCO17_FROM_BODY18, body18_from_coco17
from ...people.skeleton import draw_skeleton
from ..data.photos import VISIBLE, PhotographedPerson
from ..reports.sheets import Row
from .intervals import Weighted
from .loop import Method, Metrics, OnDone, in_batches
from .pose_metrics import SIGMAS

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

SHOULDERS, HIPS = (5, 6), (11, 12)
WITHIN = 0.2
USUAL_TORSO = 1 / 3
"""Length of the torso as a share of the box's height."""
FEW_POINTS = 3
SHOWN_PX = 192


@dataclass(frozen=True)
class Perception:
    """What looks at the photographs."""

    detector: PoseDetector
    sam: Sam


class Look(NamedTuple):
    """A person on a photograph (3,H,W) in 0..1, and what was made of them.

    joints, crop_joints: (17,3) px and confidence. masks: (H,W) bool by the metric they are for.
    """

    image: Tensor
    person: PhotographedPerson
    joints: np.ndarray
    crop_joints: np.ndarray
    masks: dict[str, np.ndarray]


def load_perception(folder: Path, device: str = "cpu") -> Perception:
    """Both networks from the family's `folder`, on `device`."""
    detector = load_pose_detector(Path(folder) / "pose_detector.safetensors")
    return Perception(detector.to(device), load_sam(Path(folder) / "sam.safetensors").to(device))


def evaluate_photos(
    perception: Perception,
    people: Sequence[PhotographedPerson],
    *,
    on_batch: Callable[[Look], object] | None = None,
    on_done: OnDone | None = None,
) -> Metrics:
    """Every metric by its name over people on photographs; those nobody's annotation allows are left out.

    pck: share of the labelled joints that are found; pck.certain: and are at least CONFIDENCE; pck.crop:
    found when the detector is shown the box alone. oks: COCO's object keypoint similarity, mean over people.
    mask_iou: of the mask that SAM makes from the joints that can be seen, looking at the box; .points: from
    three of them; .no_box: from the joints, looking at what is round them.

    Args:
        perception: the networks.
        people: with their annotations.
        on_batch: gets what a sheet shows of every batch.
        on_done: gets the number of people of every batch that is finished.
    """
    measured: list[dict[str, list[float]]] = []

    def measure(part: list[PhotographedPerson]) -> Look:
        look = look_at_person(perception, part[0])
        measured.append(person_metrics(look))
        return look

    in_batches(people, measure, batch_size=1, on_batch=on_batch, on_done=on_done)
    names = list(dict.fromkeys(name for own in measured for name in own))
    each = {name: _by_person([own.get(name, []) for own in measured]) for name in names}
    means = {name: float(np.average(own.values, weights=own.weights)) for name, own in each.items()}
    numbers = {name: int(own.weights.sum()) for name, own in each.items()}
    counts = {"people": len(people), "joints": numbers.get("pck", 0), "masks": numbers.get("mask_iou", 0)}
    return Metrics(means | {f"samples.{name}": count for name, count in counts.items()}, each)


def _by_person(values: Sequence[Sequence[float]]) -> Weighted:
    """Each person's mean, which counts as often as they have values."""
    means = [float(np.mean(own)) if own else 0.0 for own in values]
    return Weighted(torch.tensor(means).double(), torch.tensor([float(len(own)) for own in values]).double())


@torch.no_grad()
def look_at_person(perception: Perception, person: PhotographedPerson) -> Look:
    """Joints and masks of one person."""
    image = person.image()
    found = detect_joints(perception.detector, image[None], torch.tensor([person.box]))[0]
    crop_joints = _joints_of_crop(perception.detector, image, person.box)
    return Look(image, person, _coco(found), crop_joints, _masks(perception.sam, image, person))


def _joints_of_crop(detector: PoseDetector, image: Tensor, box: Box) -> np.ndarray:
    """Joints (17,3), in the picture's pixels, found in the box cut out of it."""
    height, width = image.shape[-2:]
    inside = box.clip(height, width)
    x0, y0 = int(inside.x0), int(inside.y0)
    part = image[:, y0 : max(round(inside.y1), y0 + 1), x0 : max(round(inside.x1), x0 + 1)]
    return _coco(detect_joints(detector, part[None])[0]) + np.array([x0, y0, 0], np.float32)


def _coco(joints: Tensor) -> np.ndarray:
    return joints.float().cpu().numpy()[list(COCO17_FROM_BODY18)]


def _masks(sam: Sam, image: Tensor, person: PhotographedPerson) -> dict[str, np.ndarray]:
    """Masks by the metric they are for; empty where there is no true mask or no joint to go by."""
    height, width = image.shape[-2:]
    if person.mask is None or person.joints is None:
        return {}
    x, y, flag = person.joints.T
    there = (flag == VISIBLE) & (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    points = torch.from_numpy(person.joints[there, :2])
    if not len(points):
        return {}
    some = np.random.default_rng(len(points)).permutation(len(points))[:FEW_POINTS]
    shown = (person.box.x0, person.box.y0, person.box.x1, person.box.y1)
    prompts: dict[str, tuple[Tensor, bool]] = {
        "mask_iou": (points, True), "mask_iou.points": (points[some], True),
        "mask_iou.no_box": (points, False),
    }  # fmt: skip
    return {
        name: visible_mask(
            sam, image, spots, torch.ones(len(spots)), around=shown if boxed else None
        )[0].cpu().numpy() > 0.5
        for name, (spots, boxed) in prompts.items()
    }  # fmt: skip


# Metrics


def person_metrics(look: Look) -> dict[str, list[float]]:
    """Each metric's values: one a labelled joint for pck, one a person for the others."""
    truth, mask = look.person.joints, look.person.mask
    values: dict[str, list[float]] = {}
    if truth is not None:
        labelled = truth[:, 2] > 0
        reach = WITHIN * torso_length(truth, look.person.box)
        found = (_distances(look.joints, truth) <= reach)[labelled]
        certain = look.joints[labelled, 2] >= CONFIDENCE
        in_crop = (_distances(look.crop_joints, truth) <= reach)[labelled]
        values |= {
            "pck": found.tolist(),
            "pck.certain": (found & certain).tolist(),
            "pck.crop": in_crop.tolist(),
        }
        values["oks"] = [keypoint_similarity(look.joints, truth, look.person.area)]
    if mask is not None:
        values |= {name: [mask_iou(made, mask)] for name, made in look.masks.items()}
    return values


def torso_length(joints: np.ndarray, box: Box) -> float:
    """Pixels between the middles of shoulders and hips (17,3), or a third of the box's height."""
    if (joints[list(SHOULDERS + HIPS), 2] > 0).all():
        across = joints[list(SHOULDERS), :2].mean(0) - joints[list(HIPS), :2].mean(0)
        return float(np.linalg.norm(across))
    return USUAL_TORSO * box.height


def keypoint_similarity(found: np.ndarray, truth: np.ndarray, area: float) -> float:
    """COCO's OKS of joints (17,3) against a truth of which at least one is labelled."""
    labelled = truth[:, 2] > 0
    spread = 2 * area * (2 * SIGMAS) ** 2
    return float(np.exp(-(_distances(found, truth) ** 2) / spread)[labelled].mean())


def mask_iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of masks (H,W); 1 where both are empty."""
    either = (found | truth).sum()
    return float((found & truth).sum() / either) if either else 1.0


def _distances(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.linalg.norm(found[:, :2] - truth[:, :2], axis=1)


# The contact sheet


def photo_rows(look: Look) -> Iterable[Row]:
    """The person with the labelled joints, those found, and both masks."""
    image, person = look.image, look.person
    height, width = image.shape[-2:]
    view = box_view(person.box, height, width)
    square = resample_view(image[None], view, SHOWN_PX)
    to_view = np.array([SHOWN_PX / view.side, SHOWN_PX / view.side, 1], np.float32)
    origin = np.array([view.left, view.top, 0], np.float32)

    def skeleton(joints: np.ndarray) -> Tensor:
        body = torch.from_numpy(body18_from_coco17((joints - origin) * to_view))
        return draw_skeleton(body[None], SHOWN_PX, SHOWN_PX, onto=square * 0.6)[0]

    def cut_out(mask: np.ndarray | None) -> Tensor:
        if mask is None:
            return torch.zeros_like(square[0])
        # Beyond the picture a view is grey, 0.5.
        inside = resample_view(torch.from_numpy(mask).float()[None, None], view, SHOWN_PX)
        return (square * (0.2 + 0.8 * (inside > 0.6)))[0]

    known = person.joints if person.joints is not None else np.zeros_like(look.joints)
    sure = np.concatenate([look.joints[:, :2], look.joints[:, 2:] >= CONFIDENCE], 1).astype(np.float32)
    metrics = person_metrics(look)
    text = "  ".join(
        f"{name} {np.mean(metrics[name]):.2f}" for name in ("pck", "mask_iou") if name in metrics
    )
    yield Row(
        {"photograph": square[0], "labels": skeleton(known), "found": skeleton(sure),
         "mask": cut_out(person.mask), "found mask": cut_out(look.masks.get("mask_iou"))},
        f"{person.file.name}  {text}",
    )  # fmt: skip


METHOD = Method(load_perception, evaluate_photos, photo_rows, columns=2)
