"""The points text: the JSON a person's points are written in, by the editor or by hand.

{"version": 1, "width": W, "height": H, "active": 0,
 "people": [{"joints": {"right_knee": {"x": 10, "y": 20, "state": "given"}}, "left_hand": {}}],
 "roi_box": [x0, y0, x1, y1], "full_box": null, "positive": [[x, y]], "negative": []}

Every key may be left out. A joint that is null is taken away, even if it was detected. Hands have the joints
of HAND_21, in the same form. width and height are those of the picture the points were set on. Boxes and
points are the active person's; a person may have its own, in the same form, which count when there are none
on top.

Other forms are read as well: the text of a POSE_KEYPOINT value, of an OpenPose file or of what OpenPose
Editor saves, whose first person counts; points {"x", "y"}; and what becomes of an object that is sent over
the API instead of a text.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .boxes import Box
from .keypoints import BODY_18, GIVEN, HAND_21, NORMALISED_UP_TO, STATES, Person, read_pose_keypoint

VERSION = 1
MAX_POINTS = 256
MAX_PEOPLE = 64
DEFAULT_STATE = GIVEN
POSE_KEYS = {
    name + ending
    for name in ("pose_keypoints", "hand_left_keypoints", "hand_right_keypoints") for ending in ("_2d", "")
}  # fmt: skip
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class JointPoint:
    """One joint: its place in pixels of the picture it was set on, and whether it is seen there."""

    x: float
    y: float
    state: str


@dataclass(frozen=True)
class PointsText:
    """What a points text says, in pixels of a width x height picture (None: the picture it is used with).

    joints, left_hand, right_hand: placed joints by name; removed and its sisters: those that were taken away.
    """

    width: float | None = None
    height: float | None = None
    joints: dict[str, JointPoint] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    roi_box: Box | None = None
    full_box: Box | None = None
    positive: tuple[tuple[float, float], ...] = ()
    negative: tuple[tuple[float, float], ...] = ()
    left_hand: dict[str, JointPoint] = field(default_factory=dict)
    right_hand: dict[str, JointPoint] = field(default_factory=dict)
    removed_left_hand: tuple[str, ...] = ()
    removed_right_hand: tuple[str, ...] = ()

    @property
    def says_nothing(self) -> bool:
        """Whether it names no joint, no box and no point on the person, as the text of an emptied editor."""
        return not (self.joints or self.roi_box or self.full_box or self.positive)


def read_points_text(text: str) -> PointsText:
    """Read a points text; an empty one says nothing. Raises ValueError that names the mistake's place.

    >>> text = '{"people": [{"joints": {"left_knee": {"x": 40, "y": 90, "state": "given"}}}]}'
    >>> read_points_text(text).joints["left_knee"]
    JointPoint(x=40.0, y=90.0, state='given')
    """
    if not text.lstrip(BYTE_ORDER_MARK).strip():
        return PointsText()
    value = loaded(text)
    if isinstance(value, str):  # a text that was put into quotes once more on its way
        return read_points_text(value)
    if is_pose(value):
        return _read_pose(value)
    if not isinstance(value, dict):
        raise ValueError(
            f'points: the text must be a JSON object like {{"people": [...]}}; got {_type_of(value)}.'
        )
    if value.get("version", VERSION) != VERSION:
        raise ValueError(
            f"points: version {_type_of(value['version'])} is not known; this Figura reads version {VERSION}."
        )
    person, where = _active_person(value)
    joints, removed = _part(person, "joints", BODY_18, where)
    left_hand, removed_left_hand = _part(person, "left_hand", HAND_21, where)
    right_hand, removed_right_hand = _part(person, "right_hand", HAND_21, where)
    return PointsText(
        width=_side(value, "width"),
        height=_side(value, "height"),
        joints=joints,
        removed=removed,
        roi_box=_box(value, "roi_box") or _box(person, "roi_box"),
        full_box=_box(value, "full_box") or _box(person, "full_box"),
        positive=_points(value, "positive") or _points(person, "positive"),
        negative=_points(value, "negative") or _points(person, "negative"),
        left_hand=left_hand,
        right_hand=right_hand,
        removed_left_hand=removed_left_hand,
        removed_right_hand=removed_right_hand,
    )


def loaded(text: str) -> Any:
    """What a text of JSON, or of Python, holds; what OpenPose Editor saves is made a POSE_KEYPOINT of one
    picture. ValueError for any other text.
    """
    return _of_openpose_editor(_load(text.lstrip(BYTE_ORDER_MARK)))


def _of_openpose_editor(value: Any) -> Any:
    """{"width", "height", "keypoints": [[[x, y], ...], ...]} as a POSE_KEYPOINT; anything else as it is."""
    if not isinstance(value, dict) or "people" in value or not isinstance(value.get("keypoints"), list):
        return value
    listed = [person for person in value["keypoints"] if isinstance(person, list)]
    bodies = [
        [[*point, 1.0][:3] if isinstance(point, list) else [None] * 3 for point in each] for each in listed
    ]
    people = [{"pose_keypoints_2d": body} for body in bodies]
    return [{"people": people, "canvas_width": value.get("width"), "canvas_height": value.get("height")}]


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        sent = _literal(text)
        if sent is not None:
            return sent
        raise ValueError(
            f"points: this is not JSON (line {error.lineno}, column {error.colno}: {error.msg})."
        ) from None
    except ValueError:
        raise ValueError("points: this JSON holds a number of too many digits.") from None
    except RecursionError:
        raise ValueError("points: this JSON is nested too deeply.") from None


def _literal(text: str) -> Any:
    """The object or list that ComfyUI has made a text of, as Python writes it; None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def is_pose(value: Any) -> bool:
    """Whether a value is a POSE_KEYPOINT: one picture, or a list. OpenPose's versions are fractions."""
    frame = value[0] if isinstance(value, list) and value else value
    people = frame.get("people") if isinstance(frame, dict) else None
    if people == []:
        return isinstance(value, list) or isinstance(frame.get("version"), float)
    listed = people if isinstance(people, list) else []
    return any(isinstance(person, dict) and not POSE_KEYS.isdisjoint(person) for person in listed)


