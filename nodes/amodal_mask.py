"""The whole person's mask, from the visible part's and points alone: no picture, no diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..host import get_host
from ..models.phac.amodal_mask import AmodalMaskNet, complete_mask, load_amodal_mask
from ..models.phac.plans import box_mask, prompt_for
from ..models.store import MINI
from ..people.boxes import Box
from ..people.keypoints import Person, Pose, read_pose_keypoint
from ..people.naming import naming_picture
from ..people.prompt_kinds import FULL_BOX, ROI_BOX
from ..people.prompts import PointPrompt
from .common import warn_of_weak
from .frames import frames_without_anybody, is_nobody
from .inputs import count_input, seed_input, variety_input
from .tensors import b1hw_to_mask, broadcast_batches, mask_to_b1hw, read_bounding_box

WEIGHTS_FILE = "amodal_mask.safetensors"
NOBODY = np.zeros((18, 3), np.float32)


class FiguraAmodalMask:
    """The part that is hidden, guessed from silhouettes."""

    DESCRIPTION = (
        "The whole person's mask from the mask of what is seen, and whatever is known of the rest: joints "
        "(detected, proposed or set by hand), a prompt, a box. It looks at no picture, so it does for "
        "photographs what it does for drawings, in a moment. Use it as the mask of any inpainting model."
    )
    CATEGORY = "Figura/people"
    SEARCH_ALIASES = [
        "amodal", "amodal mask", "amodal completion", "occluded", "hidden part", "invisible mask",
        "deocclusion", "whole person mask",
    ]  # fmt: skip
    FUNCTION = "run"
    RETURN_TYPES = ("MASK", "MASK")
    RETURN_NAMES = ("amodal_mask", "invisible_mask")
    OUTPUT_TOOLTIPS = (
        "1 on the whole person, what hides them or not; what was seen is in it.",
        "1 on the hidden part alone: the mask to be painted.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "visible_mask": ("MASK", {"tooltip": "1 on the visible part of the person (Visible Mask)."}),
                "seed": seed_input("Which plausible mask. Number i of the output is made with seed + i."),
                "count": count_input("Masks per picture."),
                "variety": variety_input(
                    "How far masks may differ. 0 always gives the one in the middle, which is "
                    "the safest; 1 gives every plausible one its chance."
                ),
            },
            "optional": {
                "pose_keypoint": (
                    "POSE_KEYPOINT",
                    {
                        "tooltip": "Joints, hidden ones too: of Complete Pose, or of Point Prompt. Of "
                        "several people it is the one whose joints lie on the visible mask."
                    },
                ),
                "prompt": (
                    "FIGURA_PROMPT",
                    {
                        "tooltip": "Points and boxes of Point Prompt; counts before pose_keypoint. Its "
                        "region box limits the hidden part, its box of the whole person tells where they end."
                    },
                ),
                "bounding_box": (
                    "BOUNDING_BOX",
                    {"forceInput": True, "tooltip": "The box of the whole person, hidden part too."},
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }  # fmt: skip

    def run(
        self,
        visible_mask: torch.Tensor,
        seed: int,
        count: int,
        variety: float,
        pose_keypoint: Any = None,
        prompt: list[PointPrompt] | None = None,
        bounding_box: Any = None,
        unique_id: str | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks (B,H,W), those of all pictures once and then again.

        Args:
            visible_mask: (B,H,W) in 0..1.
            seed: of the first mask.
            count: masks of each picture.
            variety: 0 is the middle of the plausible ones, 1 all of their width.
            pose_keypoint: a pose for each picture.
            prompt: a prompt for each picture.
            bounding_box: of the whole person, for each picture.
            unique_id: of the node, for its bar.
        """
        masks = mask_to_b1hw(visible_mask, "visible_mask")
        warn_of_weak(visible_mask=torch.where(masks == 0.5, 1.0, masks))  # here 0.5 is seen, too
        size = (masks.shape[-2], masks.shape[-1])
        masks, poses, prompts, boxes = broadcast_batches(
            visible_mask=masks,
            pose_keypoint=None if pose_keypoint is None else read_pose_keypoint(pose_keypoint, size),
            prompt=prompt or None,
            bounding_box=None if bounding_box is None else read_bounding_box(bounding_box),
        )
        rows = [row for _ in range(count) for row in range(len(masks))]
        given = [[None] * len(masks) if each is None else list(each) for each in (poses, prompts, boxes)]
        said = list(zip(*given, strict=True))
        nobody = [
            not bool((mask >= 0.5).any()) and is_nobody(spoken, pose, box)
            for mask, (pose, spoken, box) in zip(masks, said, strict=True)
        ]
        without = frames_without_anybody("Amodal Mask", "its masks are empty", nobody)
        host = get_host()
        progress = host.progress(len(rows), unique_id)
        path = Path(host.find_model("amodal_mask", MINI)) / WEIGHTS_FILE
        with host.managed(load_amodal_mask(path, host.operations())) as net:
            whole = []
            for number, row in enumerate(rows):
                pose, spoken, box = said[row]
                with naming_picture(row, len(masks)):
                    whole.append(
                        torch.zeros_like(masks[row])
                        if row in without
                        else complete_one(net, masks[row, 0], pose, spoken, box, seed + number, variety)
                    )
                progress.step(number + 1)
        amodal = torch.stack(whole)
        visible = (masks[rows] >= 0.5).float()
        return b1hw_to_mask(amodal), b1hw_to_mask(amodal * (1 - visible))


