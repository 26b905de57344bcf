"""A recipe that takes no time, and a program that trains it: `python fake.py WORK OUT STEPS SECONDS`.

The pack is loaded from its folder, so the program runs without an install.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]

if "figura" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "figura", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["figura"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

from figura.training.run.recipe import BaseRecipe, Export, Split, TrainingPlan, random_generator  # noqa: E402
from figura.training.run.trainer import train  # noqa: E402


class FakeRecipe(BaseRecipe):
    """A linear layer behind dropout learns to add up numbers; every step may take some seconds."""

    name = "fake"
    plan = TrainingPlan(
        steps=12, batch_size=4, learning_rate=1e-2, device="cpu", warmup_steps=2, checkpoint_seconds=0.0
    )

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def prepare(self, data_root, init):
        return Split("train", "held_out")

    def build(self, init):
        return torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(4, 1))

    def batch(self, data, step, seed, batch_size):
        return {"x": torch.randn(batch_size, 4, generator=random_generator(seed, step, 1))}

    def loss(self, module, batch, generator):
        time.sleep(self.seconds)
        noise = 0.1 * torch.randn(len(batch["x"]), 1, generator=generator)
        error = module(batch["x"]) - batch["x"].sum(dim=1, keepdim=True) - noise
        return error.square().mean(), {"error": error.detach().abs().mean()}

    def sample(self, module, batch):
        return torch.zeros(3, 4, 4)

    def export(self, module, held_out):
        return Export("fake", module.state_dict(), {"inputs": 4})


if __name__ == "__main__":
    from dataclasses import replace

    torch.set_num_threads(1)
    work, out, steps, seconds = sys.argv[1:]
    plan = replace(FakeRecipe.plan, steps=int(steps))
    train(FakeRecipe(float(seconds)), Path(), {}, Path(out), Path(work), plan)
