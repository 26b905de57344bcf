"""Sequential mask expansion on a MODEL: the hook gives the masks of the pure function, and sampling with it
equals sampling in our own loop.
"""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from figura.models.diffusion import sampling
from figura.models.diffusion.mask_expansion import MaskExpansion, ring_share, step_fraction
from figura.models.diffusion.schedulers import DDIM, scheduler_of, timesteps_of
from figura.nodes.mask_expansion import (
    WHOLE_SAMPLING,
    FiguraSequentialMaskExpansion,
    fraction_of,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

CHANNELS, SIDE = 4, 24


class Model:
    """The part of ComfyUI's ModelPatcher that the node touches."""

    def __init__(self) -> None:
        self.model_options: dict = {}
        self.wrappers: dict = {}

    def clone(self) -> Model:
        made = Model()
        made.model_options = dict(self.model_options)
        made.wrappers = copy.deepcopy(self.wrappers)
        return made

    def set_model_denoise_mask_function(self, function) -> None:
        self.model_options["denoise_mask_function"] = function

    def add_wrapper_with_key(self, kind, key, wrapper) -> None:
        self.wrappers.setdefault(kind, {}).setdefault(key, []).append(wrapper)


class Sampling:
    """ComfyUI's call of a whole sampling: its guider has a copy of the options, and `heard` what came."""

    def __init__(self, model: Model) -> None:
        self.class_obj = SimpleNamespace(model_options=dict(model.model_options))
        self.heard: list[tuple] = []

    def __call__(self, *args, **options) -> None:
        self.heard.append((args, options))


def sampled(model: Model) -> Sampling:
    """A sampling of the model with a noise mask, inside all its wrappers."""
    run = Sampling(model)
    for wrapper in (each for key in model.wrappers[WHOLE_SAMPLING].values() for each in key):
        wrapper(run, 1, 2, 3, 4, free_mask(), seed=7)
    return run


def hook(expansion="sequential", ring=0.0, model=None):
    (patched,) = FiguraSequentialMaskExpansion().run(model or Model(), expansion, ring)
    return sampled(patched).class_obj.model_options.get("denoise_mask_function")


def free_mask(side: int = SIDE) -> Tensor:
    """1 = free to change, with a soft edge cell as the host's resizing makes them."""
    mask = torch.ones(1, 1, side, side)
    mask[..., side // 3 : side // 2, side // 2 :] = 0
    mask[..., side // 3, side // 2 :] = 0.25
    return mask


def falling(steps: int, *, flow: bool = False) -> Tensor:
    levels = torch.linspace(1, 1 / steps, steps) if flow else torch.linspace(14.6, 0.03, steps) ** 1.5
    return torch.cat([levels, torch.zeros(1)])


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 20, 75])
def test_the_hook_gives_the_masks_of_the_pure_function(steps, flow):
    mask, sigmas = free_mask(), falling(steps, flow=flow)
    expansion = MaskExpansion(mask, ring_share(steps) * SIDE)
    function = hook()
    for step in range(steps):
        given_mask = function(sigmas[step].expand(2), mask.expand(2, CHANNELS, -1, -1), {"sigmas": sigmas})
        wanted = expansion.at(step_fraction(step, steps)).expand(2, CHANNELS, -1, -1)
        assert torch.equal(given_mask, wanted)
    assert torch.equal(given_mask, mask.expand(2, CHANNELS, -1, -1))


def test_a_ring_given_in_percent_is_of_the_shorter_side():
    mask = torch.ones(1, CHANNELS, 40, 60)
    mask[..., 20, 30] = 0
    first = hook(ring=25.0)(torch.ones(1) * 9, mask, {"sigmas": torch.tensor([9.0, 5, 1, 0])})
    assert first[0, 0, 20, 40] == 0 and first[0, 0, 20, 41] == 1


def test_masks_of_videos_keep_their_shape_and_frames_stay_apart():
    mask = torch.ones(1, CHANNELS, 3, SIDE, SIDE)
    mask[:, :, 1, 5, 5] = 0
    first = hook(ring=10.0)(torch.full((1,), 60.0), mask, {"sigmas": falling(5)})
    assert first.shape == mask.shape
    assert torch.equal(first[:, :, 0], mask[:, :, 0]) and (first[:, :, 1] == 0).sum() > CHANNELS


def test_a_mask_that_changes_between_runs_is_measured_again():
    function, sigmas = hook(ring=10.0), falling(4)
    one = free_mask()
    function(sigmas[:1], one, {"sigmas": sigmas})
    other = one.transpose(2, 3).contiguous()
    assert torch.equal(
        function(sigmas[:1], other, {"sigmas": sigmas}), MaskExpansion(other, 0.1 * SIDE).at(0.0)
    )


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_function_of_another_node_is_asked_first_wherever_that_stands(order):
    model, soft, sigmas = Model(), torch.linspace(0, 1, SIDE).expand(1, 1, SIDE, SIDE), falling(2)

    def other(sigma, mask, extra_options):
        return (mask > (0.5 if sigma[0] == sigmas[0] else 0.25)).float()

    if order == "before":
        model.set_model_denoise_mask_function(other)
    (patched,) = FiguraSequentialMaskExpansion().run(model, "sequential", 5.0)
    if order == "after":
        patched.set_model_denoise_mask_function(other)
    function = sampled(patched).class_obj.model_options["denoise_mask_function"]
    first, last = (function(level[None], soft, {"sigmas": sigmas}) for level in sigmas[:2])
    assert torch.equal(first, MaskExpansion((soft > 0.5).float(), 0.05 * SIDE).at(0.0))
    assert torch.equal(last, (soft > 0.25).float())


def test_the_model_that_came_is_left_alone():
    model = Model()
    (patched,) = FiguraSequentialMaskExpansion().run(model, "sequential", 0.0)
    assert patched is not model and not model.model_options and not model.wrappers


def test_constant_sets_no_function():
    assert hook("constant") is None


@pytest.mark.parametrize("expansion", ["sequential", "constant"])
def test_a_sampling_without_a_noise_mask_is_stopped(expansion):
    (patched,) = FiguraSequentialMaskExpansion().run(Model(), expansion, 0.0)
    ((args, options),) = sampled(patched).heard
    assert len(args) == 5 and options == {"seed": 7}
    ((wrapper,),) = patched.wrappers[WHOLE_SAMPLING].values()
    for options in ({"denoise_mask": None}, {}):
        run = Sampling(patched)
        with pytest.raises(ValueError, match="no noise mask.*Set Latent Noise Mask"):
            wrapper(run, 1, 2, 3, 4, **options)
        assert not run.heard


@pytest.mark.parametrize("model", [None, "model", torch.nn.Identity()])
def test_what_is_no_model_of_the_host_is_refused(model):
    with pytest.raises(TypeError, match="model must be a MODEL of ComfyUI.*Connect a loader"):
        FiguraSequentialMaskExpansion().run(model, "sequential", 0.0)


@given(st.lists(st.floats(0.0625, 100, width=32), min_size=1, max_size=12, unique=True), st.booleans())
def test_the_fraction_is_exact_at_the_steps_and_rises_between(levels, to_zero):
    sigmas = torch.tensor(sorted(levels, reverse=True) + ([0.0] if to_zero else []))
    if len(sigmas) < 2:
        return
    steps = len(sigmas) - 1
    at_steps = [fraction_of(level[None], sigmas) for level in sigmas[:-1]]
    assert at_steps == pytest.approx([step_fraction(step, steps) for step in range(steps)], abs=1e-12)
    between = [fraction_of((a + b)[None] / 2, sigmas) for a, b in zip(sigmas, sigmas[1:])]
    assert all(a <= m for a, m in zip(at_steps, between))
    assert all(m <= b for m, b in zip(between, at_steps[1:])) and between[-1] == 1.0


def test_levels_outside_the_run_count_as_its_ends():
    sigmas = falling(6)
    assert fraction_of(sigmas[:1] * 2, sigmas) == 0.0
    assert fraction_of(torch.zeros(1), sigmas) == 1.0


def denoiser(scheduler):
    """A fixed network: predicts noise from latents scaled as Stable Diffusion's and the time step."""
    torch.manual_seed(5)
    layer = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).double()

    @torch.no_grad()
    def predict(latents: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(layer(latents) + float(t) / 1000) + 0.3 * latents

    return predict


def own_loop(predict, scheduler, known, noise, steps, expansion):
    def free(step: int) -> Tensor:  # the latents that a step hands on are fused with its own mask, eq. (11)
        return expansion.at(step_fraction(max(step - 1, 0), steps))

    fuse = sampling.keep_known(scheduler, known, noise, free)
    first = sampling.noised(scheduler, known, noise, int(timesteps_of(scheduler, steps)[0]))
    return sampling.sample(predict, first, scheduler, steps, fuse=fuse)


def stock_loop(predict, scheduler, known, noise, steps, function):
    """ComfyUI's Euler on x = z / sqrt(abar), round a denoiser that applies the noise mask as its
    KSamplerX0Inpaint does: before and after every call, to what the call sees and gives.
    """
    times = timesteps_of(scheduler, steps)
    alphas = scheduler.alphas_cumprod[times].double()
    sigmas = torch.cat([((1 - alphas) / alphas).sqrt(), torch.zeros(1)])
    mask = free_mask().double().round().expand(1, CHANNELS, -1, -1)

    def denoised(x: Tensor, sigma: Tensor, step: int) -> Tensor:
        free = mask if function is None else function(sigma[None], mask, extra_options={"sigmas": sigmas})
        x = x * free + (known + sigma * noise) * (1 - free)
        clean = x - sigma * predict(x * alphas[step].sqrt(), times[step])
        return clean * free + known * (1 - free)

    x = known + sigmas[0] * noise
    for step in range(steps):
        clean = denoised(x, sigmas[step], step)
        x = x + (x - clean) / sigmas[step] * (sigmas[step + 1] - sigmas[step])
    return x


@pytest.mark.parametrize("ring", [0.0, 30.0])
# Divisors of 1000: for other counts the time steps of diffusers' DDIM are rounded.
@pytest.mark.parametrize("steps", [1, 2, 8, 20])
@pytest.mark.parametrize("expansion", ["sequential", "constant"])
def test_own_loop_and_stock_hook_give_the_same(expansion, steps, ring):
    scheduler = scheduler_of(DDIM)
    predict = denoiser(scheduler)
    known = torch.randn(1, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).double()
    noise = sampling.draw_noise([2], (CHANNELS, SIDE, SIDE)).double()
    cells = (ring / 100 or ring_share(steps)) * SIDE if expansion == "sequential" else 0.0
    mine = own_loop(predict, scheduler, known, noise, steps, MaskExpansion(free_mask().round(), cells))
    theirs = stock_loop(predict, scheduler, known, noise, steps, hook(expansion, ring))
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_the_ring_makes_a_difference():
    scheduler = scheduler_of(DDIM)
    predict = denoiser(scheduler)
    known = torch.zeros(1, CHANNELS, SIDE, SIDE).double()
    noise = sampling.draw_noise([2], (CHANNELS, SIDE, SIDE)).double()
    masks = [MaskExpansion(free_mask().round(), cells) for cells in (0.0, 6.0)]
    results = [own_loop(predict, scheduler, known, noise, 6, each) for each in masks]
    kept = free_mask().round().expand_as(known) == 0
    assert (results[0] - results[1]).abs().max() > 1e-3
    assert all(torch.equal(result[kept], known[kept]) for result in results)
