"""PHAC on pictures of any size: each person is cropped to the model's size, worked on, and put back.

Pictures (B,3,H,W) float 0..1, masks (B,1,H,W) float 0..1, all of one size and one batch length; results
are on the CPU. A picture of the model's very size is never resampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...people.boxes import Box
from ...people.crops import CropPlan, crop, plan_crop, stitch
from ...people.prompts import PointPrompt, draw_prompt
from ..diffusion.sampling import OnStep
from . import sampling
from .networks import Inpainter, PHACModel

PICTURES_AT_ONCE = 8
WHITE = 1.0


def prompt_for(prompt: PointPrompt, height: int, width: int) -> PointPrompt:
    """The prompt in the pixels of a picture of that size."""
    if (prompt.height, prompt.width) == (height, width):
        return prompt
    whole = Box(0, 0, prompt.width, prompt.height)
    return prompt.cropped(CropPlan(prompt.width, prompt.height, whole, width, height))


def plan_person(
    size: tuple[int, int], model_size: int, masks: Sequence[Tensor], extent: Box | None = None
) -> CropPlan:
    """The square crop of one picture that holds a prompt's extent and all masks (1,H,W)."""
    box = extent or Box.around_mask(torch.zeros(size))
    for mask in masks:
        box = box.union(Box.around_mask(mask[0]))
    return plan_crop(box, size, (model_size, model_size))


def drawn_area(coarse: Tensor) -> Tensor:
    """Where a coarse picture (B,3,H,W) shows the person, (B,1,H,W); nowhere without a plain background."""
    everywhere = torch.ones_like(coarse[:, :1])
    part = sampling.completed_part(coarse, everywhere, torch.zeros_like(everywhere))
    whole = part.flatten(1).all(dim=1)[:, None, None, None]
    return torch.where(whole, torch.zeros_like(part), part)


def crop_all(pictures: Tensor, plans: Sequence[CropPlan]) -> Tensor:
    """Every picture by its own plan, (B,C,S,S)."""
    return torch.cat([crop(picture[None], plan) for picture, plan in zip(pictures, plans, strict=True)])


def stitch_all(
    pictures: Tensor, patches: Tensor, masks: Tensor, plans: Sequence[CropPlan]
) -> tuple[Tensor, Tensor]:
    """Every patch into its picture; the pictures and the masks at their size. See people.crops.stitch."""
    rows = zip(pictures, patches.cpu(), masks.cpu(), plans, strict=True)
    done = [stitch(picture[None], patch[None], mask[None], plan) for picture, patch, mask, plan in rows]
    return torch.cat([picture for picture, _ in done]), torch.cat([mask for _, mask in done])


def complete_pictures(
    model: PHACModel,
    images: Tensor,
    visible_masks: Tensor,
    prompts: Sequence[PointPrompt],
    texts: Sequence[str],
    *,
    seed: int = 0,
    on_step: OnStep | None = None,
    **settings: Any,
) -> tuple[Tensor, Tensor]:
    """Stage A for pictures of any size: (coarse pictures (B,3,H,W) on white, latents (B,C,h,w) of the crops).

    prompts: in the pixels of the pictures. settings: steps, cfg, control_strength ... of `sampling.complete`.
    Raises ValueError when a visible mask is empty, and for prompts of different kinds.
    """
    _check_visible(visible_masks)
    size = (images.shape[-2], images.shape[-1])
    fitted = [prompt_for(prompt, *size) for prompt in prompts]
    plans = [plan_person(size, model.size, [m], p.extent) for m, p in zip(visible_masks, fitted, strict=True)]
    drawn = [prompt.cropped(plan) for prompt, plan in zip(fitted, plans, strict=True)]

    def work(rows: slice, step: OnStep | None) -> tuple[Tensor, ...]:
        coarse, latents = sampling.complete(
            model, crop_all(images[rows], plans[rows]), crop_all(visible_masks[rows], plans[rows]),
            draw_prompt(drawn[rows], model.size, model.size), texts[rows], kind=_one_kind(prompts),
            seed=seed + rows.start, on_step=step, **settings,
        )  # fmt: skip
        white = torch.full_like(images[rows], WHITE)
        whole = torch.ones_like(coarse[:, :1])
        return stitch_all(white, coarse, whole, plans[rows])[0], latents.cpu()

    coarse, latents = in_chunks(len(images), work, on_step)
    return coarse, latents


