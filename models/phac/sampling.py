"""PHAC's three stages (arXiv 2603.14741): coarse completion, invisible mask, inpainting-based refinement.

Everything here works at the model's own size; cropping and stitching happen outside.
Pictures are (B,3,S,S) float 0..1, masks (B,1,S,S) float 0..1, texts one string per picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..diffusion.compose import composite, cover, default_dilation, dilate
from ..diffusion.latent_model import check_inputs
from ..diffusion.predict import Control, noise_predictor, prompt_embedded_once
from ..diffusion.sampling import (
    Fuse,
    OnStep,
    draw_noise,
    image_seeds,
    keep_known,
    noised,
    sample,
    schedule_for,
)
from ..diffusion.schedulers import DDIM, scheduler_of, timesteps_of
from ..diffusion.text import with_suffix
from .base_picture import compose_base
from .ground import split_ground
from .networks import LEAST_SURE, Inpainter, InvisibleMaskUNet, PHACModel

WHITE = 1.0


# Stage A: coarse completion


@torch.no_grad()
def complete(
    model: PHACModel,
    image: Tensor,
    visible_mask: Tensor,
    prompt_image: Tensor,
    texts: Sequence[str],
    *,
    kind: str = "pose",
    steps: int = 20,
    cfg: float = 2.0,
    seed: int | Sequence[int] = 0,
    control_strength: float = 1.0,
    control_in_uncond: bool | None = None,
    region: Tensor | None = None,
    scheduler: str = DDIM,
    on_step: OnStep | None = None,
) -> tuple[Tensor, Tensor]:
    """Stage A: I_cc, the whole person alone on white, denoised from pure noise.

    Args:
        model: PHAC, of side S.
        image: I_ic, (B,3,S,S) in 0..1.
        visible_mask: M_v, (B,1,S,S).
        prompt_image: I_p, (B,3,S,S) in 0..1; a black one withholds the prompt.
        texts: one for each picture.
        kind: which of the model's ControlNets reads the prompt, with the cross-attention trained for it.
        steps: 1 to 1000.
        cfg: scale of the guidance; 1 is none.
        seed: one number (picture i is made with seed + i), or one for each picture.
        control_strength: factor on the ControlNet's residuals.
        control_in_uncond: see `Control`; None leaves the prompt out of that branch for kinds that were
            trained here, with black prompt images among them, and in it for public ControlNets.
        region: (B,1,S,S), where the hidden part may lie; elsewhere the picture is known to be white. None is
            everywhere.
        scheduler: a name of `schedulers.SCHEDULERS`.
        on_step: called after every prediction; may raise, which ends the sampling.

    Returns:
        I_cc (B,3,S,S) in 0..1, and its latents (B,C,h,w).

    Raises:
        ValueError: for an unknown kind or scheduler, sizes or batches that do not match.
    """
    _check_pictures(model, image, visible_mask, prompt_image, texts)
    attention = model.replaced_tensors(kind)
    in_uncond = not attention if control_in_uncond is None else control_in_uncond
    control = Control(model.controlnet(kind), prompt_image, control_strength, in_uncond, attention)
    condition = model.condition(image, 1.0 - (visible_mask > 0.5).float())
    described = [with_suffix(model.text, text, model.text_suffix) for text in texts]
    predict = noise_predictor(model, described, cfg, condition=condition, control=control)
    seeds = image_seeds(seed, len(image))
    noise = draw_noise(seeds, model.latent_shape, model.device)
    steps_of, free, fuse = scheduler_of(scheduler, seeds), None, None
    if region is not None:
        free = torch.maximum(visible_mask > 0.5, region > 0.5).to(model.device)
        fuse = _known_white(model, free, noise, steps_of)
    with prompt_embedded_once(control.network):
        latents = sample(predict, noise, steps_of, steps, fuse=fuse, on_step=on_step)
    made = model.decode(latents)
    return made if free is None else torch.where(free, made, WHITE), latents


def _check_pictures(
    model: PHACModel, image: Tensor, visible_mask: Tensor, prompt_image: Tensor, texts: Sequence[str]
) -> None:
    given = {"image": (image, 3), "visible_mask": (visible_mask, 1), "prompt_image": (prompt_image, 3)}
    check_inputs(model, texts, **given)


def _known_white(model: PHACModel, free: Tensor, noise: Tensor, scheduler: Any) -> Fuse:
    """The denoise mask: outside `free` (B,1,S,S) the latents are those of a white picture all the way."""
    white = torch.full((len(free), 3, model.size, model.size), WHITE)
    return keep_known(scheduler, model.encode(white), noise, cover(free, (noise.shape[-2], noise.shape[-1])))


# Stage B: invisible mask


@torch.no_grad()
def predict_invisible(
    network: InvisibleMaskUNet,
    occluded: Tensor,
    coarse: Tensor,
    visible_mask: Tensor,
    prompt_image: Tensor | None = None,
    guess: Tensor | None = None,
    guess_counts: Tensor | float = 0.0,
) -> Tensor:
    """U_iv(I_ic, I_cc, M_v) for pictures of any size; the network's own size is that of the shorter side.

    Args:
        network: U_iv.
        occluded: I_ic, (B,3,H,W) in 0..1.
        coarse: I_cc, (B,3,H,W) in 0..1.
        visible_mask: M_v, (B,1,H,W).
        prompt_image: I_p, (B,3,h,w) in 0..1 of any size, for a network that sees it; None withholds it.
        guess: what silhouettes say, (B,1,h,w) in 0..1 of any size, likewise.
        guess_counts: how often that counts once more, for all or for each, (B,1,1,1).

    Returns:
        Probability (B,1,H,W) that a pixel is person but hidden; 0 on M_v itself.
    """
    height, width = occluded.shape[-2:]
    size = working_size(network, occluded)
    parameter = next(network.parameters())
    shown = [_resized(x.to(parameter), size) for x in (occluded, coarse, visible_mask)]
    prompt, said = (None if x is None else _resized(x.to(parameter), size) for x in (prompt_image, guess))
    logits = network(*shown, prompt, said).float()
    if said is not None:
        more = torch.as_tensor(guess_counts, dtype=logits.dtype, device=logits.device)
        logits = logits + more * said.float().logit(LEAST_SURE)
    probability = _resized(logits.sigmoid(), (height, width))
    return torch.where(visible_mask.to(probability) > 0.5, torch.zeros_like(probability), probability)


def working_size(network: InvisibleMaskUNet, pictures: Tensor) -> tuple[int, int]:
    """(height, width) in pixels at which U_iv sees pictures (B,3,H,W): its own size on the shorter side."""
    height, width = pictures.shape[-2:]
    factor = network.config["size"] / min(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def exact_invisible_mask(probability: Tensor, threshold: float = 0.5) -> Tensor:
    """M_iv before dilation: 1 where the probability is above the threshold. (B,1,H,W) float 0 or 1."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}; a value from 0 to 1 is needed (usual: 0.5)")
    return (probability > threshold).float()


