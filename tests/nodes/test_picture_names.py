"""Errors and logs about one picture of a batch: the last of three is picture 3 of 3, whatever the node."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from figura.nodes import NODE_CLASS_MAPPINGS
from figura.people.densepose import DensePose, paint_labels
from figura.tests.fuzz.good_calls import SIDE, good_call, hand_close_ups, pose
from figura.tests.models.pocold.tiny import body_labels

COUNT = 3
NOBODY = {"people": [], "canvas_width": SIDE, "canvas_height": SIDE}
BOX = {"x": 8, "y": 4, "width": 48, "height": 56}


def filled(name: str, value: float) -> Callable[[dict[str, Any]], None]:
    """Spoils the last picture or mask of an input: that value everywhere."""

    def spoil(given: dict[str, Any]) -> None:
        given[name][-1] = value

    return spoil


def put(name: str, last: Any) -> Callable[[dict[str, Any]], None]:
    """Spoils the last entry of a list."""

    def spoil(given: dict[str, Any]) -> None:
        given[name] = [*given[name][:-1], last]

    return spoil


def a_box_outside(given: dict[str, Any]) -> None:
    given |= {"bounding_box": [BOX, BOX, {**BOX, "x": 900}], "points": "", "prompt": None}


def a_box_far_away(given: dict[str, Any]) -> None:
    given["bounding_box"] = [BOX, BOX, {**BOX, "x": 10**8}]


def a_joint_far_away(given: dict[str, Any]) -> None:
    said = given["prompt"][-1]
    joints = said.joints.copy()
    joints[said.present.argmax(), 0] = 10**6
    given["prompt"] = [*given["prompt"][:-1], replace(said, joints=joints)]


def a_hand_of_two_joints(given: dict[str, Any]) -> None:
    given["pose_keypoint"][-1] = copy.deepcopy(given["pose_keypoint"][-1])
    for person in given["pose_keypoint"][-1]["people"]:
        for side in ("left", "right"):
            person[f"hand_{side}_keypoints_2d"][6:] = [0.0] * 57


def colour_maps(given: dict[str, Any]) -> None:
    colours = paint_labels(body_labels(2, SIDE, SIDE)).permute(0, 2, 3, 1)
    given |= {"source": "colour map", "image": torch.cat([colours, torch.rand(1, SIDE, SIDE, 3)])}


def labels(name: str) -> Callable[[dict[str, Any]], None]:
    def spoil(given: dict[str, Any]) -> None:
        made = body_labels(COUNT, SIDE, SIDE)
        made[-1] = 0
        given[name] = DensePose(made)

    return spoil


CASES = {
    "PHACSampler": ("FiguraPHACSampler", filled("visible_mask", 0)),
    "CoarsePrepare": ("FiguraCoarsePrepare", filled("visible_mask", 0)),
    "CoarsePrepare nothing to draw": ("FiguraCoarsePrepare", filled("draw_mask", 0)),
    "RefinePrepare": ("FiguraRefinePrepare", filled("visible_mask", 1)),
    "RefinePrepare nothing to change": ("FiguraRefinePrepare", filled("invisible_mask", 0)),
    "InpaintRefiner": ("FiguraInpaintRefiner", filled("invisible_mask", 0)),
    "PHACSampler far away": ("FiguraPHACSampler", a_joint_far_away),
    "InvisibleMask far away": ("FiguraInvisibleMask", a_joint_far_away),
    "CoarsePrepare far away": ("FiguraCoarsePrepare", a_joint_far_away),
    "CropPerson far away": ("FiguraCropPerson", a_box_far_away),
    "CropPerson": ("FiguraCropPerson", filled("mask", 0)),
    "VisibleMask": ("FiguraVisibleMask", a_box_outside),
    "AmodalMask": ("FiguraAmodalMask", a_box_far_away),
    "CFLDSampler": ("FiguraCFLDSampler", put("pose_keypoint", NOBODY)),
    "ApplyCFLD": ("FiguraApplyCFLD", put("pose_keypoint", NOBODY)),
    "PoCoLDSampler": ("FiguraPoCoLDSampler", labels("target_densepose")),
    "HumanSDSampler": ("FiguraHumanSDSampler", put("pose_keypoint", NOBODY)),
    "HumanSDPose": ("FiguraHumanSDPose", put("pose_keypoint", NOBODY)),
    "HandSampler": ("FiguraHandSampler", put("pose_keypoint", NOBODY)),
    "HandSampler few joints": ("FiguraHandSampler", a_hand_of_two_joints),
    "HandCanvas no hand": ("FiguraHandCanvas", put("pose_keypoint", NOBODY)),
    "BodyOutpaint": ("FiguraBodyOutpaint", put("pose_keypoint", NOBODY)),
    "BodyOutpaint no hand": ("FiguraBodyOutpaint", filled("known_mask", 0)),
    "BodyOutpaint nothing to paint": ("FiguraBodyOutpaint", filled("known_mask", 1)),
    "DetectPose": ("FiguraDetectPose", filled("image", 0.5)),
    "DensePose": ("FiguraDensePose", filled("image", 0.5)),
    "DensePose colours": ("FiguraDensePose", colour_maps),
    "JoinPoses": ("FiguraJoinPoses", put("pose_b", {"people": 3, "canvas_width": 9, "canvas_height": 9})),
}
SINGLE = {"FiguraRefinePrepare": ("crop",), "FiguraCFLDSampler": ("reference", "mask")}


def three_pictures(node_id: str) -> dict[str, Any]:
    """The inputs of a call that works, for three pictures."""
    given = {name: value for name, value in good_call(node_id).items() if name not in SINGLE.get(node_id, ())}
    for name, value in given.items():
        if name != "prompt" and isinstance(value, list) and name.startswith("pose"):
            given[name] = value * COUNT
        elif name == "prompt":
            given[name] = list(value) * COUNT
        elif isinstance(value, torch.Tensor):
            given[name] = value.repeat(COUNT, *[1] * (value.ndim - 1))
    if "hand_pose" in given:
        given["hand_pose"] = hand_close_ups() * COUNT
    return given


@pytest.mark.parametrize(("node_id", "spoil"), CASES.values(), ids=CASES)
def test_the_last_of_three_pictures_is_named_as_people_count(
    node_id: str, spoil: Callable[[dict[str, Any]], None], caplog: pytest.LogCaptureFixture
) -> None:
    given, node = three_pictures(node_id), NODE_CLASS_MAPPINGS[node_id]()
    spoil(given)
    said = ""
    with caplog.at_level(logging.WARNING):
        try:
            getattr(node, node.FUNCTION)(**{k: v for k, v in given.items() if v is not None})
        except ValueError as error:
            said = str(error)
    assert "picture 3 of 3" in said + caplog.text


def test_a_close_up_with_two_hands_is_named_as_people_count() -> None:
    given = three_pictures("FiguraHandCanvas")
    given["hand_pose"] = [*given["hand_pose"][:2], pose()[0]]
    with pytest.raises(ValueError, match=r"hand_pose \(picture 3 of 3\) has 2 hands"):
        NODE_CLASS_MAPPINGS["FiguraHandCanvas"]().run(**given)


def test_where_there_is_one_picture_none_is_counted() -> None:
    with pytest.raises(ValueError, match="^pose_keypoint has no person"):
        NODE_CLASS_MAPPINGS["FiguraHumanSDPose"]().run([NOBODY], 64, 64)
