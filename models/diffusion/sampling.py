"""The one sampling loop of all methods: any diffusers scheduler that works on alphas, DDIM by default."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import DDIMScheduler, PNDMScheduler

TRAINING_STEPS = 1000
CLEAN = -1
"""The time step of a picture without noise."""

PredictNoise = Callable[[Tensor, Tensor], Tensor]
"""(z_t (B,C,h,w), t as a scalar int64 tensor) -> predicted noise eps (B,C,h,w), guidance included."""
Fuse = Callable[[Tensor, int, int], Tensor]
"""(z_t (B,C,h,w), t, number of the step) -> latents to go on with. t is CLEAN after the last step."""
OnStep = Callable[[int, int, Tensor], None]
"""(steps done, steps in all, current estimate of z_0 (B,C,h,w)). May raise, which ends the sampling."""


def ddim_scheduler() -> DDIMScheduler:
    """DDIM with eta 0 on the Stable Diffusion noise schedule; its first step is t = 999 at any count."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=TRAINING_STEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        timestep_spacing="trailing",
    )


def pndm_scheduler() -> PNDMScheduler:
    """PNDM without Runge-Kutta steps (PLMS) on the same schedule; one more network call than steps."""
    from diffusers import PNDMScheduler

    return PNDMScheduler(
        num_train_timesteps=TRAINING_STEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        timestep_spacing="trailing",
    )


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


def timesteps_of(scheduler: Any, steps: int) -> Tensor:
    """The time steps of a schedule of `steps`, falling, (steps,) int64 on the CPU; PNDM takes its second one
    twice. ValueError beyond 1..1000.
    """
    if not 1 <= steps <= TRAINING_STEPS:
        raise ValueError(f"steps is {steps}; a number from 1 to {TRAINING_STEPS} is needed")
    scheduler.set_timesteps(steps)
    # For some counts (61, 103, ...) rounding gives diffusers' trailing spacing one step too many, at t = -1.
    return scheduler.timesteps[scheduler.timesteps >= 0].cpu()


def sample(
    predict_noise: PredictNoise,
    latents: Tensor,
    scheduler: Any,
    steps: int,
    *,
    start_step: int = 0,
    fuse: Fuse | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Denoise `latents` (B,C,h,w) along steps start_step..steps of the scheduler; gives z_0 (B,C,h,w).

    latents: pure noise for start_step 0, else latents at the noise level of step start_step (`noised`).
    fuse: called before every prediction and once at the end. on_step: called after every step.
    The result is the last estimate of z_0, so that no step count leaves noise behind.
    """
    clean = latents
    timesteps = timesteps_of(scheduler, steps)[start_step:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start_step)
    for done, t in enumerate(timesteps):
        if fuse is not None:
            latents = fuse(latents, int(t), done)
        noise = predict_noise(latents, t.to(latents.device)).to(latents.dtype)
        clean = clean_estimate(scheduler, latents, noise, int(t))
        latents = scheduler.step(noise, t, latents, return_dict=False)[0]
        if on_step is not None:
            on_step(done + 1, len(timesteps), clean)
    return clean if fuse is None else fuse(clean, CLEAN, len(timesteps))


def clean_estimate(scheduler: Any, latents: Tensor, noise: Tensor, t: int) -> Tensor:
    """z_0 = (z_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)."""
    alpha = float(scheduler.alphas_cumprod[t])
    return (latents - (1.0 - alpha) ** 0.5 * noise) / alpha**0.5


def noised(scheduler: Any, latents: Tensor, noise: Tensor, t: int) -> Tensor:
    """z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps; t = CLEAN gives z_0 itself."""
    if t == CLEAN:
        return latents
    alpha = float(scheduler.alphas_cumprod[t])
    return alpha**0.5 * latents + (1.0 - alpha) ** 0.5 * noise


def keep_known(scheduler: Any, known: Tensor, noise: Tensor, mask: Tensor | Callable[[int], Tensor]) -> Fuse:
    """Per-step latent fusion: outside the mask z_t is the known picture at the noise level of t.

    known: z_0 of the known picture, (B,C,h,w). noise: one fixed draw, (B,C,h,w). mask: (B,1,h,w), 1 = free to
    change; or a function from the number of the step to such a mask, for masks that grow.
    """

    def fuse(latents: Tensor, t: int, step: int) -> Tensor:
        free = mask(step) if callable(mask) else mask
        return torch.where(free > 0.5, latents, noised(scheduler, known, noise, t))

    return fuse


def picture_seeds(seed: int | Sequence[int], count: int) -> list[int]:
    """One seed per picture: seed, seed+1, ...; a sequence is taken as it is and must have `count` entries.

    >>> picture_seeds(7, 3)
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


def cpu_generator(seed: int, salt: int = 0) -> torch.Generator:
    """A generator on the CPU for a seed of 64 bits. salt: another number gives other noise of the same seed.

    PyTorch's generator looks at 32 bits only, so that 0 and 2**32 would be one picture: what lies above them
    is mixed in first. Seeds below 2**32 are taken as they are.

    >>> cpu_generator(7).initial_seed()
    7
    >>> cpu_generator(2**32).initial_seed() == cpu_generator(0).initial_seed()
    False
    """
    seed = int(seed) % 2**64
    if seed >= 2**32:
        digest = hashlib.blake2b(seed.to_bytes(8, "little"), digest_size=4).digest()
        seed = int.from_bytes(digest, "little")
    return torch.Generator("cpu").manual_seed((seed ^ salt) % 2**32)
