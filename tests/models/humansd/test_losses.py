"""The heatmap-guided loss: what is emphasised in each mode, and that nothing of it is trained."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion.networks import decode_latents
from figura.models.humansd import losses
from figura.tests.models.humansd import tiny


@pytest.fixture(scope="module")
def vae() -> torch.nn.Module:
    torch.manual_seed(0)
    return tiny.phac.tiny_vae().eval()


def left_half(images: torch.Tensor) -> torch.Tensor:
    """An estimator that sees one joint in the left half, with 0.5, and never another."""
    heat = torch.zeros(len(images), 2, 16, 16)
    heat[:, 0, :, :8] = 0.5
    return heat


def nobody(images: torch.Tensor) -> torch.Tensor:
    return torch.full((len(images), 17, 8, 8), 0.05)


def error(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_paper_raises_the_error_where_joints_are(vae: torch.nn.Module) -> None:
    weights = losses.emphasis(error(), vae, left_half, "paper", weight=0.2)
    assert weights.shape == (2, 1, 8, 8)
    torch.testing.assert_close(weights[..., :4], torch.full((2, 1, 8, 4), 1.1**2))
    assert (weights[..., 4:] == 1).all()


def test_without_anybody_the_paper_is_the_plain_loss(vae: torch.nn.Module) -> None:
    noise, predicted = error(), torch.zeros(2, 4, 8, 8)
    guided = losses.heatmap_guided_loss(predicted, noise, vae, nobody, "paper")
    assert torch.equal(guided, torch.nn.functional.mse_loss(predicted, noise))


def test_official_counts_the_joints_that_are_absent_and_encodes_that_count(vae: torch.nn.Module) -> None:
    weights = losses.emphasis(error(), vae, nobody, "official", weight=0.3)
    count = torch.full((2, 3, 64, 64), 17.0)
    with torch.no_grad():
        expected = 1 + 0.3 * vae.encode(count).latent_dist.mode() * vae.config.scaling_factor
    torch.testing.assert_close(weights, expected)
    assert weights.shape == (2, 4, 8, 8)


def test_official_draws_from_the_posterior_with_a_generator(vae: torch.nn.Module) -> None:
    drawn = [
        losses.emphasis(error(), vae, nobody, "official", generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_the_estimator_sees_the_decoded_error(vae: torch.nn.Module) -> None:
    seen: list[torch.Tensor] = []

    def estimator(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return nobody(images)

    losses.emphasis(error(), vae, estimator)
    with torch.no_grad():
        assert torch.equal(seen[0], decode_latents(vae, error()))
    assert seen[0].shape == (2, 3, 64, 64) and 0 <= seen[0].min() and seen[0].max() <= 1


@pytest.mark.parametrize("mode", losses.MODES)
def test_the_gradient_is_that_of_a_constant_weight(vae: torch.nn.Module, mode: str) -> None:
    predicted = error().requires_grad_()
    noise = torch.zeros(2, 4, 8, 8)
    losses.heatmap_guided_loss(predicted, noise, vae, left_half, mode).backward()
    weights = losses.emphasis(error(), vae, left_half, mode)
    torch.testing.assert_close(predicted.grad, 2 * weights * error() / predicted.numel())
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_only_heatmaps_above_the_threshold_count() -> None:
    heat = torch.tensor([0.04, 0.06]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4)
    for threshold, expected in ((0.05, 0.06), (0.06, 0.0), (0.01, 0.06)):
        presence = losses.joint_presence(heat, (2, 2), threshold)
        torch.testing.assert_close(presence, torch.full((1, 1, 2, 2), expected))


def test_an_unknown_mode_is_named(vae: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="mode is 'both'; it is one of paper, official"):
        losses.emphasis(error(), vae, nobody, "both")
