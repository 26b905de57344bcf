"""PHAC's stage B on pictures of any size: what of a person is hidden, found in the crop of stage A.

Pictures (B,3,H,W) float 0..1, masks (B,1,H,W) float 0..1, all of one size and one batch length; results
are on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...people.crops import CropPlan, crop_all, stitch_all
from ...people.prompts import PointPrompt, draw_prompt
from ..diffusion.batches import chunks
from . import sampling
from .amodal_mask import hidden_guess
from .ground import split_ground
from .plans import CoarseModel, plan_person, plan_prompts, prompt_for, read_by, region_masks


def invisible_images(
    model: CoarseModel,
    images: Tensor,
    coarse: Tensor,
    visible_masks: Tensor,
    *,
    threshold: float = 0.5,
    dilation_px: float | None = None,
    prompts: Sequence[PointPrompt] | None = None,
    plans: Sequence[CropPlan] | None = None,
    on_part: Callable[[int], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Stage B for pictures of any size.

    It looks at the crop that stage A was drawn in: round the visible part and all that the prompt says.
    Without a prompt it is round the visible part and the person of the coarse picture. A U_iv that sees
    prompts is shown it, whatever the coarse stage reads; one that sees what silhouettes say of it
    (`hidden_guess`) is shown that. Without a prompt the coarse picture alone says where the person goes on.

    Args:
        model: PHAC, or pix2gestalt with U_iv beside it.
        images: (B,3,H,W) in 0..1.
        coarse: of stage A or any generator, (B,3,H,W) in 0..1, or (B,4,H,W) with alpha.
        visible_masks: (B,1,H,W).
        threshold: 0..1; pixels more probable than this belong to the mask.
        dilation_px: in pixels of the pictures; None is 3 % of the crop's shorter side.
        prompts: those of stage A; where the model takes a box as geometry (`region_masks`), neither mask
            reaches outside it.
        plans: the crops that the coarse pictures were drawn in, where they are known.
        on_part: called after every part of the batch with the number of pictures that are done; may raise,
            which ends the work.

    Returns:
        The dilated M_iv and M_iv before dilation, both (B,1,H,W) float 0 or 1; empty for pictures of a batch
        that show nobody.
    """
    size = (images.shape[-2], images.shape[-1])
    drawn = split_ground(coarse)
    plans = plans or _plans_of_masks(model, visible_masks, drawn.area, prompts)
    model.use(model.mask_net, *([] if model.amodal_net is None else [model.amodal_net]))
    parts = []
    for rows in chunks(len(images)):
        pictures = [x[rows] for x in (images, drawn.image, visible_masks)]
        said = None if prompts is None else [prompt_for(prompt, *size) for prompt in prompts[rows]]
        parts.append(_invisible_part(model, pictures, plans[rows], said, threshold, dilation_px))
        if on_part is not None:
            on_part(rows.stop)
    exact, dilated = (torch.cat(column) for column in zip(*parts, strict=True))
    inside = torch.ones_like(exact) if prompts is None else region_masks(model, prompts, size)
    inside = inside * _somebody(visible_masks)
    exact = exact * (visible_masks <= 0.5) * inside
    if dilation_px == 0:
        return exact, exact
    return torch.maximum(dilated * inside, exact), exact


def _invisible_part(
    model: CoarseModel,
    pictures: Sequence[Tensor],
    plans: Sequence[CropPlan],
    prompts: Sequence[PointPrompt] | None,
    threshold: float,
    dilation_px: float | None,
) -> tuple[Tensor, Tensor]:
    """M_iv and the dilated M_iv of a part of a batch, (b,1,H,W) float 0 or 1, before anything limits them.

    pictures: the occluded ones, the coarse ones on white, and the visible masks. prompts: in their pixels.
    """
    occluded, coarse, visible = (crop_all(each, plans) for each in pictures)
    shown, guess, counts = None, None, torch.zeros(len(plans), 1, 1, 1)
    if prompts is not None and model.mask_net.sees_prompt:
        there = [prompt.cropped(plan) for prompt, plan in zip(prompts, plans, strict=True)]
        shown = draw_prompt(there, *sampling.working_size(model.mask_net, occluded))
    if prompts is not None and model.amodal_net is not None:
        guess = crop_all(hidden_guess(model.amodal_net, pictures[-1], prompts), plans)
        more = [model.guess_counts * (not prompt.tells_visible_joints_alone) for prompt in prompts]
        counts[:, 0, 0, 0] = torch.tensor(more)
    inputs = (occluded, coarse, visible, shown, guess)
    probability = sampling.predict_invisible(model.mask_net, *inputs, counts).cpu()
    empty, whole = torch.zeros_like(pictures[-1]), torch.ones_like(probability)
    exact = sampling.exact_invisible_mask(stitch_all(empty, probability, whole, plans)[0], threshold)
    if dilation_px == 0:
        return exact, exact
    rows = zip(probability, plans, strict=True)
    grown = [sampling.invisible_mask(p[None], threshold, _model_px(dilation_px, plan)) for p, plan in rows]
    return exact, (stitch_all(empty, torch.cat(grown), whole, plans)[0] > 0.5).float()


def _somebody(visible_masks: Tensor) -> Tensor:
    """(B,1,1,1): 0 for pictures without anybody in a batch in which others show somebody, else 1."""
    shown = (visible_masks > 0.5).flatten(1).any(1).float()[:, None, None, None]
    return shown if bool(shown.any()) else torch.ones_like(shown)


def _plans_of_masks(
    model: CoarseModel, visible_masks: Tensor, drawn: Tensor, prompts: Sequence[PointPrompt] | None
) -> list[CropPlan]:
    size = (visible_masks.shape[-2], visible_masks.shape[-1])
    if prompts is None:
        return [plan_person(size, model.size, masks) for masks in zip(visible_masks, drawn, strict=True)]
    read = [read_by(model, prompt_for(prompt, *size)) for prompt in prompts]
    return plan_prompts(read, size, model.size, visible_masks)


def _model_px(distance: float | None, plan: CropPlan) -> float | None:
    return None if distance is None else distance * sum(plan.scale) / 2
