"""The sampling loop: number of steps, fusion, noise levels, cancelling."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion import sampling
from figura.models.diffusion.schedulers import DDIM, scheduler_of, timesteps_of
from torch import Tensor


class Oracle:
    """Knows the clean latents, so that its noise prediction is right at every step."""

    def __init__(self, clean: Tensor) -> None:
        self.clean, self.times = clean, []
        self.scheduler = scheduler_of(DDIM)

    def __call__(self, latents: Tensor, t: Tensor) -> Tensor:
        self.times.append(int(t))
        alpha = float(self.scheduler.alphas_cumprod[int(t)])
        return (latents - alpha**0.5 * self.clean) / (1 - alpha) ** 0.5


def clean_latents() -> Tensor:
    return torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 61, 103])
def test_a_right_predictor_arrives_at_the_clean_latents(steps: int) -> None:
    oracle = Oracle(clean_latents())
    noise = sampling.draw_noise([0, 1], (4, 3, 3))
    result = sampling.sample(oracle, noise, oracle.scheduler, steps)
    torch.testing.assert_close(result, oracle.clean, atol=2e-3, rtol=1e-3)
    assert len(oracle.times) == steps and oracle.times[0] == 999


def test_every_count_gives_that_many_falling_steps() -> None:
    scheduler = scheduler_of(DDIM)
    for steps in range(1, 1001):
        times = timesteps_of(scheduler, steps)
        assert len(times) == steps and times[-1] >= 0 and times[0] == 999
        assert (times[1:] < times[:-1]).all()


@pytest.mark.parametrize("strength", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_exactly_the_asked_steps_execute(steps: int, strength: float) -> None:
    oracle = Oracle(clean_latents())
    total, start = sampling.schedule_for(steps, strength)
    seen: list[tuple[int, int]] = []
    sampling.sample(
        oracle, clean_latents(), oracle.scheduler, total, start_step=start,
        on_step=lambda done, count, clean: seen.append((done, count)),
    )  # fmt: skip
    assert seen == [(done + 1, steps) for done in range(steps)]
    assert len(oracle.times) == steps


def test_half_strength_with_twenty_steps_is_the_last_half_of_forty() -> None:
    assert sampling.schedule_for(20, 0.5) == (40, 20)
    assert int(timesteps_of(scheduler_of(DDIM), 40)[20]) == 499


@pytest.mark.parametrize(
    ("steps", "strength"), [(0, 0.5), (20, 0.0), (20, -0.1), (20, 1.01), (20, float("nan")), (20, 0.01)]
)
def test_impossible_strengths_and_steps_are_refused(steps: int, strength: float) -> None:
    with pytest.raises(ValueError, match="step|strength"):
        sampling.schedule_for(steps, strength)


def test_noise_level_at_half_is_that_of_the_reference() -> None:
    scheduler = scheduler_of(DDIM)
    one, zero = torch.ones(1), torch.zeros(1)
    assert sampling.noised(scheduler, one, zero, 499).item() == pytest.approx(0.527, abs=1e-3)
    assert sampling.noised(scheduler, zero, one, 499).item() == pytest.approx(0.850, abs=1e-3)
    assert sampling.noised(scheduler, one, one, sampling.CLEAN) is one


def test_fusion_keeps_the_known_latents_exactly() -> None:
    scheduler, known = scheduler_of(DDIM), clean_latents()
    noise = sampling.draw_noise([5, 6], known.shape[1:])
    mask = torch.zeros(2, 1, 3, 3)
    mask[..., 1, 1] = 1
    fuse = sampling.keep_known(scheduler, known, noise, mask)
    result = sampling.sample(lambda z, t: torch.randn_like(z), noise, scheduler, 5, fuse=fuse)
    outside = (mask == 0).expand_as(known)
    assert torch.equal(result[outside], known[outside])
    assert not torch.equal(result[~outside], known[~outside])


def test_before_every_prediction_the_known_part_has_the_noise_of_that_step() -> None:
    scheduler, known = scheduler_of(DDIM), clean_latents()
    noise = sampling.draw_noise([5, 6], known.shape[1:])
    fuse = sampling.keep_known(scheduler, known, noise, torch.zeros(2, 1, 3, 3))

    def predict(latents: Tensor, t: Tensor) -> Tensor:
        assert torch.equal(latents, sampling.noised(scheduler, known, noise, int(t)))
        return torch.zeros_like(latents)

    sampling.sample(predict, noise, scheduler, 4, fuse=fuse)


def test_an_edit_frees_the_cells_that_its_own_mask_touches_and_keeps_all_others() -> None:
    scheduler, known, mask = scheduler_of(DDIM), torch.randn(2, 4, 3, 5), torch.zeros(2, 1, 24, 40)
    mask[0, 0, 9, 39] = mask[1, 0, 23, 0] = 1
    kept = sampling.Kept(torch.zeros(2, 3, 24, 40), mask)
    fused = sampling.keep_outside(kept, known, scheduler, torch.randn_like(known))(
        torch.full_like(known, 9.0), sampling.CLEAN, 0
    )
    free = torch.zeros(2, 1, 3, 5)
    free[0, 0, 1, 4] = free[1, 0, 2, 0] = 1
    assert torch.equal(fused, torch.where(free > 0, 9.0, known))


def test_a_growing_mask_is_asked_at_every_step() -> None:
    scheduler, known = scheduler_of(DDIM), clean_latents()
    steps: list[int] = []

    def growing(step: int) -> Tensor:
        steps.append(step)
        return torch.ones(2, 1, 3, 3)

    fuse = sampling.keep_known(scheduler, known, known, growing)
    sampling.sample(lambda z, t: torch.zeros_like(z), known, scheduler, 3, fuse=fuse)
    assert steps == [0, 1, 2, 3]


def test_on_step_sees_the_clean_estimate_and_can_stop_within_a_step() -> None:
    oracle = Oracle(clean_latents())

    def stop(done: int, total: int, clean: Tensor) -> None:
        torch.testing.assert_close(clean, oracle.clean, atol=1e-3, rtol=1e-3)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampling.sample(oracle, sampling.draw_noise([0, 1], (4, 3, 3)), oracle.scheduler, 9, on_step=stop)
    assert len(oracle.times) == 2


def test_noise_depends_on_the_seed_of_its_picture_alone() -> None:
    batch = sampling.draw_noise([7, 8, 9], (4, 2, 2))
    assert torch.equal(batch[1:2], sampling.draw_noise([8], (4, 2, 2)))
    assert not torch.equal(batch[0], batch[1])


def test_seeds_count_up_or_are_given() -> None:
    assert sampling.image_seeds(5, 3) == [5, 6, 7]
    assert sampling.image_seeds([9, 4], 2) == [9, 4]
    with pytest.raises(ValueError, match="2 seeds for 3"):
        sampling.image_seeds([1, 2], 3)


def test_the_largest_seed_of_the_host_is_taken() -> None:
    assert sampling.draw_noise([2**64 - 1], (1,)).isfinite().all()


def test_all_64_bits_of_a_seed_count() -> None:
    seeds = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**53, 2**63, 2**64 - 1]
    noise = sampling.draw_noise(seeds, (4, 3, 3)).flatten(1)
    assert torch.cdist(noise, noise)[~torch.eye(len(seeds), dtype=torch.bool)].min() > 1


def test_seeds_of_32_bits_are_pytorchs_own() -> None:
    for seed in (0, 7, 10_000_007, 2**32 - 1):
        own = torch.randn(4, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(sampling.draw_noise([seed], (4,))[0], own)


def test_a_salt_gives_other_noise_of_the_same_seed() -> None:
    plain, salted = (torch.randn(9, generator=sampling.cpu_generator(5, salt)) for salt in (0, 0x5DEECE66D))
    assert not torch.equal(plain, salted)
