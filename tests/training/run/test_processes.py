"""Several processes: `accelerate launch -m figura train ...`, as docs/training.md has it, on two CPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import load_file
from figura.training.recipes import load_recipe
from figura.training.run import command

LAUNCH = (
    "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "figura", "train",
)  # fmt: skip
"""accelerate's own --cpu starts one process alone, whatever --num_processes says."""
pytestmark = pytest.mark.slow


def launched(*words: object) -> str:
    """What two processes say that train together."""
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *LAUNCH, *map(str, words)], capture_output=True, text=True, timeout=1200, env=paths
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def words_of(recipe: str, data: Path, weights: Mapping[str, Path], folder: Path, steps: int) -> list[object]:
    init = [f"{name}={weights[name]}" for name in ("vae", "text", "base")]
    return [
        recipe, "--data", data, "--init", *init, "--out", folder / f"{recipe}.safetensors", "--work",
        folder / "run", "--device", "cpu", "--batch", "1", "--samples", "0", "--precision", "no",
        "--steps", steps,
    ]  # fmt: skip


def test_two_processes_are_one_that_accumulates_over_the_batches_of_both(
    toy_data: Path, toy_weights: Mapping[str, Path], tmp_path: Path
) -> None:
    """So their batches are others, their gradients are averaged, and what is resumed goes on the same."""
    both, one = tmp_path / "both", tmp_path / "one"
    first = launched(*words_of("humansd", toy_data, toy_weights, both, 2))
    assert first.count("wrote ") == 1 and (both / "run" / "checkpoint.pt").is_file()
    assert not list((both / "run").glob(".*partial"))
    again = launched(*words_of("humansd", toy_data, toy_weights, both, 3))
    assert again.count("resumed at step 2") == 2 and again.count("wrote ") == 1
    for steps in (2, 3):
        words = [*words_of("humansd", toy_data, toy_weights, one, steps), "--accumulation", "2"]
        assert command.main([str(word) for word in words]) == 0
    (made, meta), (alone, _) = (load_file(folder / "humansd.safetensors") for folder in (both, one))
    assert meta["steps"] == 3 and meta["batch_size"] == 2
    assert made.keys() == alone.keys()
    start = load_recipe("humansd").build(toy_weights).parameters()
    states = [torch.load(folder / "run" / "checkpoint.pt", weights_only=True) for folder in (both, one)]
    apart, moved = 0.0, 0.0
    for begun, value, other in zip(start, *(state["parameters"] for state in states), strict=True):
        apart += float((value - other).square().sum())
        moved += float((other - begun.detach()).square().sum())
    assert 0 < moved and apart < 1e-4 * moved  # the order of sums alone


def test_processes_whose_batches_leave_out_other_parts_go_on(
    toy_pairs: Path, toy_weights: Mapping[str, Path], tmp_path: Path
) -> None:
    """PoCoLD drops pose or source by the batch: networks that one process skips, the other may need."""
    words = words_of("pocold", toy_pairs, toy_weights, tmp_path, 12)
    assert launched(*words).count("wrote ") == 1
    assert load_file(tmp_path / "pocold.safetensors")[1]["steps"] == 12
