"""Body and hand keypoints: joint names, joint orders, and the POSE_KEYPOINT value of the host.

Inside Figura a body is always an OpenPose-18 array (18, 3) of x_px, y_px, confidence. A confidence of 0 means
"absent". Coordinates are continuous: pixel i covers [i, i + 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .naming import in_picture

BODY_18 = (
    "nose", "neck",
    "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle",
    "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
HAND_21 = ("wrist",) + tuple(
    f"{finger}_{joint}" for finger in ("thumb", "index", "middle", "ring", "little") for joint in range(1, 5)
)
HAND_EDGES = tuple((0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21))
HFLIP_18 = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)
BODY18_FROM_BODY25 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
COCO17_FROM_BODY18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
# The neck has no COCO joint: index 1 is filled with the mean of the shoulders afterwards.
BODY18_FROM_COCO17 = (0, 0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
COCO_SHOULDERS = (5, 6)
FACE_POINTS = 70
LARGEST_CANVAS = 2**20
LARGEST_NUMBER = 1e9
"""Of a point: as in the points text."""
NORMALISED_CANVAS_MULTIPLE = 64
NORMALISED_UP_TO = 2.0
"""Shares of the sides: a joint may lie a little outside of its picture."""
CONFIDENT = 0.3
"""Points of less confidence are absent: ComfyUI's SDPose and OpenPose give every joint some, hidden ones too,
and their own drawing leaves out those below.
"""
SENTINEL = -1.0
"""x and y of a joint that some writers mean to be absent."""
# How a body joint came to be known. Joints in any state but "detected" are not seen in the picture: they
# belong to the part to be completed.
DETECTED, GIVEN, PROPOSED, OCCLUDED = STATES = ("detected", "given", "proposed", "occluded")
STATES_KEY = "figura_joint_states"
"""Key of a person in a POSE_KEYPOINT: the 18 joints' states, null for an absent one. Others ignore it."""


@dataclass(frozen=True)
class Person:
    """One person's keypoints as x_px, y_px, confidence; confidence 0 means absent.

    body: (18, 3) float32 in OpenPose-18 order. left_hand, right_hand: (21, 3) or None. face: (70, 3) or None.
    states: of each body joint one of STATES, None for an absent one; None altogether: all are detected.
    """

    body: np.ndarray
    left_hand: np.ndarray | None = None
    right_hand: np.ndarray | None = None
    face: np.ndarray | None = None
    states: tuple[str | None, ...] | None = None

    @property
    def is_present(self) -> bool:
        """Whether any joint of the body has a place."""
        return bool((self.body[:, 2] > 0).any())

    @property
    def seen(self) -> np.ndarray:
        """(18,) bool: the joints that were detected in the picture."""
        states = self.states or (DETECTED,) * len(BODY_18)
        return (self.body[:, 2] > 0) & np.array([state == DETECTED for state in states])


@dataclass(frozen=True)
class Pose:
    """The people of one picture of width x height pixels, in that picture's pixel coordinates."""

    people: tuple[Person, ...]
    width: int
    height: int

    @property
    def shows_nobody(self) -> bool:
        """Whether there is no joint of any person."""
        return not any(person.is_present for person in self.people)

    def resized(self, height: int, width: int) -> Pose:
        """The same people in the pixels of that picture when it is made height x width pixels large."""
        scale = np.array([width / self.width, height / self.height, 1.0], np.float32)

        def scaled(points: np.ndarray | None) -> np.ndarray | None:
            return None if points is None else points * scale

        people = (
            replace(
                person,
                body=person.body * scale,
                left_hand=scaled(person.left_hand),
                right_hand=scaled(person.right_hand),
                face=scaled(person.face),
            )
            for person in self.people
        )
        return Pose(tuple(people), width, height)


def body18_from_coco17(joints: np.ndarray) -> np.ndarray:
    """OpenPose-18 (18, 3) from COCO-17 (17, 3); the neck is the mean of both shoulders, if present.

    >>> joints = np.zeros((17, 3))
    >>> joints[[5, 6]] = (90.0, 50.0, 1.0), (30.0, 54.0, 1.0)  # left and right shoulder
    >>> body18_from_coco17(joints)[1].tolist()
    [60.0, 52.0, 1.0]
    """
    body = joints[list(BODY18_FROM_COCO17)].copy()
    shoulders = joints[list(COCO_SHOULDERS)]
    body[1] = shoulders.mean(axis=0) if (shoulders[:, 2] > 0).all() else 0.0
    return body


def coco17_from_body18(body: np.ndarray) -> np.ndarray:
    """COCO-17 (17, 3) from OpenPose-18 (18, 3); the neck is dropped."""
    return body[list(COCO17_FROM_BODY18)].copy()


