"""The schedulers that samplers offer, one table: functions from a noise schedule to a diffusers scheduler.

All of them work on alphas (z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps). They are named as users of ComfyUI
know them; pndm is also called plms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .seeds import cpu_generator

TRAINING_STEPS = 1000
NoiseSchedule = Mapping[str, Any]
"""Number of training steps and betas, as diffusers takes them."""
STABLE_DIFFUSION: NoiseSchedule = {
    "num_train_timesteps": TRAINING_STEPS,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
STEP_NOISE = 0x5DEECE66D
"""Keeps the seeds of the noise of steps apart from those of the noise that the sampling starts with."""


def ddim(schedule: NoiseSchedule) -> Any:
    """DDIM with eta 0; its first step is t = 999 at any count."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(**schedule, clip_sample=False, timestep_spacing="trailing")


def ddim_leading(schedule: NoiseSchedule) -> Any:
    """DDIM along the time steps of Stable Diffusion's first code: of 50 steps t = 981, 961, ..., 1."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        **schedule, clip_sample=False, timestep_spacing="leading", steps_offset=1, set_alpha_to_one=False
    )


def ddpm(schedule: NoiseSchedule) -> Any:
    """DDPM along the same time steps, as CFLD's authors sample."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(**schedule, clip_sample=False, timestep_spacing="leading", steps_offset=1)


def pndm(schedule: NoiseSchedule) -> Any:
    """PNDM without Runge-Kutta steps (PLMS); one more network call than steps."""
    from diffusers import PNDMScheduler

    return PNDMScheduler(**schedule, skip_prk_steps=True, timestep_spacing="trailing")


def pndm_leading(schedule: NoiseSchedule) -> Any:
    """PNDM as Stable Diffusion 1.5 configures it: of 50 steps t = 981, 961, 961, 941, ..., 1."""
    from diffusers import PNDMScheduler

    return PNDMScheduler(
        **schedule, skip_prk_steps=True, timestep_spacing="leading", steps_offset=1, set_alpha_to_one=False
    )


def dpmpp_2m(schedule: NoiseSchedule) -> Any:
    """DPM-Solver++ of second order, multistep."""
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler(**schedule, solver_order=2, timestep_spacing="trailing")


def lcm(schedule: NoiseSchedule) -> Any:
    """Latent consistency: at most 50 steps, for models that were distilled for it (4 to 8 steps then do)."""
    from diffusers import LCMScheduler

    return LCMScheduler(**schedule, clip_sample=False)


DDIM, DDPM, PNDM, DPMPP_2M, LCM = "ddim", "ddpm", "pndm", "dpmpp_2m", "lcm"
SCHEDULERS: dict[str, Callable[[NoiseSchedule], Any]] = {
    DDIM: ddim,
    DPMPP_2M: dpmpp_2m,
    PNDM: pndm,
    DDPM: ddpm,
    LCM: lcm,
}
"""Name -> scheduler, in the order in which they are offered."""
ADDS_NOISE = (DDPM, LCM)
"""Those that add fresh noise at every step; it is drawn from the seed of each picture."""


def scheduler_of(name: str, seeds: Sequence[int] = ()) -> Any:
    """The scheduler of that name, with Stable Diffusion's noise levels; ValueError lists the known ones.

    seeds: of the pictures, one each.
    """
    if name not in SCHEDULERS:
        raise ValueError(f"scheduler is {name!r}; it is one of {', '.join(SCHEDULERS)}")
    scheduler = SCHEDULERS[name](STABLE_DIFFUSION)
    return Seeded(scheduler, seeds) if name in ADDS_NOISE else scheduler


class Seeded:
    """A scheduler whose noise at every step depends on each picture's seed alone, on any device."""

    def __init__(self, scheduler: Any, seeds: Sequence[int]) -> None:
        self.scheduler = scheduler
        self.generators = [cpu_generator(seed, salt=STEP_NOISE) for seed in seeds]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.scheduler, name)

    def step(self, noise: Tensor, t: Tensor, latents: Tensor, return_dict: bool = False) -> Any:
        """One step of diffusers with the pictures' own noise.

        Args:
            noise: the predicted noise, (B,C,h,w).
            t: the time step, a scalar.
            latents: z_t, (B,C,h,w).
            return_dict: whether to give diffusers' output object in place of a tuple.
        """
        return self.scheduler.step(noise, t, latents, generator=self.generators, return_dict=return_dict)


def timesteps_of(scheduler: Any, steps: int, start: int = 0) -> Tensor:
    """The time steps that are walked: those from number `start` on of a schedule of `steps`.

    Falling, int64 on the CPU; PNDM takes its second one twice. Raises ValueError for a schedule that is too
    long for the scheduler, or shorter than one step.
    """
    offset = scheduler.config.get("steps_offset", 0)
    most = min(scheduler.config.get("original_inference_steps", TRAINING_STEPS), TRAINING_STEPS - offset)
    if not 1 <= steps <= most:
        raise ValueError(
            f"steps is {steps}; this scheduler takes 1 to {most} (with a noise strength, steps / strength "
            "counts): change steps or choose another scheduler"
        )
    scheduler.set_timesteps(steps)
    # For some counts (61, 103, ...) rounding gives diffusers' trailing spacing one step too many, at t = -1.
    times = scheduler.timesteps[scheduler.timesteps >= 0].cpu()
    distinct = times.unique_consecutive()
    walked = distinct[start:]
    return walked if len(distinct) == len(times) else torch.cat([walked[:2], walked[1:]])