def _read_pose(value: Any) -> PointsText:
    """The first person with joints, or else a hand, of the first picture of a POSE_KEYPOINT, as given joints;
    a pose that says how its joints came to be known, as the editor copies it, keeps that.
    """
    frame = value[0] if isinstance(value, list) else value
    has_canvas = frame.get("canvas_width") is not None and frame.get("canvas_height") is not None
    try:
        # Without a canvas, normalised places are shares of a picture of 1 x 1.
        (pose,) = read_pose_keypoint(frame if has_canvas else {"people": frame["people"]}, size=(1, 1))
    except ValueError as error:
        raise ValueError(f"points: {error}") from None
    people = [person for person in pose.people if person.is_present]
    people = people or [person for person in pose.people if _hands(person)]
    if not people:
        return PointsText()
    furthest = max(float(part[:, :2].max()) for person in people for part in (person.body, *_hands(person)))
    sides = (pose.width, pose.height) if has_canvas or furthest <= NORMALISED_UP_TO else (None, None)
    (person, *_) = people
    return PointsText(
        width=sides[0],
        height=sides[1],
        joints=_given(BODY_18, person.body, person.states),
        left_hand=_given(HAND_21, person.left_hand),
        right_hand=_given(HAND_21, person.right_hand),
    )


def _hands(person: Person) -> list[np.ndarray]:
    return [hand for hand in (person.left_hand, person.right_hand) if hand is not None]


def _given(
    names: tuple[str, ...], points: np.ndarray | None, states: tuple[str | None, ...] | None = None
) -> dict[str, JointPoint]:
    known = states or (GIVEN,) * len(names)
    rows = zip(names, [] if points is None else points.tolist(), known, strict=False)
    return {name: JointPoint(x, y, state or GIVEN) for name, (x, y, seen), state in rows if seen > 0}


