"""The autoencoder's recipe: its losses against formulas, and a critic that teaches only who it should."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import load_file
from figura.models.diffusion.networks import encode_image, load_vae, mini_vae
from figura.tests.training.toy_runs import toy_plan
from figura.training.data.people import open_split
from figura.training.recipes import load_recipe
from figura.training.recipes.image_losses import PatchCritic, balanced, judged, reconstruction_loss
from figura.training.recipes.vae import CRITIC_AFTER, SKELETON, image_of
from figura.training.run.recipe import random_generator
from figura.training.run.trainer import train


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_perfect_reconstruction_costs_nothing(images: torch.Tensor) -> None:
    assert float(reconstruction_loss(images, images, torch.ones(2, 1, 32, 32), 1.0)) == pytest.approx(
        0, abs=1e-6
    )


def test_before_it_is_sharp_the_loss_is_four_times_the_squared_error(images: torch.Tensor) -> None:
    loss = reconstruction_loss(images + 0.1, images, torch.ones(2, 1, 32, 32), 0.0)
    assert float(loss) == pytest.approx(0.04, rel=1e-4)


def test_the_person_counts_by_its_weight(images: torch.Tensor) -> None:
    weight = torch.ones(2, 1, 32, 32)
    weight[..., :16] = 3
    wrong = images.clone()
    wrong[..., :16] += 0.2
    inside = reconstruction_loss(wrong, images, weight, 0.0)
    wrong = images.clone()
    wrong[..., 16:] += 0.2
    assert float(inside) == pytest.approx(
        3 * float(reconstruction_loss(wrong, images, weight, 0.0)), rel=1e-4
    )


def test_stripes_of_the_right_mean_cost_more_the_sharper_it_is() -> None:
    stripes = (torch.arange(32) // 2 % 2 * 1.0 - 0.5).expand(1, 3, 32, 32)
    ones = torch.ones(1, 1, 32, 32)
    flat, half = torch.zeros_like(stripes), 0.5 * stripes
    assert reconstruction_loss(flat, stripes, ones, 1.0) > reconstruction_loss(flat, stripes, ones, 0.0) + 0.5
    assert reconstruction_loss(half, stripes, ones, 1.0) < reconstruction_loss(flat, stripes, ones, 1.0)


def test_the_critic_and_the_decoder_are_taught_apart(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    critic, output = PatchCritic(), (images * 0.5).requires_grad_()
    hinge, adversarial = judged(critic, output, images)
    adversarial.backward(retain_graph=True)
    assert output.grad is not None and output.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())
    output.grad = None
    hinge.backward()
    assert output.grad is None and all(parameter.grad is not None for parameter in critic.parameters())
    scores, made = critic(images), critic(output)
    wanted = (1 - scores).relu().mean() + (1 + made).relu().mean()
    assert torch.allclose(hinge, wanted) and torch.allclose(adversarial, -made.mean())


def test_the_critic_pulls_by_its_share(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    critic, output = PatchCritic(), (images * 0.5).requires_grad_()
    loss = (output - images).square().mean()
    _, adversarial = judged(critic, output, images)
    pull = balanced(loss, adversarial, output, 0.2)
    (own,) = torch.autograd.grad(loss, output, retain_graph=True)
    (others,) = torch.autograd.grad(pull, output)
    assert float(others.norm() / own.norm()) == pytest.approx(0.2, rel=1e-3)


def test_skeletons_are_among_what_is_encoded(toy_data: Path) -> None:
    people = open_split(toy_data).train
    drawn = image_of(people, SKELETON, 0)
    assert drawn.shape == (3, people.size, people.size) and 0.01 < (drawn > 0).float().mean() < 0.5


def test_both_phases_learn_and_the_file_holds_the_autoencoder_alone(toy_data: Path, tmp_path: Path) -> None:
    recipe, out = load_recipe("vae"), tmp_path / "vae.safetensors"
    assert train(recipe, toy_data, {}, out, tmp_path, toy_plan(recipe, 3)) is not None
    assert set(load_file(out, file_kind="vae")[0]) == set(mini_vae().state_dict())
    latents = encode_image(load_vae(out), open_split(toy_data).held_out.images("cutout", [0, 1]))
    assert latents.isfinite().all()


def test_the_critic_learns_from_the_start_and_is_listened_to_later(toy_data: Path) -> None:
    recipe = load_recipe("vae")
    people = recipe.prepare(toy_data, {}).train
    torch.manual_seed(0)
    module = recipe.build({})
    batch = recipe.batch(people, 0, 0, 2)
    grads = {}
    for seen in (CRITIC_AFTER - 1, CRITIC_AFTER):
        batch["seen"] = torch.tensor(seen)
        module.zero_grad()
        recipe.loss(module, batch, random_generator(1))[0].backward()
        assert all(parameter.grad is not None for parameter in module.parameters() if parameter.requires_grad)
        parts = (module.critic, module.vae.decoder)
        grads[seen] = [parameter.grad.clone() for part in parts for parameter in part.parameters()]
    critics = len(list(module.critic.parameters()))
    before, after = grads.values()
    assert all(torch.allclose(a, b) for a, b in zip(before[:critics], after[:critics], strict=True))
    assert not all(torch.allclose(a, b) for a, b in zip(before[critics:], after[critics:], strict=True))
