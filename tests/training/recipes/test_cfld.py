"""The recipes of CFLD at toy size: what a batch holds, what learns, what is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from figura.models.cfld.attention import key_value_names
from figura.models.cfld.checkpoint import load_change
from figura.models.cfld.config import POOLED
from figura.tests.training.toy_runs import toy_plan
from figura.training.recipes import load_recipe
from figura.training.recipes.cfld import CFLDRecipe, Switches, cubic_times
from figura.training.run.recipe import Split
from figura.training.run.trainer import train


def test_cubic_times_favour_noise() -> None:
    times = cubic_times(20_000, torch.Generator().manual_seed(0))
    assert times.min() >= 0 and times.max() <= 999
    # P(t < 500) = P(u^3 > 1/2) = 1 - 0.5^(1/3).
    assert float((times < 500).float().mean()) == pytest.approx(1 - 0.5 ** (1 / 3), abs=0.015)


def test_a_batch_holds_sources_then_targets(pairs: Split) -> None:
    recipe = CFLDRecipe(switches=Switches(mirrored=0.0))
    batch = recipe.batch(pairs.train, 0, 0, 8)
    assert batch["latents"].shape == (16, 8, 4, 4) and batch["pose"].shape == (16, 21, 128, 128)
    assert batch["source"].shape == (8, 3, 128, 128) and batch["dropped"].dtype == torch.bool
    again = recipe.batch(pairs.train, 0, 0, 8)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    sources = torch.from_numpy(pairs.train.source_latents.copy()).float()
    targets = torch.from_numpy(pairs.train.target_latents.copy()).float()
    for first, second in zip(*batch["latents"].chunk(2), strict=True):
        pairs = [(a, b) for a, b in zip(sources, targets, strict=True)]
        assert any(
            (torch.equal(first, a) and torch.equal(second, b))
            or (torch.equal(first, b) and torch.equal(second, a))
            for a, b in pairs
        )


def test_a_joint_is_where_its_picture_shows_it(pairs: Split) -> None:
    """The heatmaps are those of the pair's joints, scaled with the picture."""
    batch = CFLDRecipe().batch(pairs.train, 0, 0, 8)
    known = torch.from_numpy(pairs.train.target_joints.copy())
    heat = batch["pose"][:, 3:].flatten(2).argmax(2)
    places = torch.stack([heat % 128, heat // 128], dim=-1)
    both = torch.cat([torch.from_numpy(pairs.train.source_joints.copy()), known])
    for row, present in zip(places, batch["pose"][:, 3:].flatten(2).amax(2) == 1, strict=True):
        distance = ((row[None] - (both[..., :2] * 4).floor()).abs().amax(-1) * present).amax(1)
        assert float(distance.min()) <= 1


def test_prompts_are_dropped_and_sources_mirrored_as_often_as_asked(pairs: Split) -> None:
    plain = CFLDRecipe(switches=Switches(no_prompt=1.0, mirrored=0.0)).batch(pairs.train, 0, 0, 8)
    turned = CFLDRecipe(switches=Switches(no_prompt=0.0, mirrored=1.0)).batch(pairs.train, 0, 0, 8)
    assert bool(plain["dropped"].all()) and not bool(turned["dropped"].any())
    assert torch.equal(turned["source"], plain["source"].flip(-1))


def test_only_the_networks_and_upward_keys_and_values_learn(toy_weights: Mapping[str, Path]) -> None:
    module = load_recipe("cfld").build(toy_weights)
    learning = {name for name, parameter in module.unet.named_parameters() if parameter.requires_grad}
    assert learning == set(key_value_names(list(module.unet.state_dict()))) and len(learning) == 8
    assert all(parameter.requires_grad for parameter in module.networks.parameters())


def test_the_loss_is_of_both_halves_and_dropped_prompts_teach_the_null_one(
    pairs: Split, toy_weights: Mapping[str, Path]
) -> None:
    recipe = CFLDRecipe(switches=Switches(no_prompt=1.0))
    module = recipe.build(toy_weights)
    batch = recipe.batch(pairs.train, 0, 0, 2)
    loss, parts = recipe.loss(module, batch, torch.Generator().manual_seed(0))
    torch.testing.assert_close(loss.detach(), (parts["reconstruction"] + parts["target"]) / 2)
    loss.backward()
    assert bool(module.networks.learnable_vector.grad.any())
    assert not bool(module.networks.decoder.query_feat.grad.any())
    assert bool(module.networks.appearance_encoder.zero_conv_outs[0].bias.grad.any())


@pytest.mark.parametrize("name", ["cfld", "cfld_clip"])
def test_training_writes_a_file_that_loads(
    toy_pairs: Path, toy_weights: Mapping[str, Path], tmp_path: Path, name: str
) -> None:
    recipe = load_recipe(name)
    out = tmp_path / f"{name}.safetensors"
    assert train(recipe, toy_pairs, toy_weights, out, tmp_path / "work", toy_plan(recipe, 1))
    networks, matrices = load_change(out)
    assert (networks.config.prompt == POOLED) == (name == "cfld_clip")
    assert (networks.appearance_encoder is None) == (name == "cfld_clip") and len(matrices) == 8
