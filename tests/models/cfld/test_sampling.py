"""CFLD's guidance and schedulers."""

from __future__ import annotations

import pytest
import torch
from figura.models.cfld import sampling
from figura.models.cfld.attention import predict_noise
from figura.models.cfld.sampling import Guided, Weights
from figura.tests.models.cfld import tiny

T = torch.tensor(500)


@pytest.fixture(scope="module")
def model():
    return tiny.tiny_cfld()


@pytest.fixture(scope="module")
def parts(model):
    torch.manual_seed(1)
    with torch.no_grad():
        looks = sampling.appearance_of(model, torch.rand(2, 3, 32, 32))
        return looks, sampling.branches_of(model, looks, torch.rand(2, 21, 64, 64)), torch.randn(2, 4, 8, 8)


@torch.no_grad()
def test_weights_of_one_are_the_plain_conditional_prediction(model, parts) -> None:
    _, branches, latents = parts
    guided = Guided(model, branches, Weights(1.0, 1.0))(latents, T)
    assert torch.equal(guided, predict_noise(model.unet, latents, T, *branches[2]))


@torch.no_grad()
@pytest.mark.parametrize("weights", [(2.0, 2.0), (1.0, 3.0), (3.0, 1.0), (2.5, 0.5), (0.0, 0.0), (2.0, 0.0)])
def test_guidance_is_the_released_sum_of_three_calls(model, parts, weights: tuple[float, float]) -> None:
    _, branches, latents = parts
    none, posed, full = (predict_noise(model.unet, latents, T, *branch) for branch in branches)
    expected = none + weights[0] * (posed - none) + weights[1] * (full - posed)
    made = Guided(model, branches, Weights(*weights))(latents, T)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-3)


def test_the_branch_without_conditions_has_the_learnt_prompt_alone(model, parts) -> None:
    _, (none, posed, full), _ = parts
    assert torch.equal(none.prompt, model.networks.learnable_vector.expand(2, -1, -1))
    assert none.residuals == posed.biases == none.biases == ()
    assert torch.equal(posed.prompt, none.prompt) and len(full.biases) == 4


def make(model, parts, **change) -> torch.Tensor:
    settings = {"weights": Weights(1.0, 1.0), "steps": 2, "seed": 7, **change}
    return sampling.repose(model, parts[0], torch.ones(2, 21, 64, 64), **settings)


def test_pictures_of_one_batch_have_noise_of_their_own(model, parts) -> None:
    looks = parts[0]._replace(
        prompt=parts[0].prompt[:1].expand(2, -1, -1),
        biases=tuple(bias[:1].expand(2, -1, -1, -1) for bias in parts[0].biases),
    )
    same = make(model, (looks,), seed=[4, 4])
    assert torch.equal(same[0], same[1])
    other = make(model, (looks,), seed=[4, 5])
    assert torch.equal(other[0], same[0]) and not torch.allclose(other[1], same[1], atol=1e-3)