def complete_one(
    net: AmodalMaskNet,
    visible_mask: torch.Tensor,
    pose: Pose | None,
    prompt: PointPrompt | None,
    box: Box | None,
    seed: int,
    variety: float,
) -> torch.Tensor:
    """The amodal mask (1,H,W) of one picture.

    Args:
        net: the network.
        visible_mask: (H,W) in 0..1.
        pose: whose joints count when there is no prompt with joints.
        prompt: joints and boxes, in pixels of a picture of any size.
        box: of the whole person, in pixels of the mask; counts before the prompt's. An empty one is none.
        seed: of the latent numbers.
        variety: how far they may lie from the middle.
    """
    height, width = visible_mask.shape
    joints, region = NOBODY, None
    box = None if box is None or box.is_empty else box
    if pose is not None:
        joints = owner_of(pose.resized(height, width).people, visible_mask)
    if prompt is not None:
        prompt = prompt_for(prompt, height, width)
        joints = prompt.joints if prompt.present.any() else joints
        box = box or prompt.shown_boxes.get(FULL_BOX)
        region = prompt.shown_boxes.get(ROI_BOX)
    known = torch.from_numpy(np.ascontiguousarray(joints, dtype=np.float32))
    mask = complete_mask(net, visible_mask, known, box, [seed], variety)[0]
    if region is not None:
        mask = torch.maximum(mask * box_mask(region, height, width)[0], (visible_mask >= 0.5).float()[None])
    return mask


def owner_of(people: Sequence[Person], visible_mask: torch.Tensor) -> np.ndarray:
    """Joints (18,3) of the person of whom most joints lie on the mask (H,W); of nobody when there is none."""
    if not people:
        return NOBODY
    return max((person.body for person in people), key=lambda body: _on_mask(body, visible_mask))


def _on_mask(body: np.ndarray, visible_mask: torch.Tensor) -> int:
    height, width = visible_mask.shape
    xy = body[body[:, 2] > 0, :2].astype(int)
    xy = xy[(xy >= 0).all(1) & (xy < [width, height]).all(1)]
    return int((visible_mask[xy[:, 1], xy[:, 0]] >= 0.5).sum())


NODE_CLASS_MAPPINGS = {"FiguraAmodalMask": FiguraAmodalMask}
NODE_DISPLAY_NAME_MAPPINGS = {"FiguraAmodalMask": "Amodal Mask (Figura)"}
