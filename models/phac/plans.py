"""What a prompt says to a model, and where in a picture each stage works: crops of the model's size.

Pictures (B,3,H,W), masks (B,1,H,W), boxes and prompts in pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...people.boxes import EMPTY, Box
from ...people.crops import CropPlan, box_to_crop, plan_crop
from ...people.naming import naming_picture
from ...people.prompt_kinds import FULL_BOX, POSE
from ...people.prompts import PointPrompt
from ..pix2gestalt.networks import Pix2Gestalt
from .networks import PHACModel

CoarseModel = PHACModel | Pix2Gestalt
CLOSE_MARGIN = 0.1
"""Free space round the box of a whole person that sets the crop; the mini family was trained with as much."""
REGION_MARGIN = 0.25
"""Room round the part to be refined, on every side, as a share of its longer side."""
LARGEST_ZOOM = 3


def prompt_for(prompt: PointPrompt, height: int, width: int) -> PointPrompt:
    """The prompt in the pixels of a picture of that size."""
    if (prompt.height, prompt.width) == (height, width):
        return prompt
    whole = Box(0, 0, prompt.width, prompt.height)
    return prompt.cropped(CropPlan(prompt.width, prompt.height, whole, width, height))


def plan_person(
    size: tuple[int, int], model_size: int, masks: Sequence[Tensor], extent: Box | None = None
) -> CropPlan:
    """The square crop of one picture that holds a prompt's extent and all masks.

    Args:
        size: (height, width) of the picture in pixels.
        model_size: side of the crop at the model.
        masks: (1,H,W) each.
        extent: of the prompt, in pixels; None is nothing.
    """
    box = EMPTY if extent is None else extent.with_area()
    for mask in masks:
        box = box.union(Box.around_mask(mask[0]))
    return plan_crop(box, size, (model_size, model_size))


def plan_region(size: tuple[int, int], model_size: int, invisible_mask: Tensor) -> CropPlan:
    """The square crop of one picture round the mask (1,H,W) of what is to change, with room on every side as
    far as the picture is that large. A small picture is enlarged at most LARGEST_ZOOM times by it.
    """
    box = Box.around_mask(invisible_mask[0])
    if box.is_empty:
        return plan_person(size, model_size, [])
    longest = max(box.width, box.height)
    roomy = min((1 + 2 * REGION_MARGIN) * longest, max(longest, *size))
    side = max(roomy, model_size / LARGEST_ZOOM)
    (x, y), half = box.centre, side / 2
    close = Box(x - half, y - half, x + half, y + half)
    return plan_crop(close, size, (model_size, model_size), margin=0.0, whole_at_model_size=False)


@dataclass(frozen=True)
class ReadPrompt:
    """A prompt as a model reads it: what its ControlNet sees, and the box that the hidden part has to lie in.

    region: in the prompt's pixels; None where the ControlNet reads the box itself. close: the box of the
    whole person, to which the crop is set; None leaves room for more.
    """

    prompt: PointPrompt
    region: Box | None = None
    close: Box | None = None

    def cropped(self, plan: CropPlan) -> ReadPrompt:
        """In the pixels of the planned crop."""
        region, close = (None if box is None else box_to_crop(box, plan) for box in (self.region, self.close))
        return ReadPrompt(self.prompt.cropped(plan), region, close)


def read_by(model: CoarseModel, prompt: PointPrompt) -> ReadPrompt:
    """The prompt as it is when the model has a ControlNet of its kind, else a box kind `as_geometry`, with or
    without its box, as in a frame without anybody; for pix2gestalt any kind is geometry.
    """
    if isinstance(model, Pix2Gestalt):
        return as_geometry(prompt)
    if prompt.kind in model.controlnets or prompt.kind == POSE or POSE not in model.controlnets:
        model.controlnet(prompt.kind)
        return ReadPrompt(prompt)
    return as_geometry(prompt)


def as_geometry(prompt: PointPrompt) -> ReadPrompt:
    """A prompt with a box for a model without a ControlNet for it: the pose ControlNet sees the joints, if it
    is a kind with joints, and the hidden part has to lie in the box. The box of the whole person also sets
    the crop.
    """
    joints = prompt.joints if prompt.has_joints else np.zeros_like(prompt.joints)
    given = prompt.given & (joints[:, 2] > 0)
    close = prompt.shown_boxes.get(FULL_BOX)
    return ReadPrompt(replace(prompt, kind=POSE, joints=joints, given=given), prompt.box, close)


def region_masks(model: CoarseModel, prompts: Sequence[PointPrompt], size: tuple[int, int]) -> Tensor:
    """(B,1,H,W) float 0 or 1 of pictures of that size: the boxes of those prompts that the model takes as
    geometry, everywhere for the others.
    """
    read = [read_by(model, prompt_for(prompt, *size)) for prompt in prompts]
    return torch.cat([box_mask(each.region, *size) for each in read])


def plan_prompt(
    read: ReadPrompt, size: tuple[int, int], model_size: int, masks: Sequence[Tensor]
) -> CropPlan:
    """The square crop of one picture that holds all that the prompt says and all masks; it is set to the box
    of the whole person where there is one to be kept to.

    Args:
        read: the prompt, in pixels of the picture.
        size: (height, width) of the picture in pixels.
        model_size: side of the crop at the model.
        masks: (1,H,W) each, of the visible part first.
    """
    if read.close is None:
        return plan_person(size, model_size, masks, read.prompt.extent)
    box = read.close
    for mask in masks:
        box = box.union(Box.around_mask(mask[0]))
    return plan_crop(box, size, (model_size, model_size), CLOSE_MARGIN, whole_at_model_size=False)


def plan_prompts(
    read: Sequence[ReadPrompt], size: tuple[int, int], model_size: int, *masks: Tensor
) -> list[CropPlan]:
    """`plan_prompt` for every picture of a batch; errors name the picture.

    Args:
        read: a prompt for each.
        size: (height, width) of the pictures in pixels.
        model_size: side of the crops at the model.
        masks: (B,1,H,W) each, of the visible parts first.
    """
    plans = []
    for index, (each, *own) in enumerate(zip(read, *masks, strict=True)):
        with naming_picture(index, len(read)):
            plans.append(plan_prompt(each, size, model_size, own))
    return plans


def box_mask(box: Box | None, height: int, width: int) -> Tensor:
    """(1,1,height,width): 1 on every pixel that the box touches; everywhere without a box."""
    if box is None:
        return torch.ones(1, 1, height, width)
    mask = torch.zeros(1, 1, height, width)
    x0, y0, x1, y1 = (int(side) for side in box.outward().clip(height, width))
    mask[..., y0:y1, x0:x1] = 1.0
    return mask