def body18_from_body25(joints: np.ndarray) -> np.ndarray:
    """OpenPose-18 (18, 3) from BODY_25 (25, 3); the middle of the hips and the feet are dropped."""
    return joints[list(BODY18_FROM_BODY25)].copy()


def read_pose_keypoint(
    value: Any, size: tuple[int, int] | None = None, name: str = "POSE_KEYPOINT"
) -> list[Pose]:
    """Read a POSE_KEYPOINT value: one Pose per picture, in pixels.

    value: a list with one dict per picture, or one bare dict. Bodies of 17 (COCO), 18 (OpenPose) and 25
    (BODY_25) joints are told apart by their length. Coordinates may be absolute pixels or shares of the
    sides; a body, hand or face whose present points all lie within NORMALISED_UP_TO is read as shares. They
    are of the canvas rounded up to a multiple of 64 where its shorter side is one, since the OpenPose
    preprocessor that writes this form divides by the padded size.
    size: (height, width) used where a dict has no canvas size. name: of the input, for errors.

    Raises ValueError, naming the picture and the key, for anything else.
    """
    frames = [value] if isinstance(value, Mapping) else value
    if not isinstance(frames, Sequence) or isinstance(frames, str | bytes):
        raise ValueError(
            f"{name} must be a list of dicts, one per picture, or one dict; got "
            f"{type(value).__name__}. Connect the output of a pose detector."
        )
    count = len(frames)
    return [_read_frame(frame, in_picture(name, index, count), size) for index, frame in enumerate(frames)]


def _read_frame(frame: Any, where: str, size: tuple[int, int] | None) -> Pose:
    if not isinstance(frame, Mapping):
        raise ValueError(f"{where} must be a dict with 'people' in it; got {type(frame).__name__}.")
    if "people" not in frame:
        found = "'animals'" if "animals" in frame else f"the keys {sorted(map(str, frame))}"
        raise ValueError(f"{where} has no 'people'; it has {found}. Use a detector of human pose.")
    width, height = _canvas(frame, where, size)
    people = frame["people"]
    people = people.tolist() if isinstance(people, np.ndarray) else people
    people = [] if people is None else people
    if not isinstance(people, Sequence) or isinstance(people, str):
        raise ValueError(f"{where}: 'people' must be a list of dicts; got {type(people).__name__}.")
    read = (_read_person(person, f"{where}, person {number}") for number, person in enumerate(people))
    return Pose(tuple(_in_pixels(person, width, height) for person in read), width, height)


def _canvas(frame: Mapping[str, Any], where: str, size: tuple[int, int] | None) -> tuple[int, int]:
    width, height = frame.get("canvas_width"), frame.get("canvas_height")
    if width is None and height is None and size is not None:
        height, width = size
    try:
        read = int(width), int(height)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        read = (0, 0)
    if min(read) < 1 or max(read) > LARGEST_CANVAS:
        raise ValueError(
            f"{where}: 'canvas_width' and 'canvas_height' must be whole numbers from 1 to {LARGEST_CANVAS}; "
            f"got {_short(width)} and {_short(height)}."
        )
    return read


def _short(value: Any) -> str:
    return f"{value!r:.60}" if isinstance(value, (int, float)) and abs(value) < 1e15 else type(value).__name__


def _read_person(person: Any, where: str) -> Person:
    if not isinstance(person, Mapping):
        raise ValueError(f"{where} must be a dict; got {type(person).__name__}.")
    body = _read_points(person, "pose_keypoints_2d", (17, 18, 25), where)
    return Person(
        body=_body18(body),
        left_hand=_if_any(_read_points(person, "hand_left_keypoints_2d", (21,), where)),
        right_hand=_if_any(_read_points(person, "hand_right_keypoints_2d", (21,), where)),
        face=_read_face(person.get("face_keypoints_2d"), where),
        states=_read_states(person.get(STATES_KEY), body),
    )


def _read_face(value: Any, where: str) -> np.ndarray | None:
    """A face of 68 or 70 points; others, which some detectors write, and those that are no numbers, are none:
    nothing here needs them.
    """
    counts = (FACE_POINTS, 68)
    known = hasattr(value, "__len__") and len(value) in [3 * count for count in counts]
    if not known:
        return None
    try:
        return _if_any(_read_points({"face_keypoints_2d": value}, "face_keypoints_2d", counts, where))
    except ValueError:
        return None


def _if_any(points: np.ndarray | None) -> np.ndarray | None:
    """The points, if one of them is present: a hand of zeros is none."""
    return points if points is not None and points[:, 2].any() else None