def invisible_mask(probability: Tensor, threshold: float = 0.5, dilation_px: float | None = None) -> Tensor:
    """M_iv, thresholded and dilated by an ellipse so that the seam lies inside it. (B,1,H,W) float 0 or 1.

    dilation_px: radius; None is 3 % of the shorter side (15 px at 512, 4 px at 128).
    """
    radius = default_dilation(*probability.shape[-2:]) if dilation_px is None else dilation_px
    return dilate(exact_invisible_mask(probability, threshold), radius)


# Stage C: refinement


@dataclass(frozen=True)
class Refined:
    """What `refine` gives. Pictures (B,3,S,S) float 0..1, masks (B,1,S,S) float 0 or 1.

    image: in place, equal to I_ic bit for bit where changed_mask is 0: made blended over I_ic by alpha.
    composite: I_base, before the refinement. changed_mask: the dilated M_iv. cutout: the whole person
    alone on white. amodal_mask: the cutout's alpha. made: all that Phi_RF made. alpha: float 0..1, soft
    towards the edge of changed_mask, 1 on the completed part. part: what came from the coarse picture.
    """

    image: Tensor
    composite: Tensor
    changed_mask: Tensor
    cutout: Tensor
    amodal_mask: Tensor
    made: Tensor
    alpha: Tensor
    part: Tensor