def invisible_pictures(
    model: PHACModel,
    images: Tensor,
    coarse: Tensor,
    visible_masks: Tensor,
    *,
    threshold: float = 0.5,
    dilation_px: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Stage B for pictures of any size: (dilated M_iv, M_iv before dilation), both (B,1,H,W) float 0 or 1.

    dilation_px: in pixels of the pictures; None is 3 % of the crop's shorter side.
    """
    size = (images.shape[-2], images.shape[-1])
    drawn = drawn_area(coarse)
    plans = [plan_person(size, model.size, masks) for masks in zip(visible_masks, drawn, strict=True)]
    crops = [crop_all(x, plans) for x in (images, coarse, visible_masks)]
    parts = [[x[rows] for x in crops] for rows in chunks(len(images))]
    probability = torch.cat([sampling.predict_invisible(model.mask_net, *part).cpu() for part in parts])
    empty, whole = torch.zeros_like(visible_masks), torch.ones_like(probability)
    exact = sampling.exact_invisible_mask(stitch_all(empty, probability, whole, plans)[0], threshold)
    exact = exact * (visible_masks <= 0.5)
    if dilation_px == 0:
        return exact, exact
    rows = zip(probability, plans, strict=True)
    grown = [sampling.invisible_mask(p[None], threshold, _model_px(dilation_px, plan)) for p, plan in rows]
    dilated = stitch_all(empty, torch.cat(grown), whole, plans)[0]
    return torch.maximum((dilated > 0.5).float(), exact), exact


def refine_pictures(
    refiner: Inpainter,
    images: Tensor,
    coarse: Tensor,
    visible_masks: Tensor,
    invisible_masks: Tensor,
    texts: Sequence[str],
    *,
    exact_masks: Tensor | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
    **settings: Any,
) -> sampling.Refined:
    """Stage C for pictures of any size: a `Refined` at the pictures' size.

    Outside invisible_masks every bit of `image` and `composite` is that of the input. settings: strength,
    steps, cfg, feather_px of `sampling.refine`.
    """
    size = (images.shape[-2], images.shape[-1])
    shown = drawn_area(coarse) if exact_masks is None else exact_masks
    groups = zip(visible_masks, invisible_masks, shown, strict=True)
    plans = [plan_person(size, refiner.size, masks) for masks in groups]
    optional = [] if exact_masks is None else [exact_masks]

    def work(rows: slice, step: OnStep | None) -> tuple[Tensor, ...]:
        pictures = (images, coarse, visible_masks, invisible_masks, *optional)
        occluded, drawn, visible, invisible, *exact = (crop_all(x[rows], plans[rows]) for x in pictures)
        settings_here = {**settings, "seed": seed + rows.start, "on_step": step}
        if exact:
            settings_here["exact_mask"] = (exact[0] > 0.5).float()
        refined = sampling.refine(refiner, occluded, drawn, visible, invisible, texts[rows], **settings_here)
        return put_back(refined, images[rows], visible_masks[rows], invisible_masks[rows], plans[rows])

    return sampling.Refined(*in_chunks(len(images), work, on_step))


def put_back(
    refined: sampling.Refined, images: Tensor, visible: Tensor, invisible: Tensor, plans: Sequence[CropPlan]
) -> tuple[Tensor, ...]:
    """The fields of a `Refined` of crops at the size of the pictures, in order."""
    changed = (invisible > 0.5).float()
    made, alpha = stitch_all(images, refined.made, refined.alpha, plans)
    image = torch.where(changed > 0.5, made, images)
    base, part = stitch_all(images, refined.composite, refined.part, plans)
    base = torch.where(changed > 0.5, base, images)
    amodal = torch.maximum((visible > 0.5).float(), (part > 0.5) * changed)
    cutout = torch.where(amodal > 0.5, image, torch.full_like(image, WHITE))
    return image, base, changed, cutout, amodal, made, alpha, (part > 0.5).float()


# Batches


def chunks(count: int) -> list[slice]:
    """Slices of at most PICTURES_AT_ONCE."""
    starts = range(0, count, PICTURES_AT_ONCE)
    return [slice(start, min(start + PICTURES_AT_ONCE, count)) for start in starts]


def in_chunks(
    count: int, work: Callable[[slice, OnStep | None], tuple[Tensor, ...]], on_step: OnStep | None
) -> tuple[Tensor, ...]:
    """work(rows, on_step) for every chunk, joined; on_step counts the steps of all chunks."""
    parts = chunks(count)
    results = [work(rows, _counted(on_step, number, len(parts))) for number, rows in enumerate(parts)]
    return tuple(torch.cat(column) for column in zip(*results, strict=True))


def _counted(on_step: OnStep | None, chunk: int, count: int) -> OnStep | None:
    if on_step is None:
        return None
    return lambda done, total, clean: on_step(chunk * total + done, count * total, clean)


def _model_px(distance: float | None, plan: CropPlan) -> float | None:
    return None if distance is None else distance * sum(plan.scale) / 2


def _one_kind(prompts: Sequence[PointPrompt]) -> str:
    kinds = sorted({prompt.kind for prompt in prompts})
    if len(kinds) > 1:
        raise ValueError(
            f"prompts of different kinds came together ({', '.join(kinds)}): use one kind per batch"
        )
    return kinds[0]


def _check_visible(masks: Tensor) -> None:
    empty = [index for index, mask in enumerate(masks) if not (mask > 0.5).any()]
    if empty:
        raise ValueError(
            f"visible_mask of picture {empty[0]} is empty: nobody is visible there. Check the points or the "
            "pose "
            "that the mask was made from, or connect a mask of the visible part of the person"
        )
