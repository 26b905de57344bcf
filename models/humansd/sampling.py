"""HumanSD's sampling: denoising of [z_t, pose latents] under guidance by text.

Pictures of skeletons are (B,3,H,W) float 0..1 with sides in multiples of 64; texts one string per picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..diffusion.predict import UNCONDITIONAL, noise_predictor
from ..diffusion.sampling import OnStep, draw_noise, image_seeds, sample
from ..diffusion.schedulers import DDIM, STABLE_DIFFUSION, TRAINING_STEPS, ddim_leading, scheduler_of
from ..diffusion.text import split_words
from .networks import HumanSD, enlarged, folded

STEPS = 50
SUFFIX = "detailed background, best quality, extremely detailed"
NEGATIVE = (
    "longbody, lowres, bad anatomy, bad hands, missing fingers, extra digit, fewer digits, cropped, "
    "worst quality, low quality"
)
SIDE_MULTIPLE = 64
POSE_NOISE = 0x9E3779B9
"""Keeps the seeds of the noise in pose latents apart from those of the noise that sampling starts with."""
RELEASED, FIGURA = PROCEDURES = ("released", "figura")
"""How pictures are made: as by the authors' demo, or as mini was tried out."""


@torch.no_grad()
def generate_people(
    model: HumanSD,
    skeletons: Tensor,
    texts: Sequence[str],
    *,
    negative: str = UNCONDITIONAL,
    steps: int = STEPS,
    cfg: float | None = None,
    pose_strength: float = 1.0,
    scheduler: str = DDIM,
    procedure: str | None = None,
    seed: int | Sequence[int] = 0,
    on_step: OnStep | None = None,
) -> Tensor:
    """People as the skeletons stand, denoised from pure noise.

    Both branches of the guidance see the same pose latents, so that it acts on the text alone.

    Args:
        model: HumanSD.
        skeletons: (B,3,H,W) in 0..1.
        texts: one for each picture.
        negative: the text that the guidance leads away from.
        steps: 1 to 1000.
        cfg: scale of the guidance, 1 is none; None is the model's own.
        pose_strength: see `pose_latents`.
        scheduler: a name of `schedulers.SCHEDULERS`.
        procedure: "released": pose latents are a sample of the autoencoder's posterior, and ddim walks the
            demo's time steps. "figura": their mean, time steps from 999 on. None: what the model is.
        seed: one number (picture i is made with seed + i), or one for each picture.
        on_step: called after every prediction; may raise, which ends the sampling.

    Returns:
        Pictures (B,3,H,W) in 0..1.

    Raises:
        ValueError: for sides that are no multiples of 64, a number of texts or seeds that does not match,
            NaN, an unknown procedure, and steps that the scheduler does not take (the released time steps:
            2..999).
    """
    _check_inputs(skeletons, texts)
    released = is_released(model, procedure)
    seeds = image_seeds(seed, len(skeletons))
    pose = pose_latents(model, skeletons, pose_strength, seeds if released else None)
    scale = model.cfg if cfg is None else cfg
    predict = noise_predictor(model, texts, scale, condition=pose, negative=negative)
    shape = (model.latent_shape[0], *pose.shape[-2:])
    noise = draw_noise(seeds, shape, model.device)
    released_steps = released and scheduler == DDIM
    if released_steps:
        # The released demo skips the first of its time steps and begins at t = 961 with pure noise.
        _check_released(steps)
        steps_of, first = ddim_leading(STABLE_DIFFUSION), 1
    else:
        steps_of, first = scheduler_of(scheduler, seeds), 0
    made = sample(
        predict, noise, steps_of, steps, start_step=first, on_step=on_step, clean_end=not released_steps
    )
    return model.decode(made)


def is_released(model: HumanSD, procedure: str | None) -> bool:
    """Whether pictures are made as by the demo; None is as the model is. ValueError for an unknown name."""
    if procedure is not None and procedure not in PROCEDURES:
        raise ValueError(f"procedure is {procedure!r}; it is one of {', '.join(PROCEDURES)}")
    return model.released if procedure is None else procedure == RELEASED


def pose_latents(
    model: HumanSD, skeletons: Tensor, strength: float = 1.0, seeds: Sequence[int] | None = None
) -> Tensor:
    """z_pose (B,C*s*s,h,w): the folded latents of the pictures, s the model's pose_scale; other strengths lie
    on the line from a black picture.

    Args:
        model: HumanSD.
        skeletons: (B,3,H,W) in 0..1.
        strength: 0 is a picture without anybody, above 1 goes on beyond the skeleton.
        seeds: one for each picture, of the sample that is drawn of the posterior; None takes its mean.
    """
    shown = enlarged(skeletons, model.pose_scale)
    pose = model.encode(shown) if seeds is None else model.sample_latents(shown, seeds, POSE_NOISE)
    if strength != 1.0:
        pose = torch.lerp(model.encode(torch.zeros_like(shown[:1])).expand_as(pose), pose, strength)
    return folded(pose, model.pose_scale)


def known_phrases(model: HumanSD, phrases: str) -> str:
    """The phrases, between commas, that the model's text encoder knows all words of.

    CLIP knows every word; mini few, and unknown ones would only disturb it.
    """
    words = getattr(getattr(model.text, "tokenizer", None), "words", None)
    kept = [phrase.strip() for phrase in phrases.split(",") if phrase.strip()]
    if words is not None:
        kept = [phrase for phrase in kept if set(split_words(phrase)) <= set(words)]
    return ", ".join(kept)


def _check_released(steps: int) -> None:
    if not 2 <= steps < TRAINING_STEPS:
        raise ValueError(
            f"steps is {steps}; this model walks the released demo's time steps, which need 2 to "
            f"{TRAINING_STEPS - 1} (the demo: {STEPS})"
        )


def _check_inputs(skeletons: Tensor, texts: Sequence[str]) -> None:
    if skeletons.ndim != 4 or skeletons.shape[1] != 3:
        raise ValueError(f"skeletons of shape {tuple(skeletons.shape)}: (B,3,H,W) is needed")
    if any(side == 0 or side % SIDE_MULTIPLE for side in skeletons.shape[-2:]):
        raise ValueError(
            f"skeletons of {skeletons.shape[-1]} x {skeletons.shape[-2]} pixels: both sides must be "
            f"multiples of {SIDE_MULTIPLE}"
        )
    if not torch.isfinite(skeletons).all():
        raise ValueError("skeletons hold NaN or infinity: fix the picture that goes in")
    if isinstance(texts, str) or len(texts) != len(skeletons):
        raise ValueError(f"{len(skeletons)} skeletons came with {len(texts)} texts; one for each is needed")
