"""`figura bench steps`: steps of the trainer, against the same steps written out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.diffusion.networks import MINI_SIZE, TEXT_WIDTH, mini_unet
from ...models.diffusion.text import TOKENS
from ..reports.document import report
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan
from ..run.trainer import train
from .threads import one_thread

STEPS, BATCH = 8, 8


class Denoising(BaseRecipe):
    """Mini's text-to-image U-Net on latents and noise drawn once: only the step is measured."""

    name = "bench"
    plan = TrainingPlan(steps=STEPS, batch_size=BATCH, learning_rate=1e-4, device="cpu")

    def __init__(self) -> None:
        self.times: list[float] = []

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        return Split("train", "held_out")

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        torch.manual_seed(0)
        return mini_unet()

    def batch(self, data: Any, step: int, seed: int, batch_size: int) -> Batch:
        self.times.append(time.thread_time())
        return drawn_batch(batch_size)

    def loss(self, module: Any, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return denoising_loss(module, batch), {}

    def sample(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        return torch.zeros(3, 4, 4)

    def export(self, module: torch.nn.Module, held_out: Any) -> Export:
        return Export("bench", {"steps": torch.zeros(1)}, {})


def drawn_batch(count: int) -> dict[str, Tensor]:
    """Latents, noise and states of texts of a batch."""
    side = MINI_SIZE // 8
    return {
        "latents": torch.randn(count, 8, side, side),
        "noise": torch.randn(count, 8, side, side),
        "texts": torch.randn(count, TOKENS, TEXT_WIDTH),
    }


def denoising_loss(module: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """The mean squared error of the predicted noise at one time step."""
    predicted = module(batch["latents"], torch.tensor(500), encoder_hidden_states=batch["texts"]).sample
    return F.mse_loss(predicted, batch["noise"])


def bench_steps(steps: int = STEPS, batch: int = BATCH) -> dict[str, Any]:
    """Steps a second of the trainer (with its average of the weights and its log) and of a bare loop.

    The first two steps warm up.

    Args:
        steps: that are counted.
        batch: pictures in each.
    """
    from dataclasses import replace

    recipe = Denoising()
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        plan = replace(Denoising.plan, steps=steps + 2, batch_size=batch)
        train(recipe, place, {}, place / "out.safetensors", place / "run", plan)
        ours = (recipe.times[steps + 1] - recipe.times[1]) / steps
        bare = bare_seconds(steps, batch)
    figures = {
        "time_ratio.bare": ours / bare,
        "steps_per_second": 1 / ours,
        "steps_per_second.bare": 1 / bare,
    }
    return report("steps", steps, 0, "cpu", 1, {**figures, "steps": steps, "batch": batch})


def bare_seconds(steps: int, batch: int) -> float:
    """Seconds of a step of the same network with AdamW and nothing else."""
    torch.manual_seed(0)
    module = mini_unet().train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)
    started = time.thread_time()
    for number in range(steps + 1):
        if number == 1:
            started = time.thread_time()
        denoising_loss(module, drawn_batch(batch)).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return (time.thread_time() - started) / steps
