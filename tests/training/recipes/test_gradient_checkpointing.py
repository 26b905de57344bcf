"""Activations that are computed again on the way back: the same loss and gradients, in every recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from figura.tests.training.recipes.toy_public import FILES, prepared
from figura.training.run.lora import lower
from figura.training.run.memory import checkpoint_gradients
from figura.training.run.recipe import random_generator
from torch.utils import checkpoint

pytestmark = pytest.mark.usefixtures("small_sizes")
OF_DIFFUSERS = [recipe for recipe in FILES if recipe != "pocold"]


def step(made: Any, module: torch.nn.Module, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of a batch and the gradients by name, with the same random numbers at every call."""
    torch.manual_seed(3)
    module.zero_grad()
    loss, _ = made.loss(module, batch, random_generator(5))
    loss.backward()
    return loss.detach(), {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def disturbed(module: torch.nn.Module) -> torch.nn.Module:
    """In training mode, no parameter that learns at zero: what starts so passes no gradient on."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return module.train()


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("recipe", OF_DIFFUSERS)
def test_loss_and_gradients_stay_the_same(
    recipe: str, rank: int, public: dict[str, Path], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, data, module, _ = prepared(recipe, public, root)
    if rank:
        lower(module, rank)
    batch = made.batch(data, 0, 0, 2)
    loss, gradients = step(made, disturbed(module), batch)
    learning = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert set(gradients) == learning
    again: list[Any] = []
    plain = checkpoint.checkpoint
    monkeypatch.setattr(checkpoint, "checkpoint", lambda f, *a, **k: again.append(f) or plain(f, *a, **k))
    checkpoint_gradients(module)
    other_loss, others = step(made, module, batch)
    assert again, "nothing was computed again"
    torch.testing.assert_close(other_loss, loss, atol=1e-6, rtol=1e-6)
    assert set(others) == set(gradients)
    for name, gradient in gradients.items():
        assert torch.allclose(others[name], gradient, atol=1e-6, rtol=1e-5), name


def test_query_biases_and_pose_residuals_of_cfld_get_their_gradients(
    public: dict[str, Path], root: Path
) -> None:
    made, data, module, _ = prepared("cfld", public, root)
    checkpoint_gradients(disturbed(module))
    _, gradients = step(made, module, made.batch(data, 0, 0, 2))
    for part in ("networks.appearance_encoder.", "networks.pose_encoder.", "networks.backbone."):
        found = [gradient for name, gradient in gradients.items() if name.startswith(part)]
        assert found and any(float(gradient.abs().max()) > 0 for gradient in found), part


def test_pocold_says_that_its_networks_are_its_own(public: dict[str, Path], root: Path) -> None:
    with pytest.raises(ValueError, match="gradient checkpointing: .* leave it out"):
        checkpoint_gradients(prepared("pocold", public, root)[2])
