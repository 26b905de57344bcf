"""The table of schedulers: each against diffusers' own loop, DDIM against its formula, noise by seed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from figura.models.diffusion import sampling, schedulers
from figura.models.diffusion.schedulers import ADDS_NOISE, SCHEDULERS, scheduler_of, timesteps_of
from figura.models.diffusion.seeds import cpu_generator
from torch import Tensor

every_scheduler = pytest.mark.parametrize("name", SCHEDULERS)
SHAPE = (2, 4, 3, 3)
SEEDS = (11, 12)


def start() -> Tensor:
    return sampling.draw_noise(SEEDS, SHAPE[1:])


def wavy(latents: Tensor, t: Tensor) -> Tensor:
    """A smooth noise prediction that depends on latents and time."""
    return 0.7 * latents + 0.3 * torch.sin(latents * 3 + int(t) / 200)


def right(clean: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The prediction of a model that knows the clean latents."""
    alphas = scheduler_of("ddim").alphas_cumprod

    def predict(latents: Tensor, t: Tensor) -> Tensor:
        alpha = float(alphas[int(t)])
        return (latents - alpha**0.5 * clean) / (1 - alpha) ** 0.5

    return predict


def seen_by_model(name: str, steps: int) -> tuple[list[Tensor], Tensor]:
    """All latents that the model is asked about in our loop, and the result."""
    seen: list[Tensor] = []

    def predict(latents: Tensor, t: Tensor) -> Tensor:
        seen.append(latents)
        return wavy(latents, t)

    return seen, sampling.sample(predict, start(), scheduler_of(name, SEEDS), steps)


