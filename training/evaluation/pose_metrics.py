"""HumanSD's metrics: how well detections fit the poses asked for, and people counted.

People are COCO-17 joints (17,3) of x_px, y_px and visibility; those of the truth with a visibility of 0 do
not count. Every function takes the truth and the detections of the same pictures in the same order.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .metrics import optional_import

SIGMAS = np.array(
    [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
) / 10  # fmt: skip
MOST_DETECTIONS = 20
MEDIUM = (32.0**2, 96.0**2)
AREAS = ("all", "medium")
MISSING = (-1.0, -1.0)
"""Where the released code has the joints that are missing."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One person found. joints: (17,3). score: how certain, detections are ranked by it."""

    joints: np.ndarray
    score: float


Truth = Sequence[Sequence[np.ndarray]]
"""The people of each picture, (17,3) each."""
Found = Sequence[Sequence[Detection]]
"""The people found in each picture."""


class Precision(NamedTuple):
    """Mean average precision in 0..1 over thresholds 0.50, 0.55 .. 0.95. medium: of people whose joints span
    32^2 to 96^2 square pixels; NaN when there is none.
    """

    all: float
    medium: float


def average_precision(truth: Truth, found: Found, *, released: bool = False) -> Precision:
    """COCO's AP and AP(m) by object keypoint similarity (HumanSD: distance-based AP), by pycocotools.

    released: as the released code computes it, in which missing joints of the truth count as points at
    (-1, -1) in a person's area, and so in the tolerance.
    """
    return _evaluated(truth, found, None, placeholders=released)


def cosine_average_precision(truth: Truth, found: Found, *, released: bool = False) -> float:
    """CAP: the same with the similarity of the poses' shapes, `pose_cosine`, in 0..1."""
    return _evaluated(truth, found, released).all


def bootstrapped_precision(
    truth: Truth, found: Found, picks: np.ndarray, *, cosine: bool = False
) -> np.ndarray:
    """AP, or CAP when `cosine`, of pictures drawn again: (draws,) in 0..1, NaN where nothing is asked for.

    Args:
        truth, found: as elsewhere, N pictures.
        picks: (draws, N), numbers of pictures.
        cosine: CAP in place of AP.
    """
    _check(truth, found)
    if not any(len(people) for people in found):
        return np.zeros(len(picks))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _evaluation(truth, found, False if cosine else None, placeholders=False, areas=1)
        once = list(evaluation.evalImgs)
        values = []
        for picked in picks:
            evaluation.evalImgs = [once[number] for number in picked]
            evaluation.accumulate()
            values.append(_mean_precision(evaluation, "all"))
    return np.array(values)


def people_count_errors(truth: Truth, found: Found) -> np.ndarray:
    """|people asked for - people found| of each picture (N,); their mean is PCE."""
    _check(truth, found)
    return np.array([abs(len(asked) - len(seen)) for asked, seen in zip(truth, found, strict=True)], float)


def people_count_error(truth: Truth, found: Found) -> float:
    """PCE: mean over the pictures of |people asked for - people found|."""
    return float(people_count_errors(truth, found).mean())


def _check(truth: Truth, found: Found) -> None:
    if len(truth) != len(found) or not truth:
        raise ValueError(f"{len(truth)} pictures and detections of {len(found)}: they must agree, at least 1")


def pose_cosine(truth: np.ndarray, found: np.ndarray, *, released: bool = False) -> float:
    """Cosine similarity of two poses (17,3), each divided by the joints' tolerances and stretched to its own
    box: 1 when they agree but for their sizes. Joints whose truth is not visible are left out.

    released: as the released code computes it: in place of y of the detection stands its x, once more divided
    by the length of that y.
    """
    seen = truth[:, 2] > 0
    (tx, ty), (fx, fy) = (_directions(pose[seen], SIGMAS[seen]) for pose in (truth, found))
    if released:
        fy = fx / (np.linalg.norm(_stretched(found[seen, 1] / SIGMAS[seen])) or 1.0)
    lengths = (
        np.hypot(np.linalg.norm(tx), np.linalg.norm(ty)),
        np.hypot(np.linalg.norm(fx), np.linalg.norm(fy)),
    )
    return float(tx @ fx + ty @ fy) / max(float(np.prod(lengths)), 1e-12)


def _directions(pose: np.ndarray, sigmas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y over the joints' sigmas, each stretched to 0..1, as vectors of length 1 (0 when all agree)."""
    x, y = (_unit(_stretched(pose[:, axis] / sigmas)) for axis in (0, 1))
    return x, y


def _stretched(values: np.ndarray) -> np.ndarray:
    span = np.ptp(values) if len(values) else 0.0
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)


