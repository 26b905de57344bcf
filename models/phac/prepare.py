"""PHAC's stages A and C up to the sampling, for anybody's model: crops, masks, prompt pictures, I_base.

Pictures (B,3,H,W) float 0..1, masks (B,1,H,W), all of one size and one batch length; crops are S x S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ...people.crops import CropPlan, crop_all, stitch_all
from ...people.naming import in_picture
from ...people.prompts import PointPrompt, draw_prompt, draw_public_prompt
from ..diffusion.compose import composite, cover, said_of_empty
from .base_picture import compose_base
from .ground import split_ground
from .pipeline import put_back, shown_part, wholly_seen, with_somebody
from .plans import ReadPrompt, as_geometry, box_mask, plan_prompts, plan_region, prompt_for
from .sampling import Refined

WHITE, GREY, PICTURE = GROUNDS = ("white", "grey", "picture")
"""What is put where the person is not seen: a plain ground, or the picture itself."""
BOX_LIMITS, BOX_DRAWN = BOX_USES = ("limits", "drawn")
"""A prompt's box says where may be drawn, or is drawn into the prompt picture."""
LEVELS = {WHITE: 1.0, GREY: 0.5}
CELL = 8
"""Pixels of a latent cell, on either side."""


@dataclass(frozen=True)
class CoarseStart:
    """Stage A before sampling.

    canvas: (B,3,S,S), the visible person on the ground. noise_mask: (B,1,S,S) float 0 or 1 in whole latent
    cells, all that `mask` touches. mask: (B,1,S,S) float 0 or 1, what is to be drawn. prompt_image: I_p,
    (B,3,S,S). plans: where the crops come from.
    """

    canvas: Tensor
    noise_mask: Tensor
    mask: Tensor
    prompt_image: Tensor
    plans: list[CropPlan]


def prepare_coarse(
    images: Tensor,
    visible_masks: Tensor,
    prompts: Sequence[PointPrompt],
    size: int,
    *,
    ground: str = WHITE,
    box: str = BOX_LIMITS,
    draw_masks: Tensor | None = None,
    bold: bool = False,
) -> CoarseStart:
    """Crops round person and prompt, what to draw in them, and the prompt pictures.

    Args:
        images: (B,3,H,W) in 0..1.
        visible_masks: M_v, (B,1,H,W).
        prompts: one for each picture.
        size: S, a multiple of 8.
        ground: one of GROUNDS.
        box: one of BOX_USES.
        draw_masks: (B,1,H,W), what is to be drawn; None: all that is not the visible person, inside the
            prompt's box where that limits.
        bold: joints are drawn as SDXL's pose ControlNet knows them, where the box limits.

    Returns:
        The start of stage A. Where nobody is visible in a picture of a batch nothing is drawn.

    Raises:
        ValueError: when nobody is visible at all, nothing is left to be drawn, or the size is no multiple of
            8.
    """
    _check_size(size)
    somebody = torch.zeros(len(images), 1, 1, 1)
    somebody[with_somebody(visible_masks)] = 1.0
    frame = (images.shape[-2], images.shape[-1])
    fitted = [prompt_for(prompt, *frame) for prompt in prompts]
    read = [as_geometry(prompt) if box == BOX_LIMITS else ReadPrompt(prompt) for prompt in fitted]
    held = [visible_masks] if draw_masks is None else [visible_masks, draw_masks]
    plans = plan_prompts(read, frame, size, *held)
    cropped = [each.cropped(plan) for each, plan in zip(read, plans, strict=True)]
    person = (crop_all(visible_masks, plans) > 0.5).float()
    mask = torch.cat([box_mask(each.region, size, size) for each in cropped]) * (1.0 - person)
    mask = mask if draw_masks is None else (crop_all(draw_masks, plans) > 0.5).float()
    of_whom = "visible_mask" if draw_masks is None else "draw_mask"
    _check_something(torch.maximum(mask, 1.0 - somebody), of_whom, draw_masks)
    mask = mask * somebody
    crops = crop_all(images, plans)
    canvas = crops if ground == PICTURE else composite(torch.full_like(crops, LEVELS[ground]), crops, person)
    shown = [each.prompt for each in cropped]
    if box == BOX_LIMITS:
        prompt_image = draw_public_prompt(shown, size, size, bold)
    else:
        prompt_image = draw_prompt(shown, size, size)
    return CoarseStart(canvas, in_cells(mask), mask, prompt_image, plans)


