"""The one sampling loop of all methods, for every scheduler of schedulers.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .compose import cover, said_of_empty
from .schedulers import TRAINING_STEPS, timesteps_of
from .seeds import cpu_generator

CLEAN = -1
"""The time step of a picture without noise."""

PredictNoise = Callable[[Tensor, Tensor], Tensor]
"""(z_t (B,C,h,w), t as a scalar int64 tensor) -> predicted noise eps (B,C,h,w), guidance included."""
Fuse = Callable[[Tensor, int, int], Tensor]
"""(z_t (B,C,h,w), t, number of the step) -> latents to go on with. t is CLEAN after the last step."""
OnStep = Callable[[int, int, Tensor], None]
"""(steps done, steps in all, current estimate of z_0 (B,C,h,w)). May raise, which ends the sampling."""


def schedule_for(steps: int, strength: float) -> tuple[int, int]:
    """(length of the schedule, first step that is executed) so that exactly `steps` steps execute.

    strength: s in (0,1], the share of the noise schedule that is walked: s = 0.5 with 20 steps is the last 20
    of 40. Raises ValueError for other values and for schedules longer than the 1000 steps of training.

    >>> schedule_for(20, 0.5)
    (40, 20)
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; at least 1 is needed")
    if not 0.0 < strength <= 1.0:
        raise ValueError(
            f"noise strength is {strength}; a value above 0 and up to 1 is needed (the paper: 0.5)"
        )
    total = round(steps / strength)
    if total > TRAINING_STEPS:
        raise ValueError(
            f"{steps} steps at noise strength {strength} need a schedule of {total} steps, and "
            f"{TRAINING_STEPS} is the most: lower steps or raise the strength"
        )
    return total, total - steps


def sample(
    predict_noise: PredictNoise,
    latents: Tensor,
    scheduler: Any,
    steps: int,
    *,
    start_step: int = 0,
    fuse: Fuse | None = None,
    on_step: OnStep | None = None,
    clean_end: bool = True,
) -> Tensor:
    """Denoise `latents` (B,C,h,w) along steps start_step..steps of the scheduler; gives z_0 (B,C,h,w).

    Args:
        predict_noise: the model, guidance included.
        latents: pure noise for start_step 0, else latents at the noise level of step start_step (`noised`).
        scheduler: of `scheduler_of`.
        steps: length of the schedule, 1 to 1000.
        start_step: the first step that is executed, from 0.
        fuse: called before every prediction, with the number of the step from 0, and once at the end.
        on_step: called after every prediction; may raise, which ends the sampling.
        clean_end: give the last estimate of z_0. False: what the scheduler's last step leaves, as released
            code does; for schedules that end above t = 0 there is a little noise in it.

    Returns:
        z_0; with clean_end no step count leaves noise behind.

    Raises:
        ValueError: for a number of steps that the scheduler does not take.
    """
    clean = latents
    timesteps = timesteps_of(scheduler, steps, start_step)
    numbers = step_numbers(timesteps)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start_step)
    for done, t in enumerate(timesteps):
        if fuse is not None:
            latents = fuse(latents, int(t), numbers[done])
        noise = predict_noise(latents, t.to(latents.device)).to(latents.dtype)
        clean = clean_estimate(scheduler, latents, noise, int(t))
        latents = scheduler.step(noise, t, latents, return_dict=False)[0]
        if on_step is not None:
            on_step(done + 1, len(timesteps), clean)
    made = clean if clean_end else latents
    return made if fuse is None else fuse(made, CLEAN, numbers[-1] + 1)


def step_numbers(timesteps: Tensor) -> list[int]:
    """The number of the step, from 0, of each prediction; a time step that is taken twice is one step."""
    return torch.unique_consecutive(timesteps, return_inverse=True)[1].tolist()


