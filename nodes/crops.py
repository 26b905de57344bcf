"""Crop round a person, stitch back exactly, and measure what changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from ..models.compare import Comparison, compare_parts
from ..models.phac.plans import CoarseModel, prompt_for
from ..people.boxes import EMPTY, Box
from ..people.crops import CropPlan, crop_all, plan_crop, same_shape, stitch_all
from ..people.keypoints import Pose, read_pose_keypoint
from ..people.naming import in_picture, naming_picture, picture_of
from ..people.prompts import PointPrompt
from .common import warn_of_weak
from .frames import frames_without_anybody
from .tensors import (
    alpha_of,
    b1hw_to_mask,
    bchw_to_image,
    broadcast_batches,
    check_same_size,
    image_to_bchw,
    mask_to_b1hw,
    read_bounding_box,
    with_alpha,
    write_bounding_box,
)

log = logging.getLogger(__name__)

COLOURS = 3
"""Channels before alpha."""


class FiguraCropPerson:
    """The part of a picture round a person, at a model's size."""

    DESCRIPTION = (
        "Cuts out the part round a person, at the size a model wants. The region holds everything that "
        "is connected: "
        "prompt, pose, box and mask; without any it is the whole picture. Stitch the result back with Stitch."
    )
    CATEGORY = "Figura/crop"
    SEARCH_ALIASES = ["crop person", "crop and stitch", "inpaint crop", "bounding box", "detailer"]
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "MASK", "FIGURA_CROP", "FIGURA_PROMPT", "BOUNDING_BOX")
    RETURN_NAMES = ("image", "mask", "crop", "prompt", "bounding_box")
    OUTPUT_TOOLTIPS = (
        "The crop, width x height pixels.",
        "The same part of the mask; all 1 when no mask is connected.",
        "Where the crop came from; connect it to Stitch.",
        "The prompt in the crop's pixels; empty when no prompt is connected.",
        "The part that was cut out, in the picture's pixels; it may reach outside.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        side = {"default": 512, "min": 0, "max": 4096, "step": 8}
        own = "0: that of the model connected to phac."
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "Pictures of any size."}),
                "width": ("INT", {**side, "tooltip": f"Width of the crop in pixels. {own}"}),
                "height": ("INT", {**side, "tooltip": f"Height of the crop in pixels. {own}"}),
                "margin": (
                    "FLOAT",
                    {
                        "default": 0.15,
                        "min": 0.0,
                        "max": 2.0,
                        "step": 0.05,
                        "tooltip": "Free space on every side, as a share of the region's longer side.",
                    },
                ),
            },
            "optional": {
                "prompt": ("FIGURA_PROMPT", {"tooltip": "The crop holds all its joints and boxes."}),
                "pose_keypoint": ("POSE_KEYPOINT", {"tooltip": "The crop holds all its people."}),
                "bounding_box": ("BOUNDING_BOX", {"forceInput": True, "tooltip": "The crop holds this box."}),
                "mask": ("MASK", {"tooltip": "The crop holds this mask; of the picture's size."}),
                "phac": (
                    "FIGURA_PHAC",
                    {
                        "tooltip": "The model that the crop is for: its size is taken where width or height "
                        "is 0."
                    },
                ),
            },
        }

    def run(
        self,
        image: Any,
        width: int,
        height: int,
        margin: float,
        prompt: list[PointPrompt] | None = None,
        pose_keypoint: Any = None,
        bounding_box: Any = None,
        mask: Any = None,
        phac: CoarseModel | None = None,
    ) -> tuple[Any, ...]:
        width, height = _side("width", width, phac), _side("height", height, phac)
        pixels = image_to_bchw(image)
        masks = None if mask is None else mask_to_b1hw(mask)
        if masks is not None:
            check_same_size(image=pixels, mask=masks)
        size = int(pixels.shape[2]), int(pixels.shape[3])
        poses = None if pose_keypoint is None else read_pose_keypoint(pose_keypoint, size)
        boxes = None if bounding_box is None else read_bounding_box(bounding_box)
        pixels, prompts, poses, boxes, masks = broadcast_batches(
            image=pixels, prompt=prompt or None, pose_keypoint=poses, bounding_box=boxes, mask=masks
        )
        if masks is not None:
            warn_of_empty(masks)
        if prompts is not None:
            prompts = [prompt_for(each, *size) for each in prompts]
        regions = [_region(index, size, prompts, poses, boxes, masks) for index in range(len(pixels))]
        frames_without_anybody(
            "Crop Person", "its crop is the whole picture", [each.is_empty for each in regions]
        )
        plans: list[CropPlan] = []
        for index, region in enumerate(regions):
            with naming_picture(index, len(pixels)):
                plans.append(plan_crop(region, size, (height, width), margin, False))
        masks = torch.ones_like(pixels[:, :1]) if masks is None else masks
        return (
            bchw_to_image(crop_all(pixels, plans)),
            b1hw_to_mask(crop_all(masks, plans, fill=0.0)),
            plans,
            [each.cropped(plan) for each, plan in zip(prompts or [], plans)],
            write_bounding_box([plan.box for plan in plans]),
        )