def in_frame(coarse: Tensor, plans: Sequence[CropPlan], size: tuple[int, int]) -> Tensor:
    """Coarse pictures of crops in the places those came from, on white: (B,4,H,W), the person as alpha.

    Args:
        coarse: (B,3,h,w) or (B,4,h,w) with alpha, of the crops' shape.
        plans: of the crops.
        size: (height, width) of the pictures.
    """
    drawn = split_ground(coarse)
    patches = torch.cat([drawn.image, drawn.person], dim=1)
    ground = torch.ones(len(coarse), 4, *size)
    ground[:, 3] = 0.0
    height, width = patches.shape[-2:]
    own = [replace(plan, model_width=width, model_height=height) for plan in plans]
    placed = stitch_all(ground, patches, torch.ones_like(patches[:, :1]), own)[0]
    return torch.cat([placed[:, :3], (placed[:, 3:] > 0.5).float()], dim=1)


@dataclass(frozen=True)
class RefineStart:
    """Stage C before sampling.

    base: I_base, (B,3,S,S). noise_mask: (B,1,S,S) float 0 or 1 in whole latent cells. alpha: (B,1,S,S) float
    0..1, how far the result counts. plans: where the crops come from. composite: I_base at the pictures'
    size. amodal_mask: the whole person, (B,1,H,W) float 0 or 1.
    """

    base: Tensor
    noise_mask: Tensor
    alpha: Tensor
    plans: list[CropPlan]
    composite: Tensor
    amodal_mask: Tensor


def prepare_refinement(
    images: Tensor,
    coarse: Tensor,
    visible_masks: Tensor,
    invisible_masks: Tensor,
    size: int,
    *,
    exact_masks: Tensor | None = None,
    feather_px: float | None = None,
) -> RefineStart:
    """I_base and what is to be drawn of it again, as `refine_images` makes them at that size.

    Args:
        images: (B,3,H,W) in 0..1.
        coarse: of any generator, (B,3,H,W) in 0..1, or (B,4,H,W) with alpha.
        visible_masks: M_v, (B,1,H,W).
        invisible_masks: the dilated M_iv, (B,1,H,W).
        size: S, a multiple of 8.
        exact_masks: M_iv before dilation; None: all of the dilated one that shows the person.
        feather_px: width of the soft inner edge in pixels of the crop; None is half the usual dilation.

    Raises:
        ValueError: when the visible person covers all that may change in every picture, or the size is no
            multiple of 8.
    """
    _check_size(size)
    _check_apart(visible_masks, invisible_masks)
    frame = (images.shape[-2], images.shape[-1])
    coarse, exact = shown_part(coarse, visible_masks, invisible_masks, exact_masks)
    plans = [plan_region(frame, size, mask) for mask in invisible_masks]
    occluded, drawn = crop_all(images, plans), crop_all(coarse, plans)
    masks = (visible_masks, invisible_masks, exact)
    seen, changed, hidden = ((crop_all(each, plans) > 0.5).float() for each in masks)
    image, part, amodal, alpha = compose_base(occluded, drawn, seen, changed, hidden, feather_px)
    unrefined = Refined(image, image, changed, image, amodal, image, alpha, part)
    whole = Refined(*put_back(unrefined, images, coarse, visible_masks, invisible_masks, exact, plans))
    return RefineStart(image, in_cells(changed), alpha, plans, whole.composite, whole.amodal_mask)


def in_cells(mask: Tensor) -> Tensor:
    """All latent cells that a mask (B,1,S,S) touches, in pixels: what becomes latents from it is 0 or 1."""
    height, width = mask.shape[-2:]
    cells = cover(mask, (height // CELL, width // CELL))
    return F.interpolate(cells, (height, width), mode="nearest")


def _check_size(size: int) -> None:
    if size < CELL or size % CELL:
        raise ValueError(f"size is {size}; a multiple of {CELL} is needed (512, 768, 1024 ...)")


def _check_something(masks: Tensor, name: str, drawn: Tensor | None) -> None:
    empty = [index for index, mask in enumerate(masks) if not mask.any()]
    if empty:
        reason = "covers all that may be drawn" if drawn is None else "is empty"
        if drawn is not None and not bool((drawn[empty[0]] > 0.5).any()):
            reason = said_of_empty(drawn[empty[0]])
        raise ValueError(
            f"{in_picture(name, empty[0], len(masks))} {reason}: nothing is left to be drawn. Look at the "
            "mask, and at the box of the prompt"
        )


def _check_apart(visible_masks: Tensor, invisible_masks: Tensor) -> None:
    rows, some = wholly_seen(visible_masks, invisible_masks), (invisible_masks > 0.5).flatten(1).any(1)
    if rows and len(rows) == int(some.sum()):
        which = in_picture("visible_mask", rows[0], len(visible_masks))
        raise ValueError(
            f"{which} covers all of invisible_mask: then nothing is hidden. Are both masks connected to "
            "their own inputs?"
        )
