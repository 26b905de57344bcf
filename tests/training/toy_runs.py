"""Short runs of the trainer, and what is asked of every recipe: stopped and resumed equals uninterrupted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from figura.models.diffusion.checkpoint import load_file
from figura.training.recipes import load_recipe
from figura.training.run.recipe import Recipe, Split, TrainingPlan, random_generator
from figura.training.run.trainer import Trainer, train


def toy_plan(recipe: Recipe, steps: int, batch_size: int = 2) -> TrainingPlan:
    """The recipe's plan cut down to a few small steps, no checkpoint but the last."""
    return replace(
        recipe.plan,
        steps=steps,
        minutes=None,
        batch_size=batch_size,
        device="cpu",
        warmup_steps=1,
        checkpoint_seconds=1e9,
    )


def equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    """The same names with the same values, bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stopped_after(
    steps: int, recipe: Recipe, data: Split, init: Mapping[str, Path], plan: TrainingPlan, work: Path
) -> Trainer:
    """A trainer that was asked to stop after so many steps, and has."""
    trainer = Trainer(recipe, data, init, plan, work)
    one_step = trainer._train_step

    def counted() -> dict[str, float]:
        if trainer.step + 1 == steps:
            trainer.stop.set()
        return one_step()

    trainer._train_step = counted
    assert not trainer.run() and trainer.step == steps
    return trainer


def file_of_an_exact_resume(
    name: str, data_root: Path, init: Mapping[str, Path], folder: Path, batch_size: int = 2
) -> Path:
    """The file of 3 steps of a recipe; a run that was stopped after the first and went on made the same."""
    recipe = load_recipe(name)
    plan = toy_plan(recipe, 3, batch_size)
    stopped_after(1, recipe, recipe.prepare(data_root, init), init, plan, folder / "stopped")
    made = []
    for run in ("stopped", "whole"):
        made.append(folder / f"{run}.safetensors")
        assert train(load_recipe(name), data_root, init, made[-1], folder / run, plan)
    (stopped, _), (whole, meta) = (load_file(path) for path in made)
    assert equal(stopped, whole) and meta["recipe"] == name and meta["steps"] == 3
    return made[-1]


def losses_on(recipe: Any, module: torch.nn.Module, batch: Any, *, steps: int, rate: float) -> list[float]:
    """The loss before each of some steps of Adam on one batch, by the same random numbers."""
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], rate)
    losses = []
    for _ in range(steps):
        loss, _ = recipe.loss(module, batch, random_generator(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