def clean_estimate(scheduler: Any, latents: Tensor, noise: Tensor, t: int) -> Tensor:
    """z_0 = (z_t - sqrt(1 - abar_t) eps) / sqrt(abar_t).

    Args:
        scheduler: of `scheduler_of`.
        latents: z_t, (B,C,h,w).
        noise: eps, (B,C,h,w).
        t: the time step, 0..999.

    Returns:
        z_0, (B,C,h,w).
    """
    alpha = float(scheduler.alphas_cumprod[t])
    return (latents - (1.0 - alpha) ** 0.5 * noise) / alpha**0.5


def noised(scheduler: Any, latents: Tensor, noise: Tensor, t: int) -> Tensor:
    """z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps.

    Args:
        scheduler: of `scheduler_of`.
        latents: z_0, (B,C,h,w).
        noise: eps, (B,C,h,w).
        t: the time step, 0..999, or CLEAN, which gives z_0 itself.

    Returns:
        z_t, (B,C,h,w).
    """
    if t == CLEAN:
        return latents
    alpha = float(scheduler.alphas_cumprod[t])
    return alpha**0.5 * latents + (1.0 - alpha) ** 0.5 * noise


def keep_known(scheduler: Any, known: Tensor, noise: Tensor, mask: Tensor | Callable[[int], Tensor]) -> Fuse:
    """Per-step latent fusion: outside the mask z_t is the known picture at the noise level of t.

    Args:
        scheduler: of `scheduler_of`.
        known: z_0 of the known picture, (B,C,h,w).
        noise: one fixed draw, (B,C,h,w).
        mask: (B,1,h,w), 1 = free to change; or a function from the number of the step to such a mask, for
            masks that grow.

    Returns:
        A function for `sample`.
    """

    def fuse(latents: Tensor, t: int, step: int) -> Tensor:
        free = mask(step) if callable(mask) else mask
        return torch.where(free > 0.5, latents, noised(scheduler, known, noise, t))

    return fuse


@dataclass(frozen=True)
class Kept:
    """A reference picture (B,3,H,W) of which everything outside the mask (B,1,H,W) stays at every step."""

    reference: Tensor
    mask: Tensor


def keep_outside(kept: Kept, known: Tensor, scheduler: Any, noise: Tensor) -> Fuse:
    """`keep_known` for a reference whose latents are `known`: cells with any pixel of the mask are free.

    Args:
        kept: the reference, and what may change of it.
        known: latents (B,C,h,w) of the reference.
        scheduler: of `scheduler_of`.
        noise: one fixed draw, (B,C,h,w).
    """
    return keep_known(scheduler, known, noise, cover(kept.mask.to(noise), (noise.shape[-2], noise.shape[-1])))


def check_kept(reference: Tensor | None, mask: Tensor | None, task: str) -> None:
    """ValueError, naming the inputs, for one without the other, and for an empty mask. task: what for."""
    if (mask is None) != (reference is None):
        missing, there = ("mask", "reference") if mask is None else ("reference", "mask")
        raise ValueError(
            f"{there} came without {missing}: {task} needs the reference picture and the mask of what "
            "changes in it. Connect both or neither"
        )
    if mask is not None and not bool((mask > 0.5).any()):
        raise ValueError(
            f"mask {said_of_empty(mask)}, so nothing would change: paint what is to change in the reference"
        )


def image_seeds(seed: int | Sequence[int], count: int) -> list[int]:
    """One seed per picture: seed, seed+1, ...; a sequence is taken as it is and must have `count` entries.

    >>> image_seeds(7, 3)
    [7, 8, 9]
    """
    if isinstance(seed, int):
        return [seed + index for index in range(count)]
    if len(seed) != count:
        raise ValueError(
            f"{len(seed)} seeds for {count} pictures: give one number, or one seed for each picture"
        )
    return list(seed)


def draw_noise(seeds: Sequence[int], shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """Standard normal noise (B, *shape), float32; row i depends on seeds[i] alone, on any device.

    Drawn on the CPU and then moved: a picture is the same alone and in a batch, on a CPU and on a GPU.
    """
    rows = [torch.randn(tuple(shape), generator=cpu_generator(seed)) for seed in seeds]
    return torch.stack(rows).to(device)
