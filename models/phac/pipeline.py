"""PHAC on pictures of any size: each person is cropped to the model's size, worked on, and put back.

Pictures (B,3,H,W) float 0..1, masks (B,1,H,W) float 0..1, all of one size and one batch length; results
are on the CPU. For stages A and B a picture of the model's very size is never resampled.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...people.boxes import Box
from ...people.crops import CropPlan, crop_all, stitch_all
from ...people.naming import in_picture, naming_picture, pictures_of
from ...people.prompts import PointPrompt, draw_prompt, draw_public_prompt
from ..diffusion.batches import at_once, chunks, in_chunks
from ..diffusion.compose import composite, said_of_empty
from ..diffusion.sampling import OnStep
from ..pix2gestalt import sampling as pix2gestalt
from ..pix2gestalt.networks import Pix2Gestalt
from . import sampling
from .ground import split_ground
from .networks import Inpainter, PHACModel
from .plans import (
    CoarseModel,
    ReadPrompt,
    box_mask,
    plan_prompt,
    plan_region,
    prompt_for,
    read_by,
)

log = logging.getLogger(__name__)

WHITE = 1.0


def complete_images(
    model: CoarseModel,
    images: Tensor,
    visible_masks: Tensor,
    prompts: Sequence[PointPrompt],
    texts: Sequence[str],
    *,
    seed: int = 0,
    on_step: OnStep | None = None,
    **settings: Any,
) -> tuple[Tensor, Tensor]:
    """Stage A for pictures of any size.

    A box kind that the model has no ControlNet for is turned into geometry (`as_geometry`); the log says so.
    pix2gestalt takes all of the prompt as geometry, and neither texts nor control_strength.

    Args:
        model: PHAC or pix2gestalt.
        images: (B,3,H,W) in 0..1.
        visible_masks: (B,1,H,W), 1 on the visible part of the person.
        prompts, texts: one for each picture; prompts are in its pixels, read by the ControlNet of their kind.
        seed: picture i is made with seed + i.
        on_step: called after every prediction; may raise, which ends the sampling.
        settings: steps, cfg, control_strength, scheduler ... of `sampling.complete`.

    Returns:
        Coarse pictures (B,3,H,W) on white, and latents (B,C,h,w) of the crops, on the CPU. Where nobody is
        visible the picture is white, and its latents are zero.

    Raises:
        ValueError: when all visible masks are empty, and for a kind that cannot be read.
    """
    present = with_somebody(visible_masks)
    size = (images.shape[-2], images.shape[-1])
    fitted = {row: read_by(model, prompt_for(prompts[row], *size)) for row in present}
    _tell_what_is_read(model, list(fitted.values()))
    plans: dict[int, CropPlan] = {}
    for row in present:
        with naming_picture(row, len(images)):
            plans[row] = plan_prompt(fitted[row], size, model.size, [visible_masks[row]])
    drawn = {row: fitted[row].cropped(plans[row]) for row in present}

    def work(rows: list[int], step: OnStep | None) -> tuple[Tensor, ...]:
        here = [drawn[row] for row in rows]
        own = [plans[row] for row in rows]
        coarse, latents = _completed(
            model, crop_all(images[rows], own), crop_all(visible_masks[rows], own), here,
            [texts[row] for row in rows], seed=[seed + row for row in rows], on_step=step, **settings,
        )  # fmt: skip
        white = torch.full_like(images[rows], WHITE)
        return stitch_all(white, coarse, torch.ones_like(coarse[:, :1]), own)[0], latents.cpu()

    kinds = [fitted[row].prompt.kind for row in present]
    order = [[present[index] for index in rows] for rows in _by_kind(kinds, at_once(model))]
    made, made_latents = in_chunks(order, work, on_step)
    back = [row for rows in order for row in rows]
    coarse = torch.full_like(images, WHITE, device=made.device, dtype=made.dtype)
    latents = made_latents.new_zeros(len(images), *made_latents.shape[1:])
    coarse[back], latents[back] = made, made_latents
    return coarse, latents


def _completed(
    model: CoarseModel,
    crops: Tensor,
    masks: Tensor,
    read: Sequence[ReadPrompt],
    texts: Sequence[str],
    control_strength: float = 1.0,
    **settings: Any,
) -> tuple[Tensor, Tensor]:
    """Coarse crops and their latents, of prompts of one kind; see `complete_images`."""
    region = _regions([each.region for each in read], model.size)
    if isinstance(model, Pix2Gestalt):
        return pix2gestalt.complete(model, crops, masks, region=region, **settings)
    prompts = [each.prompt for each in read]
    return sampling.complete(
        model, crops, masks, _drawn(model, prompts), texts, kind=prompts[0].kind, region=region,
        control_strength=control_strength, **settings,
    )  # fmt: skip


def _drawn(model: PHACModel, prompts: Sequence[PointPrompt]) -> Tensor:
    """Prompt pictures (B,3,S,S) of one kind as its ControlNet learned them: one that was trained here comes
    with attention of its own, a public one without.
    """
    own = bool(model.replaced_tensors(prompts[0].kind))
    return (draw_prompt if own else draw_public_prompt)(prompts, model.size, model.size)


def _regions(boxes: Sequence[Box | None], size: int) -> Tensor | None:
    if all(box is None for box in boxes):
        return None
    return torch.cat([box_mask(box, size, size) for box in boxes])


def _tell_what_is_read(model: CoarseModel, read: Sequence[ReadPrompt]) -> None:
    if isinstance(model, Pix2Gestalt):
        log.warning(
            "%s sees the picture and the visible mask alone: the points say where the person may be and not "
            "how it stands, and the text is not read",
            model.name,
        )
    elif any(each.region is not None for each in read):
        log.warning(
            "%s has no ControlNet for this kind of prompt (it has: %s): the box only limits where the hidden "
            "part may be, and is not otherwise seen",
            model.name,
            model.known_kinds(),
        )


def _by_kind(kinds: Sequence[str], most: int) -> list[list[int]]:
    """The indices of every kind, kinds in the order they first come in, in parts of at most `most`."""
    groups = [[row for row, each in enumerate(kinds) if each == kind] for kind in dict.fromkeys(kinds)]
    return [group[rows] for group in groups for rows in chunks(len(group), most)]


def refine_images(
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
    """Stage C for pictures of any size.

    Works on a close crop round what is to change (`plan_region`): the refiner sees it larger than the coarse
    stage did, as SDXL at 1024 after a coarse stage at 512, so that noise of strength s leaves limbs whole.

    Args:
        refiner: an inpainting model.
        images: (B,3,H,W) in 0..1.
        coarse: of stage A or any generator, (B,3,H,W) in 0..1, or (B,4,H,W) with alpha.
        visible_masks: (B,1,H,W).
        invisible_masks: the dilated M_iv, (B,1,H,W).
        texts: one for each picture.
        exact_masks: M_iv before dilation; of it only what shows the person is taken from the coarse picture,
            not its plain ground. None: all of invisible_masks that shows the person.
        seed: picture i is made with seed + i.
        on_step: called after every prediction; may raise, which ends the sampling.
        settings: strength, steps, cfg, feather_px and scheduler of `sampling.refine`.

    Returns:
        A `Refined` at the pictures' size. Outside invisible_masks every bit of `image` and `composite` is
        that of the input.
    """
    wholly_seen(visible_masks, invisible_masks)
    size = (images.shape[-2], images.shape[-1])
    coarse, exact_masks = shown_part(coarse, visible_masks, invisible_masks, exact_masks)
    plans = [plan_region(size, refiner.size, mask) for mask in invisible_masks]

    def work(rows: slice, step: OnStep | None) -> tuple[Tensor, ...]:
        pictures = (images, coarse, visible_masks, invisible_masks, exact_masks)
        occluded, drawn, visible, invisible, exact = (crop_all(x[rows], plans[rows]) for x in pictures)
        refined = sampling.refine(
            refiner, occluded, drawn, visible, invisible, texts[rows], exact_mask=(exact > 0.5).float(),
            seed=seed + rows.start, on_step=step, **settings,
        )  # fmt: skip
        whole = (images[rows], coarse[rows], visible_masks[rows], invisible_masks[rows], exact_masks[rows])
        return put_back(refined, *whole, plans[rows])

    return sampling.Refined(*in_chunks(chunks(len(images), at_once(refiner)), work, on_step))


def shown_part(
    coarse: Tensor, visible_masks: Tensor, invisible_masks: Tensor, exact_masks: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The coarse picture on white (B,3,H,W), and what is to be taken from it (B,1,H,W) float 0 or 1.

    Args:
        coarse: (B,3,H,W) in 0..1, or (B,4,H,W) with alpha.
        visible_masks: (B,1,H,W); nothing is taken there.
        invisible_masks: what may change, (B,1,H,W).
        exact_masks: what of it may be taken; None is all of it that shows the person.
    """
    drawn = split_ground(coarse)
    shown = drawn.person * (invisible_masks > 0.5) * (visible_masks <= 0.5)
    return drawn.image, shown if exact_masks is None else shown * (exact_masks > 0.5)


