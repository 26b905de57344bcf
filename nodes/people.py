"""Where poses come from: detected ones, and what the user says by points."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..host import get_host
from ..host.editor_images import show_first
from ..models.perception.pose import CONFIDENCE, detect_joints, load_pose_detector, poses_from_joints
from ..models.perception.pose_detectors import PROVIDERS, Detector, load_detector, states_of
from ..models.store import MINI
from ..people.boxes import Box
from ..people.keypoints import Pose, read_pose_keypoint, write_pose_keypoint
from ..people.naming import naming_picture, picture_of
from ..people.points_json import MAX_PEOPLE, read_points_text
from ..people.prompt_kinds import POSE, PROMPT_KINDS, explained
from ..people.prompts import PointPrompt, draw_prompt, nobody, parse_points
from ..people.skeleton import draw_poses
from .common import SAME_SHAPE
from .frames import frames_without_anybody, is_nobody
from .tensors import (
    batch_length,
    bchw_to_image,
    image_to_bchw,
    read_bounding_box,
    repeat_batch,
    write_bounding_box,
)

log = logging.getLogger(__name__)

MINI_DETECTOR_FILE = "pose_detector.safetensors"
# What the editor is handed after a run; web/points/page/arrived.mjs knows the names, too.
EDITOR_POSES, EDITOR_PICTURE = "figura_poses", "figura_picture"


class FiguraDetectPose:
    """The joints that can be seen in a picture."""

    DESCRIPTION = (
        "Finds the joints of the people in a picture. The mini detector finds one person and needs nothing; "
        "the others find several people and need their files."
    )
    CATEGORY = "Figura/people"
    SEARCH_ALIASES = [
        "openpose", "dwpose", "pose estimation", "keypoint", "keypoints", "skeleton", "detect joints",
    ]  # fmt: skip
    FUNCTION = "run"
    RETURN_TYPES = ("POSE_KEYPOINT", "IMAGE")
    RETURN_NAMES = ("pose_keypoint", "skeleton")
    OUTPUT_TOOLTIPS = (
        "The joints that were found, in pixels; a picture without a person has no people.",
        "The joints drawn on black, as the pose ControlNets expect them.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "Pictures of any size."}),
                "detector": (
                    [MINI, *PROVIDERS],
                    {
                        "default": MINI,
                        "tooltip": "mini is shipped with Figura. vitpose and keypoint_rcnn need their files, "
                        "dwpose its files and onnxruntime, openpose its files and controlnet-aux.",
                    },
                ),
                "threshold": (
                    "FLOAT",
                    {
                        "default": CONFIDENCE,
                        "min": 0.0,
                        "max": 1.0,
                        "step": 0.05,
                        "tooltip": "Joints of the mini detector that are less certain than this are left "
                        "out.",
                    },
                ),
            }
        }

    def run(self, image: Any, detector: str, threshold: float = CONFIDENCE) -> tuple[Any, ...]:
        pixels = image_to_bchw(image)
        poses = _detect(pixels, detector, threshold)
        for index, pose in enumerate(poses):
            if not pose.people:
                log.warning("FiguraDetectPose: no person found in %s", picture_of(index, len(poses)))
        return write_pose_keypoint(poses), bchw_to_image(draw_poses(poses))


def _detect(pixels: torch.Tensor, detector: str, threshold: float) -> list[Pose]:
    host = get_host()
    if detector != MINI:
        folders = tuple(host.model_folders("pose_detector"))
        return _detect_all(_loaded(detector, folders, host.device(), states_of(detector, folders)), pixels)
    net = load_pose_detector(Path(host.find_model("pose_detector", MINI)) / MINI_DETECTOR_FILE)
    progress = host.progress(len(pixels))
    with torch.no_grad(), host.managed(net) as loaded:
        found = []
        for index, picture in enumerate(pixels):
            found.append(detect_joints(loaded, picture[None]).cpu())
            progress.step(index + 1)
    joints = torch.cat(found)
    return poses_from_joints(joints, pixels.shape[2], pixels.shape[3], threshold)


def _detect_all(detector: Detector, pixels: torch.Tensor) -> list[Pose]:
    """All people of each picture (B,3,H,W), one picture after the other."""
    host, poses = get_host(), []
    progress = host.progress(len(pixels))
    try:
        with host.managed(detector.networks) if len(detector.networks) else nullcontext():
            for index, picture in enumerate(pixels):
                poses.append(detector.detect(picture))
                progress.step(index + 1)
    finally:
        if detector.unmanaged:
            _loaded.cache_clear()
    return poses


@lru_cache(maxsize=1)
def _loaded(
    name: str, folders: tuple[Path, ...], device: torch.device, states: tuple[tuple[str, int, int], ...]
) -> Detector:
    """The detector that ran last stays: it is loaded once for many pictures, until its files are others."""
    return load_detector(name, folders, device)


class FiguraPointPrompt:
    """What the user says about the hidden part of a person: joints and boxes."""

    DESCRIPTION = (
        "Says how a hidden person continues: by joints, by a box, or both. Connect a detected pose for "
        "the joints "
        "that can be seen, and place the hidden ones in points. Points override detected joints of the "
        "same name."
    )
    CATEGORY = "Figura/people"
    SEARCH_ALIASES = [
        "openpose editor", "pose editor", "skeleton", "keypoint", "keypoints", "points editor", "joints",
        "amodal", "openpose", "bounding box",
    ]  # fmt: skip
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "FIGURA_PROMPT", "POSE_KEYPOINT", "BOUNDING_BOX", "STRING", "STRING")
    RETURN_NAMES = (
        "prompt_image", "prompt", "pose_keypoint", "bounding_box", "positive_coords", "negative_coords",
    )  # fmt: skip
    OUTPUT_TOOLTIPS = (
        "The prompt drawn on black: the box first, the skeleton on top.",
        "The prompt itself, for the other Figura nodes.",
        "The joints of the prompt, seen and placed ones together, in pixels.",
        "The box of the prompt, or the box round its joints.",
        "The positive points and the detected joints of the first picture, as the text that nodes of SAM 3 "
        "and KJNodes take.",
        "The negative points of the first picture, in the same form.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "The picture the points are set on."}),
                "prompt_type": (
                    list(PROMPT_KINDS),
                    {
                        "default": POSE,
                        "tooltip": f"What the prompt shows. {explained()}",
                        # The editor says what a kind lacks, and what it does not show.
                        "kinds": {
                            name: {"joints": kind.joints, "boxes": list(kind.boxes)}
                            for name, kind in PROMPT_KINDS.items()
                        },
                    },
                ),
                "points": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "The points, set in the editor and kept as JSON: joints by name, each "
                        "with x, y and a state (detected, given, proposed, occluded), and boxes; the help "
                        "page shows one. May be empty when a pose or a box is connected.",
                    },
                ),
            },
            "optional": {
                "pose_keypoint": (
                    "POSE_KEYPOINT",
                    {"tooltip": "Joints that can be seen in the picture, from a pose detector."},
                ),
                "bounding_box": (
                    "BOUNDING_BOX",
                    {
                        "forceInput": True,
                        "tooltip": "Box for the kinds with a box; for the kind pose it says which person "
                        "is meant.",
                    },
                ),
                "person": (
                    "INT",
                    {
                        "default": -1,
                        "min": -1,
                        "max": 63,
                        "tooltip": "Which person of the pose, from 0; -1 takes the one nearest to the "
                        "points, or the "
                        "one with most joints.",
                    },
                ),
            },
        }

    @classmethod
    def VALIDATE_INPUTS(cls, points: str | None = None) -> bool | str:
        try:
            read_points_text(points or "")
        except ValueError as error:
            return str(error)
        return True

    def run(
        self,
        image: Any,
        prompt_type: str,
        points: str,
        pose_keypoint: Any = None,
        bounding_box: Any = None,
        person: int = -1,
    ) -> dict[str, Any]:
        pixels = image_to_bchw(image)
        height, width = pixels.shape[2:]
        poses = None if pose_keypoint is None else read_pose_keypoint(pose_keypoint, size=(height, width))
        boxes = None if bounding_box is None else read_bounding_box(bounding_box)
        length = batch_length(image=pixels, pose_keypoint=poses, bounding_box=boxes)
        number = None if person < 0 else person
        warn_of_shape("Point Prompt", points, width, height)
        prompts = _prompts(
            points, (width, height), prompt_type, _each(poses, length), _each(boxes, length), number
        )
        result = (
            bchw_to_image(draw_prompt(prompts, height, width)),
            prompts,
            write_pose_keypoint([prompt.to_pose() for prompt in prompts]),
            write_bounding_box([_shown_box(prompt) for prompt in prompts]),
            _coordinates(prompts[0], prompts[0].visible_joints, prompts[0].positive_px),
            _coordinates(prompts[0], prompts[0].negative_px),
        )
        box = None if boxes is None or boxes[0].is_empty else boxes[0]
        shown = [] if poses is None else _editor_poses(poses[0], box, width, height, person)
        return {"ui": {EDITOR_POSES: shown, EDITOR_PICTURE: show_first(pixels)}, "result": result}


def _prompts(
    text: str, size: tuple[int, int], kind: str, poses: list[Any], boxes: list[Any], person: int | None
) -> list[PointPrompt]:
    """A prompt for each frame. One without anybody says nothing, where others of the batch have somebody.

    Args:
        text: the points, the same for all frames.
        size: (width, height) of the frames in pixels.
        kind: of the prompts.
        poses, boxes: one for each frame, or None.
        person: which of the pose.

    Raises ValueError that names the frame.
    """
    silent = read_points_text(text).says_nothing
    nobody_in = [silent and is_nobody(None, pose, box) for pose, box in zip(poses, boxes, strict=True)]
    without = frames_without_anybody("Point Prompt", "its prompt says nothing", nobody_in)
    prompts = []
    for index, (pose, box) in enumerate(zip(poses, boxes, strict=True)):
        if index in without:
            prompts.append(nobody(*size, kind))
            continue
        with naming_picture(index, len(poses)):
            prompts.append(parse_points(text, *size, kind, pose, box, person))
    return prompts


def warn_of_shape(node: str, points: str, width: int, height: int) -> None:
    """Say so when the points were set on a picture of another shape: they are stretched with it.

    Args:
        node: its name, for the log.
        points: the points text.
        width, height: of the picture in pixels.
    """
    said = read_points_text(points)
    if said.width and said.height and abs(said.width * height / (said.height * width) - 1) > SAME_SHAPE:
        log.warning(
            "%s: the points were set on a picture of %g x %g pixels, and this one has %d x %d: "
            "they are stretched to its shape. Look at them in the editor.",
            node, said.width, said.height, width, height,
        )  # fmt: skip


def _editor_poses(
    pose: Pose, box: Box | None, width: int, height: int, person: int
) -> list[list[dict[str, Any]]]:
    """What came in for the first picture, for the editor: the list of things a node shows, here of one thing,
    which is a POSE_KEYPOINT value of one picture of width x height pixels.

    Beside the people it holds what tells which of them is meant: `person`, and the connected box or None.
    Numbers are rounded as those of the points text; faces and people beyond MAX_PEOPLE are left out.
    """

    def rounded(points: Any) -> Any:
        return None if points is None else points.astype(np.float64).round(1)

    people = tuple(
        replace(
            someone, body=rounded(someone.body), face=None,
            left_hand=rounded(someone.left_hand), right_hand=rounded(someone.right_hand),
        )
        for someone in pose.resized(height, width).people[:MAX_PEOPLE]
    )  # fmt: skip
    (frame,) = write_pose_keypoint([Pose(people, width, height)])
    corners = None if box is None else [round(float(corner), 1) for corner in box]
    return [[{**frame, "box": corners, "person": person}]]


def _each(values: list[Any] | None, length: int) -> list[Any]:
    return [None] * length if values is None else list(repeat_batch(values, length))


def _coordinates(prompt: PointPrompt, *points_px: np.ndarray | None) -> str:
    """Points (n, 2) as a JSON text of whole pixels, [{"x", "y"}, ...]; those outside are left out."""
    found = np.concatenate([np.zeros((0, 2)), *(points for points in points_px if points is not None)])
    inside = ((found >= 0) & (found <= (prompt.width, prompt.height))).all(axis=1)
    pixels = np.minimum(np.floor(found[inside]), (prompt.width - 1, prompt.height - 1)).astype(int)
    return json.dumps([{"x": x, "y": y} for x, y in pixels.tolist()])


def _shown_box(prompt: PointPrompt) -> Box:
    """The prompt's box, or the box round its joints: at least one pixel, inside the picture where it can."""
    box = prompt.box or prompt.extent
    box = Box(box.x0, box.y0, max(box.x1, box.x0 + 1), max(box.y1, box.y0 + 1))
    inside = box.clip(prompt.height, prompt.width)
    return box if inside.is_empty else inside


NODE_CLASS_MAPPINGS = {
    "FiguraDetectPose": FiguraDetectPose,
    "FiguraPointPrompt": FiguraPointPrompt,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraDetectPose": "Detect Pose (Figura)",
    "FiguraPointPrompt": "Point Prompt (Figura)",
}
