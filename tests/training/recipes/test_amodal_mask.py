"""The recipe of the amodal masks: it learns, its file is the network's, and its crops are as in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from figura.models.phac.amodal_mask import GRID, draw_known, known_in_crop, load_amodal_mask, plan_known
from figura.people.boxes import Box
from figura.tests.training.toy_runs import losses_on, toy_plan
from figura.training.data.people import open_split
from figura.training.recipes import load_recipe
from figura.training.recipes.amodal_mask import hidden_iou, known_of
from figura.training.run.trainer import train


def test_it_trains_and_its_file_loads(toy_data: Path, tmp_path: Path) -> None:
    recipe, out = load_recipe("amodal_mask"), tmp_path / "amodal_mask.safetensors"
    assert train(recipe, toy_data, {}, out, tmp_path, toy_plan(recipe, 2)) is not None
    net = load_amodal_mask(out)
    assert not any(name.startswith("posterior") for name in net.state_dict())


def test_a_few_steps_on_one_batch_lower_its_loss(toy_data: Path) -> None:
    recipe = load_recipe("amodal_mask")
    people = recipe.prepare(toy_data, {}).train
    torch.manual_seed(0)
    module = recipe.build({})
    batch = recipe.batch(people, 0, 0, 4)
    losses = losses_on(recipe, module, batch, steps=12, rate=3e-3)
    assert losses[-1] < 0.8 * losses[0]


def test_people_are_shown_as_large_as_in_use(toy_data: Path) -> None:
    """Training plans crops in batches, use plans them one by one: the person fills the same part of both."""
    recipe = load_recipe("amodal_mask")
    people = open_split(toy_data).train
    shares = []
    for step in range(6):
        batch = recipe.batch(people, step, 0, 8)
        known = known_of(batch)
        for row in range(8):
            shown = Box.around_mask(known.visible[row, 0])
            joints = known.joints[row]
            box = Box(*known.boxes[row].tolist()) if known.boxed[row] else None
            if shown.is_empty:
                continue
            plan = plan_known((GRID, GRID), known.visible[row, 0], joints, box)
            again = known_in_crop(known.visible[row, 0], joints, box, plan)
            shares.append(Box.around_mask(again.visible[0, 0]).height / shown.height)
    assert len(shares) > 20 and 0.85 < float(np.median(shares)) < 1.2


def test_the_hidden_part_alone_is_scored() -> None:
    target, visible = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    target[0, 0, :4], visible[0, 0, :2] = 1, 1
    target[1, 0, :2], visible[1, 0, :2] = 1, 1
    made = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    made[0, 0, 1:3] = True
    found = hidden_iou(made, target, visible)
    assert float(found[0]) == 0.5 and bool(found[1].isnan())


def test_what_is_known_is_all_the_network_sees(toy_data: Path) -> None:
    recipe = load_recipe("amodal_mask")
    batch = recipe.batch(recipe.prepare(toy_data, {}).train, 0, 0, 4)
    features = draw_known(known_of(batch))
    batch["target"] = 1 - batch["target"]
    assert torch.equal(draw_known(known_of(batch)), features)


def test_a_run_that_goes_on_begins_with_what_the_network_says_of_the_middle(
    toy_data: Path, tmp_path: Path
) -> None:
    recipe, out = load_recipe("amodal_mask"), tmp_path / "amodal_mask.safetensors"
    assert train(recipe, toy_data, {}, out, tmp_path, toy_plan(recipe, 2)) is not None
    net, module = load_amodal_mask(out), recipe.build({}).eval()
    recipe.begin_with(module, out)
    batch = recipe.batch(recipe.prepare(toy_data, {}).train, 0, 0, 4)
    features = draw_known(known_of(batch))
    noise = torch.randn(4, net.config.latents, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        began, _ = module(features, batch["target"], noise)
        middle, prior = (net(features, z) for z in (0 * noise, noise))
    assert (began - middle).abs().mean() < 0.4 * (prior - middle).abs().mean()
