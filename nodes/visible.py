"""The visible mask: load a Segment Anything model, and prompt it with what can be seen of the person."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ..host import get_host
from ..models import store
from ..models.perception.sam import NEGATIVE, POSITIVE, attention_bytes, visible_mask
from ..models.perception.sam_networks import load_sam
from ..models.phac.plans import prompt_for
from ..people.boxes import Box
from ..people.keypoints import Pose, read_pose_keypoint
from ..people.naming import naming_picture, picture_of
from ..people.points_json import is_pose, loaded, read_points_text
from ..people.prompts import PointPrompt, parse_points
from .common import warn_of_other_shape
from .frames import frames_without_anybody
from .inputs import PERSON_IMAGE_INPUT
from .people import warn_of_shape
from .tensors import b1hw_to_mask, broadcast_batches, image_to_bchw, read_bounding_box

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

logger = logging.getLogger(__name__)

LARGEST_PARAMETERS = 640_000_000
"""Of sam_vit_h."""


class FiguraLoadSAM:
    """Loads a Segment Anything model."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names = store.find("sam", get_host().model_folders("sam"))
        tooltip = (
            "mini is the small model that comes with Figura. For finer masks put sam_vit_b, _l or _h, "
            "sam_hq_vit_b, _l or _h, or mobile_sam (.pt, .pth or .safetensors) into models/sams."
        )
        return {"required": {"sam_name": (names, {"default": store.MINI, "tooltip": tooltip})}}

    RETURN_TYPES = ("FIGURA_SAM",)
    RETURN_NAMES = ("sam",)
    OUTPUT_TOOLTIPS = ("The model, for Visible Mask.",)
    FUNCTION = "run"
    CATEGORY = "Figura/people"
    SEARCH_ALIASES = ["sam", "segment anything", "segmentation"]
    DESCRIPTION = "Loads a Segment Anything model, which cuts the visible part of a person out of a picture."

    def run(self, sam_name: str) -> tuple[Sam]:
        """The model on the CPU; the host moves it when it is used."""
        host = get_host()
        path = host.find_model("sam", sam_name)
        if sam_name == store.MINI:
            return (load_sam(store.mini_files("sam")[0]),)
        return (load_sam(path, host.dtype(LARGEST_PARAMETERS)),)


