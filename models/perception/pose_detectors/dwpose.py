"""DWPose from its two published ONNX files, run by onnxruntime: YOLOX finds people, RTMPose their joints.

133 points of COCO-WholeBody are found for every person; body and hands are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ....people.keypoints import Person, Pose, body18_from_coco17
from .detector import Detector, find_file

FILES = FINDER, POSER = "yolox_l.onnx", "dw-ll_ucoco_384.onnx"
INSTALL = "pip install onnxruntime (onnxruntime-gpu for an NVIDIA GPU)"
FINDER_SIDE, FINDER_GREY, STRIDES = 640, 114.0, (8, 16, 32)
PERSON, CANDIDATE_SCORE, PERSON_SCORE, OVERLAP = 0, 0.1, 0.3, 0.45
JOINT_SCORE = 0.3
BOX_ROOM = 1.25
SPLIT = 2.0
"""Places of RTMPose's two axes for each pixel of its input."""
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
BODY, LEFT_HAND, RIGHT_HAND = slice(0, 17), slice(91, 112), slice(112, 133)


def load(folders: Sequence[Path], device: str | torch.device) -> Detector:
    """Both networks, on the GPU where onnxruntime has one.

    Raises ImportError without onnxruntime, FileNotFoundError and ValueError that name a file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"the dwpose detector needs onnxruntime: {INSTALL}; vitpose and keypoint_rcnn need no package"
        ) from error
    wanted = ["CUDAExecutionProvider"] if torch.device(device).type == "cuda" else []
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    finder, poser = (
        _session(onnxruntime, find_file(name, folders, "dwpose"), [*providers, "CPUExecutionProvider"])
        for name in (FINDER, POSER)
    )

    def detect(image: torch.Tensor) -> Pose:
        pixels = image.detach().float().cpu().clamp(0, 1) * 255
        return people_of(poser, pixels, find_people(finder, pixels))

    return Detector(detect, unmanaged=bool(providers))


def _session(runtime: Any, path: Path, providers: list[str]) -> Any:
    try:
        return runtime.InferenceSession(str(path), providers=providers)
    except Exception as error:  # onnxruntime's errors share no other base
        reason = str(error).splitlines()[0][:160]
        raise ValueError(f"{path} is no ONNX model that runs here ({reason}): download it again") from error


def _run(session: Any, values: np.ndarray) -> list[np.ndarray]:
    return session.run(None, {session.get_inputs()[0].name: values.astype(np.float32)})


def find_people(finder: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Boxes (N,4) x0, y0, x1, y1 px of the people in a picture (3,H,W) 0..255, by YOLOX (640 x 640, BGR)."""
    height, width = pixels.shape[-2:]
    scale = min(FINDER_SIDE / height, FINDER_SIDE / width)
    inner = (max(1, int(height * scale)), max(1, int(width * scale)))
    small = F.interpolate(pixels.flip(0)[None], inner, mode="bilinear", align_corners=False)
    square = F.pad(small, (0, FINDER_SIDE - inner[1], 0, FINDER_SIDE - inner[0]), value=FINDER_GREY)
    (found, *_) = _run(finder, square.numpy())
    return decode_boxes(torch.from_numpy(found[0])) / scale


def decode_boxes(found: torch.Tensor) -> torch.Tensor:
    """YOLOX's answers (8400,85) -> boxes (N,4) px of its input, of people, the most certain first.

    A row holds centre and log size in strides of its cell, that there is a thing, and what it may be.
    """
    from torchvision.ops import nms

    cells, strides = [], []
    for stride in STRIDES:
        side = FINDER_SIDE // stride
        ys, xs = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        cells.append(torch.stack([xs, ys], dim=-1).reshape(-1, 2))
        strides.append(torch.full((side * side, 1), float(stride)))
    cell, stride_px = torch.cat(cells), torch.cat(strides)
    centre = (found[:, :2] + cell) * stride_px
    half = found[:, 2:4].exp() * stride_px / 2
    scores = found[:, 4] * found[:, 5 + PERSON]
    likely = scores > CANDIDATE_SCORE
    boxes, scores = torch.cat([centre - half, centre + half], dim=1)[likely], scores[likely]
    kept = nms(boxes, scores, OVERLAP)
    return boxes[kept][scores[kept] > PERSON_SCORE]


def people_of(poser: Any, pixels: torch.Tensor, boxes: torch.Tensor) -> Pose:
    """Body and hands of the people in boxes (N,4) px of a picture (3,H,W) 0..255, RGB."""
    height, width = pixels.shape[-2:]
    side_y, side_x = poser.get_inputs()[0].shape[-2:]
    people = []
    for box in boxes:
        centre = (box[:2] + box[2:]) / 2
        extent = box_extent(box, side_x / side_y)
        view = look_at(pixels, centre, extent, (side_y, side_x))
        along_x, along_y = _run(poser, view.numpy())
        points, scores = decode_axes(along_x[0], along_y[0])
        at_px = points / (side_x, side_y) * extent.numpy() + (centre - extent / 2).numpy()
        people.append(person_of(at_px, scores))
    return Pose(tuple(person for person in people if np.any(person.body[:, 2])), width, height)


def box_extent(box: torch.Tensor, aspect: float) -> torch.Tensor:
    """Width and height (2,) px of what is looked at round a box: 1.25 of it, widened to the aspect w / h."""
    width, height = ((box[2:] - box[:2]) * BOX_ROOM).tolist()
    return torch.tensor([max(width, height * aspect), max(height, width / aspect)])


def look_at(
    pixels: torch.Tensor, centre: torch.Tensor, extent: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """A part of a picture as RTMPose sees it (1,3,h,w), normalised; black outside.

    Args:
        pixels: (3,H,W) in 0..255, RGB.
        centre: (2,) x, y px of the part.
        extent: (2,) its width and height in px.
        size: (h, w) of the network's input.
    """
    height, width = pixels.shape[-2:]
    steps = [
        (torch.arange(length) / length - 0.5) * float(span) + float(middle)
        for length, span, middle in zip(size[::-1], extent, centre, strict=True)
    ]
    # Pixel centres lie on whole numbers here, as for OpenCV's warp; of grid_sample -1 and 1 are the edges.
    xs, ys = (2 * (step + 0.5) / side - 1 for step, side in zip(steps, (width, height), strict=True))
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1)[None]
    part = F.grid_sample(pixels[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return (part - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def decode_axes(along_x: np.ndarray, along_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RTMPose's answers (133, 2w) and (133, 2h) -> points (133,2) px of its input and their scores (133,)."""
    places = np.stack([along_x.argmax(axis=1), along_y.argmax(axis=1)], axis=1)
    return places / SPLIT, np.minimum(along_x.max(axis=1), along_y.max(axis=1))


def person_of(points_px: np.ndarray, scores: np.ndarray) -> Person:
    """A person from COCO-WholeBody's points (133,2) px and their scores (133,)."""
    seen = scores >= JOINT_SCORE
    points = (np.concatenate([points_px, seen[:, None]], axis=1) * seen[:, None]).astype(np.float32)
    body = body18_from_coco17(points[BODY])
    return Person(body, _hand_if_seen(points[LEFT_HAND]), _hand_if_seen(points[RIGHT_HAND]))


def _hand_if_seen(hand: np.ndarray) -> np.ndarray | None:
    return hand if hand[:, 2].any() else None