def put_back(
    refined: sampling.Refined,
    images: Tensor,
    coarse: Tensor,
    visible: Tensor,
    invisible: Tensor,
    exact: Tensor,
    plans: Sequence[CropPlan],
) -> tuple[Tensor, ...]:
    """A `Refined` of crops at the size of the pictures; the composite is made of these, not of their crops.

    Args:
        refined: of the crops.
        images, coarse: (B,3,H,W) in 0..1.
        visible, invisible, exact: masks (B,1,H,W).
        plans: of the crops.

    Returns:
        The fields of a `Refined`, in order.
    """
    changed, seen = (invisible > 0.5).float(), (visible > 0.5).float()
    made, alpha = stitch_all(images, refined.made, refined.alpha, plans)
    image = torch.where(changed > 0.5, made, images)
    around = stitch_all(torch.zeros_like(exact), refined.part, torch.ones_like(refined.part), plans)[0]
    part = torch.maximum((around > 0.5).float(), (exact > 0.5).float()) * changed * (1.0 - seen)
    base = composite(images, coarse, part)
    amodal = torch.maximum(seen, part)
    cutout = torch.where(amodal > 0.5, image, torch.full_like(image, WHITE))
    return image, base, changed, cutout, amodal, made, alpha, part


def with_somebody(visible_masks: Tensor) -> list[int]:
    """Rows of the pictures that show somebody. The others are logged; ValueError when there are no more."""
    rows = [index for index, mask in enumerate(visible_masks) if bool((mask > 0.5).any())]
    if not rows:
        check_visible(visible_masks)
    without = sorted(set(range(len(visible_masks))) - set(rows))
    if without:
        log.warning("nobody is visible in %s", pictures_of(without, len(visible_masks)))
    return rows


def check_visible(masks: Tensor) -> None:
    empty = [index for index, mask in enumerate(masks) if not (mask > 0.5).any()]
    if empty:
        which = in_picture("visible_mask", empty[0], len(masks))
        raise ValueError(
            f"{which} {said_of_empty(masks[empty[0]])}: nobody is visible there. Check the points or "
            "the pose that the mask was made from, or connect a mask of the visible part of the person"
        )


def wholly_seen(visible_masks: Tensor, invisible_masks: Tensor) -> list[int]:
    """Rows of the pictures in which the visible person covers all that may change; they are logged."""
    changed, unseen = (invisible_masks > 0.5).flatten(1), (visible_masks <= 0.5).flatten(1)
    rows: list[int] = (changed.any(1) & ~(changed & unseen).any(1)).nonzero().flatten().tolist()
    if rows:
        which = pictures_of(rows, len(changed))
        log.warning("visible_mask covers all of invisible_mask in %s: nothing is hidden there", which)
    return rows
