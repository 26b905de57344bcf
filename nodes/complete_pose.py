"""The joints of a pose that cannot be seen, proposed: a start for the points of a prompt."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..host import get_host
from ..models.perception.pose_completion import PoseCompletion, complete_person, load_pose_completion
from ..models.store import MINI
from ..people.boxes import Box
from ..people.keypoints import Person, Pose, read_pose_keypoint, write_pose_keypoint
from ..people.skeleton import draw_poses
from .inputs import count_input, seed_input, variety_input
from .tensors import bchw_to_image, broadcast_batches, read_bounding_box

log = logging.getLogger(__name__)

WEIGHTS_FILE = "complete_pose.safetensors"


class FiguraCompletePose:
    """Missing joints proposed from those that are there, and from the person's box."""

    DESCRIPTION = (
        "Proposes the joints that a detector could not see, from those it saw and, if connected, the box of "
        "the whole person. Joints that are there stay exactly as they are. Other seeds give other proposals; "
        "correct them in Point Prompt."
    )
    CATEGORY = "Figura/people"
    SEARCH_ALIASES = [
        "keypoint", "keypoints", "skeleton", "missing joints", "occluded joints", "pose completion",
        "openpose",
    ]  # fmt: skip
    FUNCTION = "run"
    RETURN_TYPES = ("POSE_KEYPOINT", "IMAGE")
    RETURN_NAMES = ("pose_keypoint", "skeleton")
    OUTPUT_TOOLTIPS = (
        "The whole poses, in pixels. Each joint is marked as detected, given or proposed; Point Prompt takes "
        "proposed ones for the hidden part.",
        "The joints drawn on black, as the pose ControlNets expect them.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "pose_keypoint": (
                    "POSE_KEYPOINT",
                    {"tooltip": "What is known: the joints of Detect Pose or of any other pose detector."},
                ),
                "seed": seed_input("Which proposal. Pose number i of the output is made with seed + i."),
                "count": count_input("Proposals per picture."),
                "variety": variety_input(
                    "How far proposals may differ. 0 always gives the one in the middle, "
                    "which is the safest; 1 gives every plausible pose its chance."
                ),
            },
            "optional": {
                "bounding_box": (
                    "BOUNDING_BOX",
                    {
                        "forceInput": True,
                        "tooltip": "The box of the whole person, hidden part too. Of several people it is "
                        "the one whose joints are nearest to its middle.",
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }  # fmt: skip

    def run(
        self,
        pose_keypoint: Any,
        seed: int,
        count: int,
        variety: float,
        bounding_box: Any = None,
        unique_id: str | None = None,
    ) -> tuple[Any, ...]:
        poses = read_pose_keypoint(pose_keypoint)
        boxes = None if bounding_box is None else read_bounding_box(bounding_box)
        poses, boxes = broadcast_batches(pose_keypoint=poses, bounding_box=boxes)
        pairs = list(zip(poses, boxes or [None] * len(poses), strict=True)) * count
        host = get_host()
        net = load_pose_completion(Path(host.find_model("pose_completion", MINI)) / WEIGHTS_FILE)
        progress, done = host.progress(len(pairs), unique_id), []
        with host.managed(net) as loaded:
            for index, (pose, box) in enumerate(pairs):
                done.append(complete_pose(loaded, pose, box, seed + index, variety))
                progress.step(index + 1)
        return write_pose_keypoint(done), bchw_to_image(draw_poses(done))


def complete_pose(net: PoseCompletion, pose: Pose, box: Box | None, seed: int, variety: float) -> Pose:
    """Every person of one picture completed.

    Args:
        net: proposes joints.
        pose: the people, in pixels.
        box: of the whole person, in pixels; None, or an empty one, if it is not known.
        seed: of the proposals.
        variety: how far they may differ; 0 is the one in the middle.

    Returns:
        The pose; somebody of whom nothing is known stays as they are, and the log says so.
    """
    box = None if box is None or box.is_empty else box
    people = pose.people or ((Person(np.zeros((18, 3), np.float32)),) if box is not None else ())
    owner = None if box is None else _owner(people, box)
    done = []
    for number, person in enumerate(people):
        own = box if number == owner else None
        if own is None and not person.is_present:
            log.warning("FiguraCompletePose: a person without any joint or box cannot be completed")
            done.append(person)
            continue
        done.append(complete_person(net, person, (pose.height, pose.width), seed, variety, own))
    if not people:
        log.warning("FiguraCompletePose: nobody in this picture, and no box")
    return replace(pose, people=tuple(done))


def _owner(people: tuple[Person, ...], box: Box) -> int:
    """The person whose joints are nearest to the middle of the box; one without joints only if there is no
    other.
    """
    distances = [
        np.linalg.norm(person.body[person.body[:, 2] > 0, :2] - box.centre, axis=1).mean()
        if person.is_present
        else np.inf
        for person in people
    ]
    return int(np.argmin(distances))


NODE_CLASS_MAPPINGS = {"FiguraCompletePose": FiguraCompletePose}
NODE_DISPLAY_NAME_MAPPINGS = {"FiguraCompletePose": "Complete Pose (Figura)"}
