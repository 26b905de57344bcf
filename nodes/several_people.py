"""Several people in one picture: one after another through any graph, and back into one picture."""

from __future__ import annotations

from typing import Any

import torch

from ..people.keypoints import Pose, read_pose_keypoint, write_pose_keypoint
from ..people.layering import LOWEST_FIRST, ORDERS, front_to_back, lay_over
from .common import warn_of_weak
from .tensors import (
    alpha_of,
    b1hw_to_mask,
    bchw_to_image,
    broadcast_batches,
    check_same_size,
    image_to_bchw,
    mask_to_b1hw,
    repeat_batch,
    with_alpha,
)

CATEGORY = "Figura/people"


class FiguraSplitPeople:
    """A picture of several people as a batch: the picture once for each of them."""

    DESCRIPTION = (
        "Makes a batch of the people in one picture: the picture once for each person, and a pose with that "
        "person alone, the one in front first. Everything behind it works on all of them at once; Stitch "
        "People puts them back into one picture."
    )
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["several people", "loop over people", "for each person", "multi person", "batch people"]
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "POSE_KEYPOINT", "INT")
    RETURN_NAMES = ("image", "pose_keypoint", "count")
    OUTPUT_TOOLTIPS = (
        "The picture, once for each person.",
        "The pose of one person for each, the one in front first; for Point Prompt.",
        "How many people there are.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "One picture of several people."}),
                "pose_keypoint": (
                    "POSE_KEYPOINT",
                    {
                        "tooltip": "Its people, from Detect Pose with vitpose, keypoint_rcnn, dwpose or "
                        "openpose."
                    },
                ),
                "order": (
                    list(ORDERS),
                    {
                        "default": LOWEST_FIRST,
                        "tooltip": "Who is in front. lowest first: whose feet are lower in the picture. "
                        "largest first: who is higher in pixels. as given: as the pose lists them.",
                    },
                ),
            }
        }

    def run(self, image: Any, pose_keypoint: Any, order: str) -> tuple[Any, ...]:
        """The picture (N,H,W,C), C of 4 if it has alpha, and N poses of one person."""
        pixels = image_to_bchw(image)
        poses = read_pose_keypoint(pose_keypoint, (int(pixels.shape[2]), int(pixels.shape[3])))
        if len(pixels) != 1 or len(poses) != 1:
            raise ValueError(
                f"image has {len(pixels)} pictures and pose_keypoint {len(poses)}: people are split one "
                "picture at a time. Choose one with Image From Batch"
            )
        (pose,) = poses
        numbers = front_to_back(pose.people, order)
        if not numbers:
            raise ValueError("pose_keypoint shows nobody: no person has a joint")
        split = [Pose((pose.people[number],), pose.width, pose.height) for number in numbers]
        picture = with_alpha(pixels, alpha_of(image)).expand(len(split), -1, -1, -1)
        return bchw_to_image(picture), write_pose_keypoint(split), len(split)


class FiguraStitchPeople:
    """The completed people of a batch in one picture, from the back to the front."""

    DESCRIPTION = (
        "Puts people who were completed one by one (Split People) back into one picture, from the back to "
        "the front: what could be seen of somebody in front stays in front. All other pixels stay exactly "
        "as they are."
    )
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["several people", "paste people", "composite", "front to back", "multi person"]
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("image", "changed_mask")
    OUTPUT_TOOLTIPS = (
        "The picture with everybody completed.",
        "What was changed: where it is 0 every pixel equals the input.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "The picture that was split."}),
                "completed": (
                    "IMAGE",
                    {"tooltip": "One picture for each person (Inpaint Refiner), the one in front first."},
                ),
                "changed_mask": ("MASK", {"tooltip": "What was changed in each (Inpaint Refiner)."}),
                "visible_mask": ("MASK", {"tooltip": "What could be seen of each person (Visible Mask)."}),
                "colour_match": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 1.0,
                        "step": 0.05,
                        "tooltip": "Moves the colours of each completed part towards those of its person on "
                        "the other side of the seam: 0 not at all, 1 until their means agree.",
                    },
                ),
            }
        }

    def run(
        self, image: Any, completed: Any, changed_mask: Any, visible_mask: Any, colour_match: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The picture (1,H,W,3), or (1,H,W,4) if it has alpha, and the mask (1,H,W)."""
        whole, pictures = image_to_bchw(image), image_to_bchw(completed, "completed")
        changed = mask_to_b1hw(changed_mask, "changed_mask")
        visible = mask_to_b1hw(visible_mask, "visible_mask")
        check_same_size(image=whole, completed=pictures, changed_mask=changed, visible_mask=visible)
        if len(whole) != 1:
            raise ValueError(
                f"image has {len(whole)} pictures; connect the one that went into Split People, not the "
                "batch that came out"
            )
        warn_of_weak(visible_mask=visible)
        pictures, changed, visible = broadcast_batches(
            completed=pictures, changed_mask=changed, visible_mask=visible
        )
        stitched, mask = lay_over(whole, pictures, changed, visible, colour_match)
        alpha, own = alpha_of(image), alpha_of(completed, "completed")
        if alpha is not None and own is not None:
            alpha, _ = lay_over(alpha, repeat_batch(own, len(pictures)), changed, visible)
        return bchw_to_image(with_alpha(stitched, alpha)), b1hw_to_mask(mask)


NODE_CLASS_MAPPINGS = {"FiguraSplitPeople": FiguraSplitPeople, "FiguraStitchPeople": FiguraStitchPeople}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraSplitPeople": "Split People (Figura)",
    "FiguraStitchPeople": "Stitch People (Figura)",
}