def _unit(values: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(values)
    return values / length if length > 0 else values


def _evaluated(
    truth: Truth, found: Found, cosine_released: bool | None, placeholders: bool = False
) -> Precision:
    """Precision by OKS, or by `pose_cosine` when `cosine_released` is not None."""
    _check(truth, found)
    if not any(len(people) for people in found):
        return Precision(0.0, 0.0)
    # pycocotools reports its progress by print.
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _evaluation(truth, found, cosine_released, placeholders)
        evaluation.accumulate()
    return Precision(*(_mean_precision(evaluation, label) for label in AREAS))


def _evaluation(
    truth: Truth, found: Found, cosine_released: bool | None, placeholders: bool, areas: int = len(AREAS)
) -> Any:
    """pycocotools' evaluation of each picture by itself, for people of the first `areas` of AREAS."""
    evaluation = _coco_eval(_coco(truth, placeholders), found)
    evaluation.params.areaRng = evaluation.params.areaRng[:areas]
    evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:areas]
    if cosine_released is not None:
        evaluation.computeOks = lambda image, category: _cosines(evaluation, image, category, cosine_released)
    evaluation.evaluate()
    return evaluation


def _coco(truth: Truth, placeholders: bool = False) -> Any:
    """The truth as pycocotools wants it; areas are those of the boxes round the visible joints, and round
    (-1, -1) where joints are missing and count as `placeholders`.
    """
    coco = optional_import("pycocotools.coco", "pycocotools", "average precision").COCO()
    people = [(image, joints) for image, row in enumerate(truth, start=1) for joints in row]
    coco.dataset = {
        "info": {},
        "images": [{"id": image} for image in range(1, len(truth) + 1)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            _annotation(number, image, joints, placeholders)
            for number, (image, joints) in enumerate(people, start=1)
        ],
    }
    coco.createIndex()
    return coco


def _annotation(number: int, image: int, joints: np.ndarray, placeholders: bool) -> dict[str, Any]:
    visible = joints[joints[:, 2] > 0, :2].astype(float)
    spanned = np.concatenate([visible, [MISSING]]) if placeholders and len(visible) < len(joints) else visible
    low, size = (spanned.min(0), np.ptp(spanned, axis=0)) if len(spanned) else (np.zeros(2), np.zeros(2))
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": len(visible),
        "keypoints": np.column_stack([joints[:, :2], 2 * (joints[:, 2] > 0)]).astype(float).ravel().tolist(),
        "bbox": [*low.tolist(), *size.tolist()], "area": float(size.prod()),
    }  # fmt: skip


def _coco_eval(coco: Any, found: Found) -> Any:
    cocoeval = optional_import("pycocotools.cocoeval", "pycocotools", "average precision")
    results = [
        {
            "image_id": image,
            "category_id": 1,
            "score": float(detection.score),
            "keypoints": detection.joints.astype(float).ravel().tolist(),
        }
        for image, row in enumerate(found, start=1)
        for detection in row
    ]
    evaluation = cocoeval.COCOeval(coco, coco.loadRes(results), "keypoints")
    evaluation.params.kpt_oks_sigmas = SIGMAS
    evaluation.params.maxDets = [MOST_DETECTIONS]
    evaluation.params.areaRng = [[0.0, 1e10], list(MEDIUM)]
    evaluation.params.areaRngLbl = list(AREAS)
    return evaluation


def _cosines(evaluation: Any, image: int, category: int, released: bool) -> np.ndarray | list:
    """What pycocotools computes object keypoint similarities with, for cosines: (detections, people)."""
    people, detections = evaluation._gts[image, category], evaluation._dts[image, category]
    if not people or not detections:
        return []
    ranked = sorted(detections, key=lambda each: -each["score"])[:MOST_DETECTIONS]
    wanted, seen = ([np.array(each["keypoints"]).reshape(-1, 3) for each in row] for row in (people, ranked))
    return np.array([[pose_cosine(one, other, released=released) for one in wanted] for other in seen])


def _mean_precision(evaluation: Any, label: str) -> float:
    """Mean of precision[threshold, recall, category, area, detections]; -1 stands for nothing to find."""
    area = evaluation.params.areaRngLbl.index(label)
    values = evaluation.eval["precision"][:, :, 0, area, 0]
    return float(values[values > -1].mean()) if (values > -1).any() else float("nan")
