"""CFLD's sampling: a person in another pose, between two people's looks, or with a part dressed anew.

Everything here works at the model's own sizes; other sizes are handled outside (pipeline.py). Pictures are
(B,3,S,S) float 0..1, masks (B,1,S,S), pose pictures (B,21,P,P).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..diffusion.compose import cover
from ..diffusion.guidance import cfg, cumulative
from ..diffusion.sampling import (
    TRAINING_STEPS,
    Fuse,
    OnStep,
    ddim_scheduler,
    draw_noise,
    keep_known,
    picture_seeds,
    pndm_scheduler,
    sample,
)
from .attention import predict_noise
from .networks import Appearance, CFLDModel

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

STEPS, WEIGHT = 50, 2.0
DDPM, DDIM, PNDM = SCHEDULERS = ("ddpm", "ddim", "pndm")
"""ddpm is the released one, which adds fresh noise at every step; the others do with 20 steps."""
_STEP_NOISE = 0x5DEECE66D
"""Keeps the seeds of the noise of steps apart from those of the noise that the sampling starts with."""


class Weights(NamedTuple):
    """Cumulative guidance: of the pose and of the appearance; 1 and 1 is none."""

    pose: float = WEIGHT
    appearance: float = WEIGHT


@dataclass(frozen=True)
class Kept:
    """A reference picture of which everything outside the mask stays at every step."""

    reference: Tensor
    mask: Tensor


class Branch(NamedTuple):
    """What the U-Net sees of the conditions: a prompt, and residuals and biases, or none of these."""

    prompt: Tensor
    residuals: Sequence[Tensor] = ()
    biases: Sequence[Tensor] = ()


@torch.no_grad()
def appearance_of(
    model: CFLDModel, source: Tensor, second: Tensor | None = None, mix: float = 0.0
) -> Appearance:
    """The appearance of square source pictures (B,3,s,s) in 0..1; with a second one, their mixture.

    mix: 0 is the source alone, 1 the second one alone, bit for bit.
    """
    first = model.networks.appearance(source.to(model.device))
    if second is None:
        return first
    return first.mixed(model.networks.appearance(second.to(model.device)), mix)


@torch.no_grad()
def repose(
    model: CFLDModel,
    appearance: Appearance,
    pose: Tensor,
    *,
    kept: Kept | None = None,
    weights: Weights | None = None,
    scheduler: str = DDPM,
    steps: int = STEPS,
    seed: int | Sequence[int] = 0,
    on_step: OnStep | None = None,
) -> Tensor:
    """People of that appearance in the pose of the pose pictures, denoised from pure noise: (B,3,S,S).

    scheduler: one of SCHEDULERS. seed: one number (pictures count up from it) or one per picture.
    """
    seeds = picture_seeds(seed, len(pose))
    noise = draw_noise(seeds, model.latent_shape, model.device)
    steps_of = scheduler_of(scheduler, seeds)
    predict = Guided(model, branches_of(model, appearance, pose), weights or Weights())
    fuse = None if kept is None else _fuse(model, kept, steps_of, noise)
    return model.decode(sample(predict, noise, steps_of, steps, fuse=fuse, on_step=on_step))


def branches_of(model: CFLDModel, appearance: Appearance, pose: Tensor) -> tuple[Branch, Branch, Branch]:
    """Without any condition, with the pose alone, and with both."""
    residuals = model.networks.pose(pose.to(model.device))
    null = model.networks.null_prompt(len(pose))
    return Branch(null), Branch(null, residuals), Branch(appearance.prompt, residuals, appearance.biases)


class Guided:
    """eps(z_t, t) = e(0,0) + w_p (e(p,0) - e(0,0)) + w_a (e(p,a) - e(p,0)).

    The branches run as one batch. Those that cancel are not computed: with w_p = w_a, as released, e(p,0).
    """

    def __init__(self, model: CFLDModel, branches: Sequence[Branch], weights: Weights) -> None:
        self.model = model
        none, posed, full = branches
        pose, appearance = weights
        self.combine: Callable[..., Tensor]
        if pose == appearance == 1.0:
            used, self.combine = [full], lambda only: only
        elif pose == appearance:
            used, self.combine = [none, full], lambda first, last: cfg(first, last, pose)
        elif pose == 1.0:
            used, self.combine = [posed, full], lambda first, last: cfg(first, last, appearance)
        else:
            used = [none, posed, full]
            self.combine = lambda *three: cumulative(three[0], three[1], three[2], pose, appearance)
        self.count, self.branch = len(used), joined(used, full)

    def __call__(self, latents: Tensor, t: Tensor) -> Tensor:
        unet = self.model.unet
        inputs = latents.repeat(self.count, 1, 1, 1).to(next(unet.parameters()).dtype)
        branch = Branch(*(_like(inputs, values) for values in self.branch))
        made = predict_noise(unet, inputs, t, *branch).float()
        return self.combine(*made.chunk(self.count))


def _like(inputs: Tensor, values: Any) -> Any:
    """Tensors, or sequences of them, in another's dtype."""
    return values.to(inputs) if isinstance(values, Tensor) else [value.to(inputs) for value in values]


def joined(branches: Sequence[Branch], full: Branch) -> Branch:
    """One branch of as many times the batch; zeros where a branch lacks what `full` has."""

    def together(given: list[Sequence[Tensor]], like: Sequence[Tensor]) -> list[Tensor]:
        return [
            torch.cat([values[number] if values else torch.zeros_like(one) for values in given])
            for number, one in enumerate(like)
        ]

    return Branch(
        torch.cat([branch.prompt for branch in branches]),
        together([branch.residuals for branch in branches], full.residuals),
        together([branch.biases for branch in branches], full.biases),
    )


def _fuse(model: CFLDModel, kept: Kept, scheduler: Any, noise: Tensor) -> Fuse:
    """z_t = m z_t + (1 - m) q(z_ref, t): cells with any pixel of the mask are free."""
    known = model.encode(kept.reference)
    free = cover(kept.mask.to(noise), (noise.shape[-2], noise.shape[-1]))
    return keep_known(scheduler, known, noise, free)


# Schedulers


def scheduler_of(name: str, seeds: Sequence[int]) -> Any:
    """The scheduler of that name; ValueError lists the known ones. seeds: of the pictures."""
    if name not in SCHEDULERS:
        raise ValueError(f"scheduler is {name!r}; it is one of {', '.join(SCHEDULERS)}")
    if name == DDPM:
        return SeededDDPM(seeds)
    return ddim_scheduler() if name == DDIM else pndm_scheduler()


class SeededDDPM:
    """DDPM as released (leading time steps, offset 1), whose noise depends on each picture's seed alone."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.scheduler = _ddpm_scheduler()
        self.generators = [
            torch.Generator("cpu").manual_seed((int(seed) ^ _STEP_NOISE) % 2**63) for seed in seeds
        ]

    @property
    def timesteps(self) -> Tensor:
        return self.scheduler.timesteps

    @property
    def alphas_cumprod(self) -> Tensor:
        return self.scheduler.alphas_cumprod

    def set_timesteps(self, steps: int) -> None:
        self.scheduler.set_timesteps(steps)

    def step(self, noise: Tensor, t: Tensor, latents: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """One step; only the form without a dict."""
        return self.scheduler.step(noise, t, latents, generator=self.generators, return_dict=return_dict)  # type: ignore[arg-type]


def _ddpm_scheduler() -> DDPMScheduler:
    from diffusers import DDPMScheduler

    return DDPMScheduler(
        num_train_timesteps=TRAINING_STEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        timestep_spacing="leading",
        steps_offset=1,
    )