def _side(name: str, length: int, phac: CoarseModel | None) -> int:
    """The length given in pixels; 0 is the model's. ValueError for 0 without a model."""
    if length:
        return length
    if phac is None:
        raise ValueError(
            f"{name} is 0, which is the size of the model, and none is connected: connect Load PHAC to "
            f"'phac', or set {name}"
        )
    return phac.size


def warn_of_empty(masks: torch.Tensor) -> None:
    """Log which pictures have a mask (B,1,H,W) that holds nothing."""
    for index, mask in enumerate(masks):
        if not bool(mask.any()):
            log.warning(
                "FiguraCropPerson: %s is empty: Stitch will change nothing there. Load Image gives such a "
                "mask for a picture whose alpha is opaque",
                in_picture("mask", index, len(masks)),
            )


def _region(
    index: int,
    size: tuple[int, int],
    prompts: list[PointPrompt] | None,
    poses: list[Pose] | None,
    boxes: list[Box] | None,
    masks: torch.Tensor | None,
) -> Box:
    """The box round everything that is known about picture `index` of that height and width; EMPTY when
    nothing is.
    """
    parts = [
        EMPTY if prompts is None else prompts[index].extent,
        EMPTY if poses is None else _extent(poses[index], *size),
        EMPTY if boxes is None else boxes[index],
        # Where a feathered mask has sunk to a half it still blends: all of it belongs into the crop.
        EMPTY if masks is None else Box.around_mask(masks[index, 0] > 0),
    ]
    region = EMPTY
    for part in parts:
        region = region.union(part)
    return region


def _extent(pose: Pose, height: int, width: int) -> Box:
    """The box round all bodies, in the pixels of a picture of that size; the pose may be of another."""
    extent = EMPTY
    for person in pose.resized(height, width).people:
        extent = extent.union(Box.around_points(person.body).with_area())
    return extent


class FiguraStitch:
    """A finished crop put back into its picture."""

    DESCRIPTION = (
        "Puts a finished crop back where Crop Person took it from. Outside the mask the picture comes back "
        "bit for bit. Alpha of the picture stays as it is; a patch with alpha of its own changes it, too."
    )
    CATEGORY = "Figura/crop"
    SEARCH_ALIASES = ["inpaint stitch", "paste", "uncrop", "crop and stitch", "composite", "blend back"]
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("image", "changed_mask")
    OUTPUT_TOOLTIPS = (
        "The picture with the crop in it.",
        "What was changed, at the picture's size: where it is 0 every pixel equals the input.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "The picture that was cropped."}),
                "patch": (
                    "IMAGE",
                    {"tooltip": "The finished crop; it may have another size than the crop had."},
                ),
                "crop": (
                    "FIGURA_CROP",
                    {"tooltip": "Where the crop came from (Crop Person, Coarse Prepare, Refine Prepare)."},
                ),
            },
            "optional": {
                "mask": (
                    "MASK",
                    {
                        "tooltip": "What to change, of the patch's size; without it the whole patch. "
                        "Grey blends."
                    },
                ),
                "within": (
                    "MASK",
                    {
                        "tooltip": "Of the picture's size: outside of it nothing changes, whatever the mask "
                        "of the patch says, such as the invisible_mask of Invisible Mask."
                    },
                ),
            },
        }

    def run(
        self, image: Any, patch: Any, crop: list[CropPlan], mask: Any = None, within: Any = None
    ) -> tuple[Any, ...]:
        pixels, patches = _whole(image, "image"), _whole(patch, "patch")
        masks = torch.ones_like(patches[:, :1]) if mask is None else mask_to_b1hw(mask)
        limits = None if within is None else mask_to_b1hw(within, "within")
        check_same_size(patch=patches, mask=masks)
        check_same_size(image=pixels, **({} if limits is None else {"within": limits}))
        warn_of_weak(within=limits)
        pixels, patches, plans, masks, limits = broadcast_batches(
            image=pixels, patch=patches, crop=crop, mask=masks, within=limits
        )
        height, width = patches.shape[2:]
        warn_of_shape(plans, height, width)
        plans = [replace(plan, model_width=width, model_height=height) for plan in plans]
        shared = min(pixels.shape[1], patches.shape[1])
        stitched, changed = stitch_all(pixels[:, :shared], patches[:, :shared], masks, plans)
        stitched = with_alpha(stitched, pixels[:, shared:] if pixels.shape[1] > shared else None)
        if limits is not None:
            inside = limits > 0.5
            stitched, changed = torch.where(inside, stitched, pixels), torch.where(inside, changed, 0.0)
        return bchw_to_image(stitched), b1hw_to_mask(changed)


