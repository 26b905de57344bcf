"""pix2gestalt (arXiv 2401.14398): the whole object from a picture and the mask of its visible part.

Everything here works at the model's own size S; other sizes are handled outside (models/phac/pipeline.py).
Pictures are (B,3,S,S) float 0..1, masks (B,1,S,S) float 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..diffusion.guidance import cfg as guided
from ..diffusion.latent_model import TextStates, check_inputs
from ..diffusion.predict import predict_once
from ..diffusion.sampling import OnStep, PredictNoise, draw_noise, image_seeds, sample
from ..diffusion.schedulers import DDIM, scheduler_of
from .networks import Pix2Gestalt

WHITE = 1.0


@torch.no_grad()
def complete(
    model: Pix2Gestalt,
    image: Tensor,
    visible_mask: Tensor,
    *,
    steps: int = 20,
    cfg: float = 2.0,
    seed: int | Sequence[int] = 0,
    region: Tensor | None = None,
    scheduler: str = DDIM,
    on_step: OnStep | None = None,
) -> tuple[Tensor, Tensor]:
    """The whole object alone on white, denoised from pure noise.

    Args:
        model: pix2gestalt, of side S.
        image: the occluded picture, (B,3,S,S) in 0..1.
        visible_mask: (B,1,S,S).
        steps: 1 to 1000; the authors take 200.
        cfg: scale of the guidance by picture and mask together; 1 is none.
        seed: one number (picture i is made with seed + i), or one for each picture.
        region: (B,1,S,S), where the hidden part may lie; what is drawn elsewhere is left out. None is
            everywhere.
        scheduler: a name of `schedulers.SCHEDULERS`; the authors' is "ddpm", which is DDIM with eta 1.
        on_step: called after every prediction; may raise, which ends the sampling.

    Returns:
        Pictures (B,3,S,S) in 0..1, and their latents (B,C,h,w).

    Raises:
        ValueError: for sizes or batches that do not match, and for an unknown scheduler.
    """
    check_inputs(model, None, image=(image, 3), visible_mask=(visible_mask, 1))
    seeds = image_seeds(seed, len(image))
    noise = draw_noise(seeds, model.latent_shape, model.device)
    predict = noise_predictor(model, image, visible_mask, cfg)
    latents = sample(predict, noise, scheduler_of(scheduler, seeds), steps, on_step=on_step)
    made = model.decode(latents)
    if region is not None:
        free = torch.maximum(visible_mask > 0.5, region > 0.5).to(made.device)
        made = torch.where(free, made, WHITE)
    return made, latents


def noise_predictor(model: Pix2Gestalt, image: Tensor, visible_mask: Tensor, scale: float) -> PredictNoise:
    """eps(z_t, t) under guidance; the unconditional branch sees zeros in the place of both conditions.

    Args:
        model: pix2gestalt.
        image: (B,3,S,S) in 0..1.
        visible_mask: (B,1,S,S).
        scale: w; 1 is no guidance and half the work.
    """
    seen, condition = model.picture_states(image), model.condition(image, visible_mask)
    if scale == 1.0:
        return lambda latents, t: predict_once(model, latents, t, seen, condition)
    both = TextStates(torch.zeros_like(seen.states)).followed_by(seen)
    twice = torch.cat([torch.zeros_like(condition), condition])

    def predict(latents: Tensor, t: Tensor) -> Tensor:
        predicted = predict_once(model, latents.repeat(2, 1, 1, 1), t, both, twice)
        unconditional, conditional = predicted.chunk(2)
        return guided(unconditional, conditional, scale)

    return predict
