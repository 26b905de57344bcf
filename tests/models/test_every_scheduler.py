"""Every scheduler with every sampler, on tiny networks: finite, repeatable, and what is known stays exact."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from figura.models.cfld import sampling as cfld
from figura.models.diffusion.mask_expansion import EXPANSIONS, OFF
from figura.models.diffusion.schedulers import DDIM, SCHEDULERS
from figura.models.hands import sampling as hands
from figura.models.humansd import sampling as humansd
from figura.models.phac import sampling as phac
from figura.models.pocold import sampling as pocold
from figura.tests.models.cfld import tiny as tiny_cfld
from figura.tests.models.hands import tiny as tiny_hands
from figura.tests.models.humansd import tiny as tiny_humansd
from figura.tests.models.phac import tiny as tiny_phac
from figura.tests.models.pocold import tiny as tiny_pocold
from torch import Tensor

SIZE = tiny_phac.SIZE
TEXTS = ["a person", "a woman"]
WALK = {"steps": 3, "seed": [5, 6]}
every_scheduler = pytest.mark.parametrize("scheduler", SCHEDULERS)


def image(number: int, size: int = SIZE, channels: int = 3) -> Tensor:
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(number))


def square(size: int = SIZE) -> Tensor:
    """(2,1,size,size): 1 in the left half's middle."""
    mask = torch.zeros(2, 1, size, size)
    mask[..., size // 4 : -size // 4, : size // 2] = 1
    return mask


def complete(scheduler: str) -> Tensor:
    given = image(0), square(), image(1), TEXTS
    return phac.complete(tiny_phac.tiny_phac(), *given, scheduler=scheduler, **WALK)[0]


def refine(scheduler: str) -> Tensor:
    given = image(0), image(1), 1 - square(), square(), TEXTS
    return phac.refine(tiny_phac.tiny_refiner(), *given, scheduler=scheduler, **WALK).image


def draw_people(scheduler: str) -> Tensor:
    return humansd.generate_people(
        tiny_humansd.tiny_humansd(), image(2, 64), TEXTS, scheduler=scheduler, **WALK
    )


def draw_people_with_the_released_model(scheduler: str) -> Tensor:
    model = tiny_humansd.tiny_humansd(released=True)
    return humansd.generate_people(model, image(2, 64), TEXTS, scheduler=scheduler, **WALK)


def repose_cfld(scheduler: str) -> Tensor:
    model = tiny_cfld.tiny_cfld()
    looks = cfld.appearance_of(model, image(3))
    return cfld.repose(model, looks, torch.ones(2, 21, 64, 64), scheduler=scheduler, **WALK)


def repose_pocold(scheduler: str) -> Tensor:
    labels = tiny_pocold.body_labels(2, 32, 32)
    return pocold.generate(tiny_pocold.tiny_pocold(), labels, image(4), scheduler=scheduler, **WALK)


def draw_hands(scheduler: str) -> Tensor:
    return hands.generate_hands(tiny_hands.tiny_generator(), image(5), TEXTS, scheduler=scheduler, **WALK)[0]


def draw_hands_without_a_mask(scheduler: str) -> Tensor:
    return hands.generate_hands(tiny_hands.tiny_stand_in(), image(5), TEXTS, scheduler=scheduler, **WALK)[0]


def outpaint(scheduler: str) -> Tensor:
    given = image(6), square(), image(7), TEXTS
    return hands.outpaint_body(tiny_hands.tiny_body(), *given, scheduler=scheduler, **WALK).image


SAMPLERS: tuple[Callable[[str], Tensor], ...] = (
    complete, refine, draw_people, draw_people_with_the_released_model, repose_cfld, repose_pocold,
    draw_hands, draw_hands_without_a_mask, outpaint,
)  # fmt: skip


@every_scheduler
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.__name__)
def test_pictures_are_finite_and_made_again_from_their_seed(sampler: Callable[[str], Tensor], scheduler: str):
    made = sampler(scheduler)
    torch.manual_seed(99)
    assert made.isfinite().all() and 0 <= made.min() and made.max() <= 1
    assert torch.equal(sampler(scheduler), made)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.__name__)