def warn_of_shape(plans: Sequence[CropPlan], height: int, width: int) -> None:
    """Say so where a patch of that size in pixels has another shape than its crop: it is squashed into it."""
    for index, plan in enumerate(plans):
        if not same_shape((height, width), (plan.model_height, plan.model_width)):
            log.warning(
                "FiguraStitch: the patch has %d x %d pixels and its crop %d x %d: it is squashed into %s. "
                "Is it the picture that was made from this crop?",
                width, height, plan.model_width, plan.model_height, picture_of(index, len(plans)),
            )  # fmt: skip


def _whole(image: Any, name: str) -> torch.Tensor:
    """An IMAGE as (B,3,H,W), or (B,4,H,W) with the alpha that it has, every bit as it came."""
    return with_alpha(image_to_bchw(image, name), alpha_of(image, name))


class FiguraCompare:
    """How two pictures differ, in figures and as a picture."""

    DESCRIPTION = (
        "Compares two pictures of one size: PSNR, SSIM, the largest difference and the number of changed "
        "pixels, "
        "inside and outside the mask. An edit that kept its promise has no changed pixels outside. Alpha "
        "counts as a channel where both pictures have it."
    )
    CATEGORY = "Figura/compare"
    SEARCH_ALIASES = ["psnr", "ssim", "difference", "diff", "metrics", "before after"]
    FUNCTION = "run"
    RETURN_TYPES = ("STRING", "IMAGE", "FLOAT", "FLOAT", "FLOAT", "FLOAT", "INT")
    RETURN_NAMES = (
        "figures", "difference", "psnr", "ssim", "max_abs_diff", "max_abs_diff_outside", "changed_outside",
    )  # fmt: skip
    OUTPUT_TOOLTIPS = (
        "All figures as text.",
        "The absolute difference times gain; a difference of alpha is grey.",
        "Peak signal-to-noise ratio in dB inside the mask (everywhere without one); infinite for equal "
        "pictures.",
        "Structural similarity inside the mask (everywhere without one); 1 for equal pictures.",
        "The largest difference of a channel inside the mask (everywhere without one), 0 to 1.",
        "The largest difference of a channel outside the mask, 0 to 1; 0 without a mask.",
        "How many pixels differ at all outside the mask; 0 without a mask.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image_a": ("IMAGE", {"tooltip": "One picture, for example the input of an edit."}),
                "image_b": ("IMAGE", {"tooltip": "The other, of the same size, for example its output."}),
                "gain": (
                    "FLOAT",
                    {
                        "default": 1.0,
                        "min": 0.1,
                        "max": 100.0,
                        "step": 0.1,
                        "tooltip": "Makes small differences visible in the difference picture.",
                    },
                ),
            },
            "optional": {
                "mask": ("MASK", {"tooltip": "What was to be changed; inside is where it is above 0."}),
            },
        }

    def run(self, image_a: Any, image_b: Any, gain: float = 1.0, mask: Any = None) -> tuple[Any, ...]:
        first, second = _whole(image_a, "image_a"), _whole(image_b, "image_b")
        masks = None if mask is None else mask_to_b1hw(mask)
        check_same_size(image_a=first, image_b=second, **({} if masks is None else {"mask": masks}))
        first, second, masks = broadcast_batches(image_a=first, image_b=second, mask=masks)
        lines = _one_sided_alpha(first, second)
        shared = min(first.shape[1], second.shape[1])
        first, second = first[:, :shared], second[:, :shared]
        chosen, rest = compare_parts(first, second, None if masks is None else masks > 0)
        parts = [("all", chosen)] if masks is None else [("inside", chosen), ("outside", rest)]
        figures = "\n".join([*(_line(*part) for part in parts), *lines])
        difference = (first - second).abs_().mul_(gain).clamp_(0, 1)
        if shared > COLOURS:
            difference = torch.maximum(difference[:, :COLOURS], difference[:, COLOURS:])
        numbers = (chosen.psnr, chosen.ssim, chosen.max_abs_diff, rest.max_abs_diff, rest.changed_pixels)
        return (figures, bchw_to_image(difference), *numbers)


def _one_sided_alpha(first: torch.Tensor, second: torch.Tensor) -> list[str]:
    """What is to be said where one of two pictures alone has alpha."""
    if first.shape[1] == second.shape[1]:
        return []
    there, lacking = ("image_a", "image_b") if first.shape[1] > second.shape[1] else ("image_b", "image_a")
    return [f"alpha: {there} has it and {lacking} does not; the colours alone were compared"]


def _line(where: str, figures: Comparison) -> str:
    if figures.pixels == 0:
        return f"{where}: no pixels"
    return (
        f"{where}: psnr {figures.psnr:.2f} dB, ssim {figures.ssim:.4f}, max abs diff "
        f"{figures.max_abs_diff:.6g}, "
        f"changed {figures.changed_pixels} of {figures.pixels} pixels"
    )


NODE_CLASS_MAPPINGS = {
    "FiguraCropPerson": FiguraCropPerson,
    "FiguraStitch": FiguraStitch,
    "FiguraCompare": FiguraCompare,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraCropPerson": "Crop Person (Figura)",
    "FiguraStitch": "Stitch (Figura)",
    "FiguraCompare": "Compare (Figura)",
}