def _read_states(value: Any, body: np.ndarray | None) -> tuple[str | None, ...] | None:
    """The joints' states of a body of 18; anything but a whole list of them is as good as none."""
    if not isinstance(value, Sequence) or isinstance(value, str) or body is None:
        return None
    if len(value) != len(BODY_18) or len(body) != len(BODY_18):
        return None
    known = tuple(state if isinstance(state, str) and state in STATES else DETECTED for state in value)
    return tuple(state if point[2] > 0 else None for state, point in zip(known, body, strict=True))


def _body18(body: np.ndarray | None) -> np.ndarray:
    if body is None:
        return np.zeros((18, 3), np.float32)
    convert = {17: body18_from_coco17, 25: body18_from_body25}.get(len(body))
    return body if convert is None else convert(body)


def _read_points(
    person: Mapping[str, Any], key: str, counts: tuple[int, ...], where: str
) -> np.ndarray | None:
    # OpenPose before 1.2 wrote the keys without their end.
    value = person.get(key, person.get(key.removesuffix("_2d")))
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        return None
    try:
        # None inside a list (an undetected joint of some detectors) becomes NaN here, and absent below.
        points = np.array(value, dtype=np.float64).reshape(-1, 3)
    except (TypeError, ValueError, OverflowError):
        points = np.zeros((0, 3))
    if len(points) not in counts:
        lengths = " or ".join(str(3 * count) for count in counts)
        raise ValueError(f"{where}: '{key}' must hold {lengths} numbers (x, y, c); got {_brief(value)}.")
    if (np.abs(points) > LARGEST_NUMBER).any():
        raise ValueError(f"{where}: '{key}' holds an infinite number, or one beyond {LARGEST_NUMBER:g}.")
    absent = np.isnan(points).any(axis=1) | (points[:, :2] == SENTINEL).all(axis=1)
    absent |= points[:, 2] < CONFIDENT
    points[absent] = 0.0
    return points.astype(np.float32)


def _brief(value: Any) -> str:
    return f"{len(value)} values" if hasattr(value, "__len__") else type(value).__name__


def _in_pixels(person: Person, width: int, height: int) -> Person:
    """The person with each list that is normalised brought to pixels of its canvas."""
    multiple = NORMALISED_CANVAS_MULTIPLE
    is_padded = min(width, height) % multiple == 0
    sides = [math.ceil(side / multiple) * multiple if is_padded else side for side in (width, height)]

    def scaled(points: np.ndarray | None, marks_absent: bool = True) -> np.ndarray | None:
        if points is None or not _is_normalised(points):
            return points
        if marks_absent:
            # The same preprocessor marks undetected hand and face points by a small negative coordinate.
            points = np.where((points[:, :2] < 0).any(axis=1, keepdims=True), 0.0, points)
        return (points * np.array([*sides, 1.0])).astype(np.float32)

    body = scaled(person.body, marks_absent=False)
    return Person(
        person.body if body is None else body,
        scaled(person.left_hand),
        scaled(person.right_hand),
        scaled(person.face),
        person.states,
    )


def _is_normalised(points: np.ndarray) -> bool:
    present = points[points[:, 2] > 0, :2]
    return len(present) > 0 and bool((np.abs(present) <= NORMALISED_UP_TO).all())


def write_pose_keypoint(poses: Sequence[Pose]) -> list[dict[str, Any]]:
    """The POSE_KEYPOINT value of `poses`: absolute pixels, flat lists, confidence 1 (present) or 0 (absent).

    A face or hand that is not there is written as zeros: ComfyUI's SDPose nodes read no other form.
    Confidences between are written as 1, because the common drawing nodes drop every joint below 1. A person
    with joint states gets them under STATES_KEY.
    """
    return [
        {
            "people": [_write_person(person) for person in pose.people],
            "canvas_width": int(pose.width),
            "canvas_height": int(pose.height),
        }
        for pose in poses
    ]


def _write_person(person: Person) -> dict[str, Any]:
    written: dict[str, Any] = {
        "pose_keypoints_2d": _flat(person.body, len(BODY_18)),
        "face_keypoints_2d": _flat(person.face, FACE_POINTS),
        "hand_left_keypoints_2d": _flat(person.left_hand, len(HAND_21)),
        "hand_right_keypoints_2d": _flat(person.right_hand, len(HAND_21)),
    }
    return written if person.states is None else {**written, STATES_KEY: list(person.states)}


def _flat(points: np.ndarray | None, count: int) -> list[float]:
    if points is None:
        return [0.0] * (3 * count)
    present = points[:, 2:] > 0
    return np.where(present, np.concatenate([points[:, :2], present], axis=1), 0.0).ravel().tolist()