def _side(value: Mapping[str, Any], key: str) -> float | None:
    if value.get(key) is None:
        return None
    side = _number(value[key], key)
    if side <= 0:
        raise ValueError(f"points: {key} must be above 0; got {side:g}.")
    return side


def _active_person(value: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The person the points are of, and how an error names it."""
    people = _list(value, "people", MAX_PEOPLE)
    if not people:
        return {}, "people"
    active = 0 if value.get("active") is None else value["active"]
    if not isinstance(active, int) or isinstance(active, bool) or not 0 <= active < len(people):
        raise ValueError(
            f"points: active must be a person's number, 0 to {len(people) - 1}; got {_type_of(active)}."
        )
    person = people[active]
    if not isinstance(person, dict):
        raise ValueError(f'points: people[{active}] must be {{"joints": {{name: {{"x", "y"}}}}}}.')
    return person, f"people[{active}]"


def _part(
    person: Mapping[str, Any], part: str, names: tuple[str, ...], where: str
) -> tuple[dict[str, JointPoint], tuple[str, ...]]:
    """The placed joints of a part of a person, and the names of those that were taken away."""
    joints = {} if person.get(part) is None else person[part]
    if not isinstance(joints, dict):
        raise ValueError(f'points: {where} must be {{"{part}": {{name: {{"x", "y"}}}}}}.')
    for name in joints:
        if name not in names:
            raise ValueError(
                f"points: there is no joint {_type_of(name)}; the joints are {', '.join(names)}."
            )
    prefix = "" if part == "joints" else f"{part}."
    placed = {name: _joint(prefix + name, point) for name, point in joints.items() if point is not None}
    return placed, tuple(name for name, point in joints.items() if point is None)


def _joint(name: str, point: Any) -> JointPoint:
    if not isinstance(point, dict) or "x" not in point or "y" not in point:
        raise ValueError(f'points: {name} must be {{"x": number, "y": number}}; got {_type_of(point)}.')
    state = DEFAULT_STATE if point.get("state") is None else point["state"]
    if state not in STATES:
        raise ValueError(
            f"points: the state of {name} must be one of {', '.join(STATES)}; got {_type_of(state)}."
        )
    return JointPoint(_number(point["x"], f"{name}.x"), _number(point["y"], f"{name}.y"), state)


def _box(value: Mapping[str, Any], key: str) -> Box | None:
    corners = value.get(key)
    if corners is None:
        return None
    if not isinstance(corners, list) or len(corners) != 4:
        raise ValueError(f"points: {key} must be [x0, y0, x1, y1] or null; got {_type_of(corners)}.")
    x0, y0, x1, y1 = (_number(corner, f"{key}[{index}]") for index, corner in enumerate(corners))
    box = Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    if box.is_empty:
        raise ValueError(
            f"points: {key} {list(corners)} has no area; its two corners must differ in x and y."
        )
    return box


def _points(value: Mapping[str, Any], key: str) -> tuple[tuple[float, float], ...]:
    read = []
    for index, point in enumerate(_list(value, key, MAX_POINTS)):
        point = [point["x"], point["y"]] if isinstance(point, dict) and {"x", "y"} <= point.keys() else point
        if not isinstance(point, list) or len(point) != 2:
            raise ValueError(f"points: {key}[{index}] must be [x, y]; got {_type_of(point)}.")
        read.append((_number(point[0], f"{key}[{index}][0]"), _number(point[1], f"{key}[{index}][1]")))
    return tuple(read)


def _list(value: Mapping[str, Any], key: str, limit: int) -> list[Any]:
    entries = value.get(key) or []
    if not isinstance(entries, list):
        raise ValueError(f"points: {key} must be a list; got {_type_of(entries)}.")
    if len(entries) > limit:
        raise ValueError(f"points: {key} holds {len(entries)} entries; at most {limit} are read.")
    return entries


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise ValueError(f"points: {name} must be a finite number of pixels; got {_type_of(value)}.")
    return float(value)


def _type_of(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        text = repr(value)
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"
    return text if len(text) <= 40 else f"{type(value).__name__} of {len(text)} characters"
