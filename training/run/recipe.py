"""What a recipe is and how a run is planned; random numbers that depend on nothing before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from .start import start_from

Batch = dict[str, torch.Tensor]

BF16_COPY = "bf16-copy"
"""Precision: forward and backward passes in a bfloat16 copy of the float32 weights, without autocast."""


COSINE, STEP = FALLS = ("cosine", "step")
"""How the learning rate falls to its end: along a cosine, or at once in the middle of the run."""
ADAMW, ADAMW_8BIT = OPTIMIZERS = ("adamw", "adamw-8bit")


class Split(NamedTuple):
    """Training data and held-out data of one recipe (any objects the recipe's own `batch` understands)."""

    train: Any
    held_out: Any


class Export(NamedTuple):
    """What goes into the weights file: its kind, tensors and configuration; int8 stores the large ones so."""

    file_kind: str
    tensors: Mapping[str, torch.Tensor]
    config: Mapping[str, Any]
    int8: bool = False


@dataclass(frozen=True)
class TrainingPlan:
    """The knobs of one run. `minutes`, when given, replaces `steps`; the rate then follows the time.

    samples: held-out people that are drawn for a look; 0 leaves out all that is drawn, scores of it too.
    tensorboard: also write curves, pictures and scores for TensorBoard. lora: rank at which the U-Net's
    attention learns; 0 is whole matrices. half_frozen: matrices that do not learn are held in the precision
    in which autocast multiplies them, bf16 or fp16; for recipes that export none of them.
    """

    steps: int = 10_000
    minutes: float | None = None
    batch_size: int = 32
    accumulation: int = 1
    learning_rate: float = 1e-3
    final_rate: float = 0.02
    warmup_steps: int = 200
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    mixed_precision: str = "no"
    device: str | None = None
    falls: str = COSINE
    optimizer: str = ADAMW
    gradient_checkpointing: bool = False
    half_frozen: bool = False
    samples: int = 8
    tensorboard: bool = False
    lora: int = 0
    checkpoint_seconds: float = 120.0
    sample_seconds: float = 300.0
    log_seconds: float = 10.0


class Recipe(Protocol):
    """What a recipe file provides. `init`: weight files by the names of the recipes in `needs`.

    leaves_out: some batches make no use of all that learns: several processes ask one another what they used.
    """

    name: str
    needs: tuple[str, ...]
    plan: TrainingPlan
    leaves_out: bool

    def change(self, setting: str, value: float) -> None:
        """Give one of the recipe's own numbers another value; ValueError lists them."""

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Open the data; compute and cache on disk what is constant."""

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The module to train, in float32; parameters without gradient are frozen, checkpoints omit them."""

    def begin_with(self, module: torch.nn.Module, path: Path) -> None:
        """Give `module` the weights in a file of an earlier run."""

    def parameter_groups(self, module: torch.nn.Module, learning_rate: float) -> list[dict[str, Any]]:
        """Optimizer groups [{"params": ..., "lr": ...}]."""

    def batch(self, data: Any, step: int, seed: int, batch_size: int) -> Batch:
        """A batch of tensors, a pure function of its arguments.

        Args:
            data: one part of what `prepare` gave.
            step: number of the batch, from 0.
            seed: of the run.
            batch_size: samples in it.
        """

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Scalar loss and further scalars for the log. `module` may be wrapped: only call it."""

    def sample(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """A picture (3,H,W) in 0..1 that shows progress on a held-out batch."""

    def evaluate(self, module: torch.nn.Module, held_out: Any) -> dict[str, float]:
        """Held-out scores for the weights file's metadata."""

    def export(self, module: torch.nn.Module, held_out: Any) -> Export:
        """The finished weights."""

    def at_full_size(self) -> None:
        """Begin from public files with the authors' settings. ValueError for a recipe of mini's alone."""

    def finish(self, weights: Path, init: Mapping[str, Path]) -> None:
        """Write, beside finished weights of full size, what other programs read."""


class BaseRecipe:
    """Defaults for what most recipes share.

    settings: names of the recipe's own numbers, attributes of it or of its `switches`.
    """

    name = ""
    needs: tuple[str, ...] = ()
    plan = TrainingPlan()
    leaves_out = False
    settings: tuple[str, ...] = ()

    def change(self, setting: str, value: float) -> None:
        """Give one of `settings` another value. ValueError lists them."""
        if setting not in self.settings:
            known = ", ".join(self.settings) or "none"
            raise ValueError(f"recipe {self.name} has no setting {setting!r}; its settings: {known}")
        switches: Any = getattr(self, "switches", None)
        if hasattr(switches, setting):
            self.switches = replace(switches, **{setting: value})
        else:
            setattr(self, setting, value)

    def begin_with(self, module: torch.nn.Module, path: Path) -> None:
        """The file's weights, name by name."""
        start_from(module, path)

    def parameter_groups(self, module: torch.nn.Module, learning_rate: float) -> list[dict[str, Any]]:
        """All trainable parameters at one rate."""
        return [{"params": [p for p in module.parameters() if p.requires_grad], "lr": learning_rate}]

    def evaluate(self, module: torch.nn.Module, held_out: Any) -> dict[str, float]:
        """No scores beside the held-out loss."""
        return {}

    def at_full_size(self) -> None:
        """ValueError: most recipes make mini's networks alone."""
        raise ValueError(f"recipe {self.name} is one of mini's: it takes no --base")

    def finish(self, weights: Path, init: Mapping[str, Path]) -> None:
        """Nothing beside the weights file."""


def random_generator(*numbers: int) -> torch.Generator:
    """A CPU generator that depends on all `numbers` in their order, and on nothing before."""
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = ((mixed ^ (number + 0x7F4A7C15)) * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % (1 << 64)
        mixed ^= mixed >> 31
    return torch.Generator().manual_seed(mixed % (1 << 63))


def learning_rate_factor(
    step: int, fraction: float, warmup_steps: int, final: float, falls: str = COSINE
) -> float:
    """Linear warm-up over `warmup_steps`, times a fall from 1 to `final` over `fraction` 0..1.

    Args:
        step: number of the optimizer step, from 0.
        fraction: part of the run that is done; below 0 and above 1 count as these.
        warmup_steps: steps until the full rate.
        final: the factor at the end.
        falls: along a cosine, or in one step in the middle.

    Returns:
        What to multiply the plan's learning rate with, 0..1.
    """
    warm = min(1.0, (step + 1) / max(1, warmup_steps))
    if falls == STEP:
        return warm * (1.0 if fraction < 0.5 else final)
    cosine = 0.5 * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0)))
    return warm * (final + (1 - final) * cosine)