def test_schedulers_differ(sampler: Callable[[str], Tensor]) -> None:
    made = [sampler(scheduler) for scheduler in SCHEDULERS]
    assert all(not torch.equal(one, other) for i, one in enumerate(made) for other in made[:i])


@every_scheduler
def test_what_the_refiner_may_not_change_is_exact(scheduler: str) -> None:
    made, outside = refine(scheduler), (square() == 0).expand(2, 3, -1, -1)
    assert torch.equal(made[outside], image(0)[outside])
    assert not torch.allclose(made[~outside], image(0)[~outside], atol=1e-3)


@every_scheduler
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_the_refiner_executes_its_steps_at_any_strength(scheduler: str, strength: float) -> None:
    done: list[tuple[int, int]] = []
    given = image(0), image(1), 1 - square(), square(), TEXTS
    phac.refine(
        tiny_phac.tiny_refiner(), *given, scheduler=scheduler, strength=strength, **WALK,
        on_step=lambda number, total, clean: done.append((number, total)),
    )  # fmt: skip
    calls = WALK["steps"] + (scheduler == "pndm")
    assert done == [(number + 1, calls) for number in range(calls)]


@every_scheduler
def test_a_region_that_the_prompt_excludes_stays_white(scheduler: str) -> None:
    given = image(0), square(), image(1), TEXTS
    made, _ = phac.complete(tiny_phac.tiny_phac(), *given, region=square(), scheduler=scheduler, **WALK)
    assert made[(square() == 0).expand_as(made)].eq(1).all()


@every_scheduler
@pytest.mark.parametrize("expansion", EXPANSIONS)
def test_known_hands_keep_their_latents_and_pixels(
    scheduler: str, expansion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, ends = tiny_hands.tiny_body(), []
    monkeypatch.setattr(model, "decode", lambda latents: (ends.append(latents), image(8))[1])
    given = image(6), square(), image(7), TEXTS
    made = hands.outpaint_body(
        model, *given, expansion=expansion, scheduler=scheduler, feather_px=0.0, **WALK
    )
    inside = (square() == 1).expand(2, 3, -1, -1)
    assert torch.equal(made.image[inside], image(6)[inside])
    if expansion != OFF:
        known = hands.known_cells(square(), model.latent_shape[1:]).expand_as(ends[0]) == 1
        assert known.any() and torch.equal(ends[0][known], model.encode(image(6))[known])


@every_scheduler
def test_what_an_edit_keeps_is_exact(scheduler: str) -> None:
    labels, kept = tiny_pocold.body_labels(2, 32, 32), pocold.Kept(image(9), square())
    made = pocold.generate(
        tiny_pocold.tiny_pocold(), labels, image(4), kept=kept, scheduler=scheduler, **WALK
    )
    outside = (square() == 0).expand_as(made)
    assert torch.equal(made[outside], image(9)[outside])


def test_a_scheduler_that_cannot_take_as_many_steps_says_so() -> None:
    given = image(0), image(1), 1 - square(), square(), TEXTS
    with pytest.raises(ValueError, match="steps is 60; this scheduler takes 1 to 50 .with a noise strength"):
        phac.refine(tiny_phac.tiny_refiner(), *given, scheduler="lcm", steps=30, strength=0.5)


def test_ddim_of_the_released_humansd_keeps_to_its_demo() -> None:
    times: list[int] = []
    model = tiny_humansd.tiny_humansd(released=True)
    forward = model.unet.forward
    model.unet.forward = lambda z, t, *args, **named: (times.append(int(t)), forward(z, t, *args, **named))[1]
    humansd.generate_people(model, image(2, 64), TEXTS, scheduler=DDIM, steps=50, cfg=1.0)
    assert times == list(range(961, 0, -20))