@every_scheduler
@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_the_loop_is_diffusers_own(name: str, steps: int) -> None:
    """Bit for bit: a plain loop over the scheduler's time steps, with one generator for each picture."""
    scheduler = SCHEDULERS[name](schedulers.STABLE_DIFFUSION)
    noise = [torch.Generator().manual_seed(seed ^ schedulers.STEP_NOISE) for seed in SEEDS]
    extra = {"generator": noise} if name in ADDS_NOISE else {}
    scheduler.set_timesteps(steps)
    latents, expected = start(), []
    for t in scheduler.timesteps:
        expected.append(latents)
        latents = scheduler.step(wavy(latents, t), t, latents, **extra).prev_sample
    seen, made = seen_by_model(name, steps)
    assert len(seen) == len(expected)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(seen, expected, strict=True))
    assert made.isfinite().all()


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_ddim_is_its_formula(steps: int) -> None:
    """z_s = sqrt(abar_s) z_0 + sqrt(1 - abar_s) eps, z_0 = (z_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alphas = (1 - betas).cumprod(0)
    times = [round(1000 - i * 1000 / steps) - 1 for i in range(steps)]
    latents = start().double()
    for t, after in zip(times, [*times[1:], None], strict=True):
        noise = wavy(latents, torch.tensor(t))
        clean = (latents - (1 - alphas[t]).sqrt() * noise) / alphas[t].sqrt()
        share = torch.tensor(1.0) if after is None else alphas[after]
        latents = share.sqrt() * clean + (1 - share).sqrt() * noise
    made = sampling.sample(wavy, start(), scheduler_of("ddim"), steps)
    torch.testing.assert_close(made.double(), latents, atol=1e-4, rtol=1e-4)


@every_scheduler
@pytest.mark.parametrize("strength", [1.0, 0.5, 0.2])
def test_a_right_model_arrives_at_the_clean_latents_from_any_noise_level(name: str, strength: float) -> None:
    clean, scheduler = (
        torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)),
        scheduler_of(name, SEEDS),
    )
    total, first = sampling.schedule_for(6, strength)
    t = int(timesteps_of(scheduler, total, first)[0])
    levels: list[tuple[Tensor, int]] = []

    def predict(latents: Tensor, t: Tensor) -> Tensor:
        levels.append((latents, int(t)))
        return right(clean)(latents, t)

    noisy = sampling.noised(scheduler, clean, start(), t)
    made = sampling.sample(predict, noisy, scheduler, total, start_step=first)
    torch.testing.assert_close(made, clean, atol=2e-3, rtol=1e-3)
    if name not in ADDS_NOISE:
        for latents, at in levels:
            expected = sampling.noised(scheduler, clean, start(), at)
            torch.testing.assert_close(latents, expected, atol=0.02, rtol=0.02)


@every_scheduler
def test_walks_fall_and_number_their_steps(name: str) -> None:
    for steps, first in ((1, 0), (2, 0), (6, 0), (20, 10), (20, 19)):
        times = timesteps_of(scheduler_of(name, SEEDS), steps, first)
        numbers = sampling.step_numbers(times)
        assert (times[1:] <= times[:-1]).all() and 0 <= times[-1] and times[0] <= 999
        assert numbers[0] == 0 and numbers[-1] == steps - first - 1
        assert sorted(set(numbers)) == list(range(steps - first))


@every_scheduler
def test_the_known_part_is_exact_and_masks_are_asked_for_known_steps(name: str) -> None:
    scheduler, known = scheduler_of(name, SEEDS), torch.randn(SHAPE)
    free, asked = torch.zeros(2, 1, 3, 3), []
    free[..., 1, 1] = 1

    def mask(step: int) -> Tensor:
        asked.append(step)
        return free

    fuse = sampling.keep_known(scheduler, known, start(), mask)
    made = sampling.sample(wavy, start(), scheduler, 5, fuse=fuse)
    outside = (free == 0).expand_as(known)
    assert torch.equal(made[outside], known[outside]) and not torch.equal(made[~outside], known[~outside])
    numbers = sampling.step_numbers(timesteps_of(scheduler_of(name, SEEDS), 5))
    assert asked == [*numbers, 5] and sorted(set(asked)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ADDS_NOISE)
def test_fresh_noise_is_that_of_the_pictures_seed(name: str) -> None:
    both = sampling.sample(wavy, start(), scheduler_of(name, SEEDS), 4)
    alone = sampling.sample(wavy, start()[1:], scheduler_of(name, SEEDS[1:]), 4)
    other = sampling.sample(wavy, start(), scheduler_of(name, (11, 99)), 4)
    assert torch.equal(both[1:], alone)
    assert torch.equal(both[0], other[0]) and not torch.allclose(both[1], other[1], atol=1e-3)


@pytest.mark.parametrize("name", ADDS_NOISE)
def test_the_noise_of_steps_is_not_the_one_at_the_start(name: str) -> None:
    scheduler = scheduler_of(name, [3])
    scheduler.set_timesteps(50)
    first, zero = sampling.draw_noise([3], (4, 8, 8)), torch.zeros(1, 4, 8, 8)
    added = scheduler.step(zero, scheduler.timesteps[0], zero)[0]
    correlation = torch.corrcoef(torch.stack([added.flatten(), first.flatten()]))[0, 1]
    assert added.std() > 0 and abs(float(correlation)) < 0.3


def test_ddpm_walks_the_released_time_steps() -> None:
    assert timesteps_of(scheduler_of("ddpm", [0]), 50).tolist() == list(range(981, 0, -20))


def test_ddpm_is_its_formula_and_does_not_clip() -> None:
    """z_s of q(z_s | z_t, z_0), whose z_0 lies far outside of -1..1 here."""
    scheduler = scheduler_of("ddpm", SEEDS)
    t, s = timesteps_of(scheduler, 50)[10:12].tolist()
    latents, eps = 4 * start().double(), 2 * start().double().flip(0)
    alphas = scheduler.alphas_cumprod.double()
    share = alphas[t] / alphas[s]
    clean = (latents - (1 - alphas[t]).sqrt() * eps) / alphas[t].sqrt()
    assert clean.abs().max() > 3
    mean = alphas[s].sqrt() * (1 - share) * clean + share.sqrt() * (1 - alphas[s]) * latents
    spread = ((1 - alphas[s]) * (1 - share) / (1 - alphas[t])).sqrt()
    drawn = [torch.randn(SHAPE[1:], generator=cpu_generator(seed, schedulers.STEP_NOISE)) for seed in SEEDS]
    made = scheduler.step(eps.float(), torch.tensor(t), latents.float())[0]
    expected = mean / (1 - alphas[t]) + spread * torch.stack(drawn)
    torch.testing.assert_close(made.double(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "most"), [("ddim", 1000), ("ddpm", 999), ("lcm", 50)])
def test_too_many_steps_are_told_how_many_are_taken(name: str, most: int) -> None:
    assert len(timesteps_of(scheduler_of(name), most)) == most
    for steps in (0, most + 1):
        with pytest.raises(ValueError, match=f"steps is {steps}; this scheduler takes 1 to {most} "):
            timesteps_of(scheduler_of(name), steps)


def test_an_unknown_scheduler_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=f"scheduler is 'plain'; it is one of {', '.join(SCHEDULERS)}"):
        scheduler_of("plain")


RELEASED = {
    "pndm": schedulers.pndm_leading,
    "ddim": schedulers.ddim_leading,
}
"""Along the time steps of Stable Diffusion's first code, as released methods configure diffusers."""


@pytest.mark.parametrize("name", RELEASED)
@pytest.mark.parametrize("steps", [20, 50])
def test_released_runs_are_diffusers_own_to_the_last_bit(name: str, steps: int) -> None:
    from diffusers import DDIMScheduler, PNDMScheduler

    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    settings = {**betas, "steps_offset": 1, "set_alpha_to_one": False}
    theirs = (
        PNDMScheduler(**settings, skip_prk_steps=True)
        if name == "pndm"
        else DDIMScheduler(**settings, clip_sample=False)
    )
    theirs.set_timesteps(steps)
    latents, times = start(), []
    for t in theirs.timesteps:
        latents = theirs.step(wavy(latents, t), t, latents).prev_sample

    def predict(z: Tensor, t: Tensor) -> Tensor:
        times.append(int(t))
        return wavy(z, t)

    ours = RELEASED[name](schedulers.STABLE_DIFFUSION)
    made = sampling.sample(predict, start(), ours, steps, clean_end=False)
    assert times == theirs.timesteps.tolist()
    assert torch.equal(made, latents)


def test_released_pndm_of_50_steps_has_the_time_steps_of_stable_diffusion() -> None:
    times = timesteps_of(schedulers.pndm_leading(schedulers.STABLE_DIFFUSION), 50).tolist()
    assert times == [981, 961, *range(961, 0, -20)]
