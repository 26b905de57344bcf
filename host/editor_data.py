"""What the point editor asks of the server, as plain functions: the joints in a picture, an example picture.

They know nothing of HTTP; `routes` puts them on ComfyUI's server. Everything that comes in was written by a
browser and is checked here: ValueError and FileNotFoundError say what was wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..models.files import is_file, path_inside
from ..models.perception.pose import PoseDetector, detect_joints, load_pose_detector, poses_from_joints
from ..models.perception.pose_detectors import PROVIDERS, Detector, load_detector, states_of
from ..models.store import MINI, state_of
from ..people.boxes import EMPTY, Box
from ..people.keypoints import Person, Pose, write_pose_keypoint
from .chosen import get_host
from .editor_images import MAX_PIXELS, read_image
from .interface import Host

FOLDERS = ("input", "temp", "output")
BOX_ROOM = 0.1
DETECTOR_FILE = "pose_detector.safetensors"
Frame = dict[str, Any]


def detected_people(asked: Any, example_node: Any) -> Frame:
    """The people in a picture: one picture of a POSE_KEYPOINT value, in pixels.

    asked: {"filename", "subfolder", "type"} of a picture in one of ComfyUI's folders, or {"example": {"seed",
    "size", "occlusion", "slot"}} for the picture that `example_image` draws; "box": [x0, y0, x1, y1] px, if
    given, is where the person is; "detector" one of Detect Pose's, else mini.
    example_node: the class of Example Person.

    Runs on the CPU, beside what the server is busy with, so that no model of a running graph is pushed out of
    memory.
    """
    if not isinstance(asked, Mapping):
        raise ValueError(f"a JSON object that names a picture is needed; got {type(asked).__name__}")
    example = asked.get("example")
    image = (
        read_image(image_file(asked, get_host())) if example is None else example_image(example, example_node)
    )
    part = _part(asked.get("box"), image)
    with torch.inference_mode():
        pose = _detect(image, part, asked.get("detector", MINI))
    (frame,) = write_pose_keypoint([pose])
    return frame


def _detect(image: Image.Image, part: tuple[int, int, int, int], detector: Any) -> Pose:
    """The people in a part (x0, y0, x1, y1 px) of a picture, by mini or by another detector that is here."""
    from torchvision.transforms.functional import to_tensor

    pixels = to_tensor(image.crop(part))
    if detector == MINI:
        joints = detect_joints(_detector(), pixels[None]) + torch.tensor([part[0], part[1], 0.0])
        return poses_from_joints(joints, image.height, image.width)[0]
    if not isinstance(detector, str) or detector not in PROVIDERS:
        raise ValueError(
            f"detector must be one of {', '.join((MINI, *PROVIDERS))}; got {str(detector)[:40]!r}"
        )
    try:
        folders = tuple(get_host().model_folders("pose_detector"))
        found = _load_external(detector, folders, states_of(detector, folders)).detect(pixels)
    except ImportError as error:
        raise ValueError(str(error)) from error
    people = tuple(_moved(person, part[0], part[1]) for person in found.people)
    return Pose(people, image.width, image.height)


def _moved(person: Person, right: int, down: int) -> Person:
    """The person moved by pixels; absent joints stay where they are."""
    left_hand, right_hand = (
        None if hand is None else _shifted(hand, right, down)
        for hand in (person.left_hand, person.right_hand)
    )
    return Person(_shifted(person.body, right, down), left_hand, right_hand)


def _shifted(points: np.ndarray, right: int, down: int) -> np.ndarray:
    shifted: np.ndarray = points + (points[:, 2:] > 0) * np.array([right, down, 0], points.dtype)
    return shifted


@lru_cache(maxsize=1)
def _load_external(
    name: str, folders: tuple[Path, ...], states: tuple[tuple[str, int, int], ...]
) -> Detector:
    """The detector that was asked last, until its files are others."""
    return load_detector(name, folders)


def _part(box: Any, image: Image.Image) -> tuple[int, int, int, int]:
    """The whole pixels of a picture that a box covers, with some room round it; without a box, all."""
    whole = Box(0, 0, *image.size)
    if box is None:
        return 0, 0, *image.size
    try:
        given = Box(*(float(corner) for corner in box))
    except (TypeError, ValueError, OverflowError):
        given = EMPTY
    if not all(abs(corner) < MAX_PIXELS for corner in given) or given.intersect(whole).is_empty:
        raise ValueError(f"box must be [x0, y0, x1, y1] inside the picture; got {str(box)[:60]}")
    room = BOX_ROOM * max(given.width, given.height)
    x0, y0, x1, y1 = given.expand(room).intersect(whole).outward()
    return int(x0), int(y0), int(x1), int(y1)


def image_file(named: Mapping[str, Any], host: Host) -> Path:
    """The file that {"filename", "subfolder", "type"} name, which lies inside the folder of that type."""
    folder = {"input": host.input_dir, "temp": host.temp_dir, "output": host.output_dir}
    declared = named.get("type", "input")
    if declared not in FOLDERS:
        raise ValueError(f"type must be one of {', '.join(FOLDERS)}; got {str(declared)[:40]!r}")
    parts = [named.get("subfolder", ""), named.get("filename", "")]
    if not all(isinstance(part, str) and "\0" not in part for part in parts) or not parts[1]:
        raise ValueError("filename and subfolder must be texts, and filename must not be empty")
    try:
        path = path_inside(folder[declared](), *parts)
    except ValueError:
        raise ValueError(f"the picture must lie inside the {declared} folder") from None
    if not is_file(path):
        raise FileNotFoundError(f"there is no picture {parts[1][:80]!r} in the {declared} folder")
    return path


def example_image(asked: Any, example_node: Any) -> Image.Image:
    """A picture of the node Example Person: {"seed", "size", "occlusion", "slot"}, slot is its output."""
    if not isinstance(asked, Mapping):
        raise ValueError("an example is {seed, size, occlusion, slot}")
    specs = example_node.INPUT_TYPES()["required"]
    values = {name: _field(asked, name, declared, options) for name, (declared, options) in specs.items()}
    types = example_node.RETURN_TYPES
    slot = _field(asked, "slot", "INT", {"min": 0, "max": len(types) - 1})
    if types[slot] != "IMAGE":
        raise ValueError(f"slot {slot} of Example Person gives no picture")
    from torchvision.transforms.functional import to_pil_image

    image: Image.Image = to_pil_image(example_node().run(**values)[slot][0].permute(2, 0, 1).clamp(0, 1))
    return image


def _field(asked: Mapping[str, Any], name: str, declared: str, options: Mapping[str, Any]) -> Any:
    """A number between the limits of a node's field; texts, as an address has them, are read."""
    value = asked.get(name)
    try:
        number: Any = json.loads(value) if isinstance(value, str) else value
        read = int(number) if declared == "INT" else float(number)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ValueError(f"{name} must be a number; got {str(value)[:40]!r}") from None
    if not options["min"] <= read <= options["max"]:
        raise ValueError(f"{name} must lie between {options['min']} and {options['max']}; got {read}")
    return read


def _detector() -> PoseDetector:
    path = Path(get_host().find_model("pose_detector", MINI)) / DETECTOR_FILE
    return _load_detector(path, state_of(path))


@lru_cache(maxsize=1)
def _load_detector(path: Path, state: tuple[str, int, int]) -> PoseDetector:
    """The mini detector, until its file is another one."""
    return load_pose_detector(path)