class FiguraVisibleMask:
    """M_v = SAM(I_ic), prompted with the visible joints."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "sam": ("FIGURA_SAM", {"tooltip": "A model of Load SAM."}),
                "image": PERSON_IMAGE_INPUT,
            },
            "optional": {
                "prompt": (
                    "FIGURA_PROMPT",
                    {
                        "tooltip": "Its detected joints and positive points lie on the visible person, its "
                        "negative points beside it. Joints placed for the hidden part are not used here."
                    },
                ),
                "pose_keypoint": (
                    "POSE_KEYPOINT",
                    {"tooltip": "Visible joints from any pose detector; used when no prompt is connected."},
                ),
                "bounding_box": (
                    "BOUNDING_BOX",
                    {"forceInput": True, "tooltip": "A box round what can be seen of the person."},
                ),
                "points": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "More points in pixels: [[x, y], ...] on the person, or JSON with lists "
                        "named positive and negative. May stay empty.",
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("MASK", "FLOAT")
    RETURN_NAMES = ("visible_mask", "score")
    OUTPUT_TOOLTIPS = (
        "1 where the person can be seen, 0 elsewhere, also on what hides the person.",
        "How good the model thinks the mask is, 0 to 1 (the lowest of a batch).",
    )
    FUNCTION = "run"
    CATEGORY = "Figura/people"
    SEARCH_ALIASES = [
        "sam", "segment anything", "segmentation", "mask person", "person mask", "matting", "cut out",
    ]  # fmt: skip
    DESCRIPTION = (
        "Finds the visible part of a person with Segment Anything, prompted by joints, points or a box. What "
        "hides the person stays outside the mask."
    )

    def run(
        self,
        sam: Sam,
        image: torch.Tensor,
        prompt: list[PointPrompt] | None = None,
        pose_keypoint: Any = None,
        bounding_box: Any = None,
        points: str = "",
        unique_id: str | None = None,
    ) -> tuple[torch.Tensor, float]:
        """Masks (B,H,W) and the lowest score."""
        images = image_to_bchw(image)
        size = images.shape[-2], images.shape[-1]
        poses = None if pose_keypoint is None else read_pose_keypoint(pose_keypoint, size)
        boxes = None if bounding_box is None else read_bounding_box(bounding_box)
        warn_of_shape("Visible Mask", points_object(points), size[1], size[0])
        warn_of_other_shape(prompt, size)
        images, prompts, poses, boxes = broadcast_batches(
            image=images, prompt=prompt or None, pose_keypoint=poses, bounding_box=boxes
        )
        given = [values if values is not None else [None] * len(images) for values in (prompts, poses, boxes)]
        told = []
        for index, said in enumerate(zip(*given, strict=True)):
            with naming_picture(index, len(images)):
                told.append(visible_points(size, points, *said))
        nobody = [each.names_nobody for each in told]
        without = frames_without_anybody("Visible Mask", "its mask is empty", nobody)
        host = get_host()
        masks, scores = torch.zeros(len(images), *size), []
        progress = host.progress(len(images), unique_id)
        with host.managed(sam, memory=attention_bytes(sam)) as model:
            for index, picture in enumerate(images):
                if index not in without:
                    with naming_picture(index, len(images)):
                        name = picture_of(index, len(images))
                        masks[index], score = _find(model, picture, told[index], name)
                    scores.append(score)
                progress.step(index + 1)
        return b1hw_to_mask(masks[:, None]), min(scores)


class VisiblePoints(NamedTuple):
    """What SAM is told: points (n,2) px, labels (n,) 1 on the visible person, 0 beside it; a box or None."""

    points_px: torch.Tensor
    labels: torch.Tensor
    box: Box | None

    @property
    def names_nobody(self) -> bool:
        """Whether nothing of it lies on a person in the picture, as when they have walked out of it."""
        return self.box is None and not bool((self.labels == POSITIVE).any())


def visible_points(
    size: tuple[int, int], text: str, prompt: PointPrompt | None, pose: Pose | None, box: Box | None
) -> VisiblePoints:
    """Everything that is known about the visible person in a picture.

    Args:
        size: (height, width) of the picture in pixels.
        text: points JSON, or a list [[x, y], ...] of points on the person, in pixels; may be empty.
        prompt: its detected joints and its points; it goes before a pose.
        pose: detected joints. Those outside the picture cannot be seen and are left out.
        box: round what can be seen, in pixels; an empty one says nothing. Without it and any point on the
            person, the prompt's box of the whole person is used.

    Raises:
        ValueError: for points that a user set outside the picture.
    """
    height, width = size
    box = None if box is None or box.is_empty else box
    prompts = [written_prompt(text, height, width, pose if prompt is None else None, box)]
    prompts += [] if prompt is None else [prompt_for(prompt, height, width)]
    joints = np.concatenate([each.visible_joints for each in prompts])
    joints = joints[((joints >= 0) & (joints < (width, height))).all(axis=1)]
    positive = np.concatenate([joints, *(_points(each.positive_px) for each in prompts)])
    negative = np.concatenate([_points(each.negative_px) for each in prompts])
    labels = torch.cat([torch.full((len(positive),), POSITIVE), torch.full((len(negative),), NEGATIVE)])
    if box is None and len(positive) == 0:
        box = next((each.full_box for each in prompts if each.full_box is not None), None)
    if box is not None and box.clip(height, width).is_empty:
        raise ValueError(
            f"bounding_box, or the prompt's full box, {tuple(box)} lies outside the picture of {width} x "
            f"{height} pixels: draw it on the person"
        )
    box = None if box is None else box.clip(height, width)
    return VisiblePoints(torch.from_numpy(np.concatenate([positive, negative])).float(), labels, box)


def written_prompt(text: str, height: int, width: int, pose: Pose | None, box: Box | None) -> PointPrompt:
    """The joints of a pose and a points text as a prompt; both may be empty.

    Args:
        text: points JSON, or a list [[x, y], ...] of points on the person, in pixels.
        height: of the picture in pixels.
        width: the same.
        pose: detected joints.
        box: round the person, in pixels.
    """
    text = points_object(text)
    seen = pose is not None and not pose.shows_nobody
    if seen or read_points_text(text).joints:
        return parse_points(text, width, height, "pose", pose, box)
    said = parse_points(text, width, height, "full_box", box=Box(0, 0, width, height))
    return said if read_points_text(text).full_box is not None else replace(said, full_box=None)


def points_object(text: str) -> str:
    """A points text; a bare list [[x, y], ...] or [{"x", "y"}, ...] becomes its positive points."""
    try:
        listed = loaded(text)
    except ValueError:
        return text  # the points text says what is wrong with it
    if not isinstance(listed, list) or is_pose(listed):
        return text
    return json.dumps({"positive": listed}, default=repr, skipkeys=True)


def _points(points_px: np.ndarray | None) -> np.ndarray:
    return (
        np.zeros((0, 2), np.float32)
        if points_px is None
        else np.asarray(points_px, np.float32).reshape(-1, 2)
    )


def _find(model: Sam, picture: torch.Tensor, said: VisiblePoints, name: str) -> tuple[torch.Tensor, float]:
    """Mask (H,W) on the CPU and score. name: what the log calls the picture."""
    mask, score = visible_mask(model, picture, *said)
    if not mask.any():
        logger.warning("Segment Anything found nothing at the points of %s: the mask is empty", name)
    return mask.cpu(), score


NODE_CLASS_MAPPINGS = {"FiguraLoadSAM": FiguraLoadSAM, "FiguraVisibleMask": FiguraVisibleMask}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraLoadSAM": "Load SAM (Figura)",
    "FiguraVisibleMask": "Visible Mask (Figura)",
}