def check_plan(plan: TrainingPlan) -> None:
    """ValueError that names a number with which nothing, or nonsense, would be learnt."""
    least = {
        "steps": (plan.steps, 1), "batch": (plan.batch_size, 1), "accumulation": (plan.accumulation, 1),
        "seed": (plan.seed, 0), "samples": (plan.samples, 0), "warmup": (plan.warmup_steps, 0),
    }  # fmt: skip
    for name, (number, bound) in least.items():
        if number < bound:
            raise ValueError(f"--{name} is {number}; {bound} or more is accepted")
    above = {"minutes": plan.minutes, "lr": plan.learning_rate, "clip": plan.clip_norm}
    for name, value in above.items():
        if value is not None and not value > 0:
            raise ValueError(f"--{name} is {value}; a number above 0 is accepted")
    for name, part, inside in (
        ("ema", plan.ema_decay, 0 <= plan.ema_decay < 1),
        ("final-rate", plan.final_rate, 0 <= plan.final_rate <= 1),
    ):
        if not inside:
            raise ValueError(f"--{name} is {part}; a number from 0 to 1 is accepted")


def changed_plan(plan: TrainingPlan, **changes: Any) -> TrainingPlan:
    """The plan with those changes that are not None; giving steps switches a time limit off."""
    given = {name: value for name, value in changes.items() if value is not None}
    if "steps" in given and "minutes" not in given:
        given["minutes"] = None
    return replace(plan, **given)