@torch.no_grad()
def refine(
    refiner: Inpainter,
    occluded: Tensor,
    coarse: Tensor,
    visible_mask: Tensor,
    invisible_mask: Tensor,
    texts: Sequence[str],
    *,
    exact_mask: Tensor | None = None,
    strength: float = 0.5,
    steps: int = 20,
    cfg: float = 2.0,
    seed: int | Sequence[int] = 0,
    feather_px: float | None = None,
    scheduler: str = DDIM,
    on_step: OnStep | None = None,
) -> Refined:
    """Stage C: compose I_base, add noise of strength s inside the dilated M_iv only, denoise with Phi_RF.

    Args:
        refiner: Phi_RF, of side S.
        occluded: I_ic, (B,3,S,S) in 0..1.
        coarse: I_cc, (B,3,S,S) in 0..1.
        visible_mask: M_v, (B,1,S,S).
        invisible_mask: the dilated M_iv, (B,1,S,S); nothing outside of it changes. A picture whose mask is
            empty comes back as it was.
        texts: one for each picture.
        exact_mask: M_iv before dilation, the part that is taken from the coarse picture; None finds it
            (`completed_part`).
        strength: s in (0,1].
        steps: exactly so many steps execute, whatever the strength.
        cfg: guidance by the text; 1 is none.
        seed: one number (picture i is made with seed + i), or one for each picture.
        feather_px: width of the soft inner edge; None is half the usual dilation.
        scheduler: a name of `schedulers.SCHEDULERS`.
        on_step: called after every prediction; may raise, which ends the sampling.

    Returns:
        The picture, and everything it was made of.

    Raises:
        ValueError: for other values and sizes, and for more steps / strength than the scheduler takes.
    """
    masks = {"visible_mask": visible_mask, "invisible_mask": invisible_mask, "exact_mask": exact_mask}
    given = {name: (mask, 1) for name, mask in masks.items() if mask is not None}
    check_inputs(refiner, texts, occluded=(occluded, 3), coarse=(coarse, 3), **given)
    timesteps_of(scheduler_of(scheduler), *schedule_for(steps, strength))
    device = refiner.device
    occluded, coarse = occluded.to(device), coarse.to(device)
    visible, changed = ((m.to(device) > 0.5).float() for m in (visible_mask, invisible_mask))
    exact = completed_part(coarse, changed, visible) if exact_mask is None else exact_mask.to(device)
    base = compose_base(occluded, coarse, visible, changed, exact, feather_px)
    made = base.image
    if changed.any():
        walk = Walk(scheduler, steps, strength, cfg, image_seeds(seed, len(made)))
        made = denoise_inside(refiner, base.image, changed, texts, walk, on_step)
    image = composite(occluded, made, base.alpha)
    cutout = torch.where(base.amodal > 0.5, image, torch.full_like(image, WHITE))
    return Refined(image, base.image, changed, cutout, base.amodal, made, base.alpha, base.part)


class Walk(NamedTuple):
    """How to denoise: which scheduler, exactly how many steps, from what noise strength s in (0,1], with what
    guidance by the text, and the seed of each picture.
    """

    scheduler: str
    steps: int
    strength: float
    cfg: float
    seeds: Sequence[int]


def denoise_inside(
    refiner: Inpainter, base: Tensor, mask: Tensor, texts: Sequence[str], walk: Walk, on_step: OnStep | None
) -> Tensor:
    """What Phi_RF makes of I_base, (B,3,S,S): noised to s inside the mask, known latents outside.

    Args:
        refiner: of side S.
        base: I_base, (B,3,S,S) in 0..1.
        mask: (B,1,S,S), 1 where the picture may change.
        texts: one for each picture.
        walk: scheduler, steps, strength, guidance and seeds.
        on_step: called after every prediction.

    Returns:
        Pictures (B,3,S,S) in 0..1.
    """
    total, start = schedule_for(walk.steps, walk.strength)
    scheduler = scheduler_of(walk.scheduler, walk.seeds)
    known = refiner.encode(base)
    noise = draw_noise(walk.seeds, known.shape[1:], known.device)
    first = int(timesteps_of(scheduler, total, start)[0])
    latents = noise if walk.strength == 1.0 else noised(scheduler, known, noise, first)
    fuse = keep_known(scheduler, known, noise, cover(mask, (known.shape[-2], known.shape[-1])))
    predict = noise_predictor(refiner, texts, walk.cfg, condition=refiner.condition(base, mask))
    return refiner.decode(
        sample(predict, latents, scheduler, total, start_step=start, fuse=fuse, on_step=on_step)
    )


def completed_part(coarse: Tensor, changed_mask: Tensor, visible_mask: Tensor) -> Tensor:
    """The hidden part of the person as the coarse picture shows it (`split_ground`): (B,1,H,W) float 0 or 1,
    inside changed_mask.
    """
    return split_ground(coarse).person * (changed_mask > 0.5) * (visible_mask <= 0.5)


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
