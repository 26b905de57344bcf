"""What training at full size does to need less memory changes no result, and needs less memory."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from figura.models.diffusion.checkpoint import load_file
from figura.tests.models.diffusion import full_size as makers
from figura.tests.training import fake
from figura.tests.training.toy_runs import equal, stopped_after
from figura.training.recipes import load_recipe
from figura.training.recipes.controlled import ControlledUNet
from figura.training.run import checkpoint
from figura.training.run.copies import MovingAverage
from figura.training.run.memory import checkpoint_gradients, halve_frozen, optimizer_of
from figura.training.run.recipe import ADAMW_8BIT, Split
from figura.training.run.trainer import Trainer, train

PLAN = fake.FakeRecipe.plan
MIB = 1 << 20
READER = """
import sys
from pathlib import Path
import torch
from figura.training.run import checkpoint
def kib(field):
    return int(Path("/proc/self/status").read_text().partition(field + ":")[2].split()[0])
checkpoint.AT_ONCE = 16 << 20
targets = [torch.empty(2 << 20) for _ in range(16)]
before = kib("VmRSS")
checkpoint.fill(Path(sys.argv[1]), lambda state: state["parameters"], targets)
assert all((target == number).all() for number, target in enumerate(targets))
print(kib("VmHWM") - before)
"""


# Frozen matrices


def controlled() -> ControlledUNet:
    torch.manual_seed(0)
    return ControlledUNet(makers.unet(9)).train()


def step(module: ControlledUNet) -> tuple[torch.Tensor, list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, 9, 8, 8), (2, 5, 64), (2, 3, 64, 64))
    latents, texts, prompt = (torch.randn(shape, generator=generator) for shape in shapes)
    module.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        made = module(latents, torch.tensor([7, 900]), texts, prompt)
    made.float().square().mean().backward()
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return made.detach(), [p.grad.clone() for p in learning if p.grad is not None]


def test_frozen_matrices_in_half_give_the_same_noise_and_gradients_bit_for_bit() -> None:
    module = controlled()
    made, gradients = step(module)
    halve_frozen(module, "bf16")
    again, others = step(module)
    assert torch.equal(made, again) and len(gradients) == len(others) > 0
    assert all(torch.equal(one, other) for one, other in zip(gradients, others, strict=True))


def test_what_learns_and_norms_stay_in_float32() -> None:
    module = controlled()
    halve_frozen(module, "bf16")
    for name, parameter in module.named_parameters():
        frozen = not parameter.requires_grad and parameter.ndim > 1
        assert parameter.dtype == (torch.bfloat16 if frozen else torch.float32), name
    frozen = [p for p in module.parameters() if p.dtype == torch.bfloat16]
    assert sum(p.numel() for p in frozen) > 0.5 * sum(p.numel() for p in module.unet.parameters())


@pytest.mark.parametrize("precision", ["no", "bf16-copy"])
def test_without_autocast_nothing_is_rounded(precision: str) -> None:
    module = controlled()
    halve_frozen(module, precision)
    assert all(parameter.dtype == torch.float32 for parameter in module.parameters())


@pytest.mark.parametrize(
    ("recipe", "halves"),
    [("phac", True), ("body", True), ("cfld", True), ("hands", False), ("humansd", False), ("pocold", False)],
)
def test_recipes_at_full_size_spare_memory_where_they_can(recipe: str, halves: bool) -> None:
    made = load_recipe(recipe)
    made.at_full_size()
    assert made.plan.half_frozen == halves
    assert made.plan.gradient_checkpointing == (recipe != "pocold")


def test_a_network_that_is_not_of_diffusers_is_told() -> None:
    with pytest.raises(ValueError, match="no network of diffusers; leave it out"):
        checkpoint_gradients(torch.nn.Linear(2, 2))


# The average


def test_the_average_is_lent_without_a_copy() -> None:
    module = torch.nn.Linear(4, 4)
    average = MovingAverage(module, 0.9)
    places = [p.data_ptr() for p in average.parameters], [value.data_ptr() for value in average.shadow]
    values = [p.detach().clone() for p in average.parameters]
    torch.nn.init.ones_(average.shadow[0])
    with average.applied():
        assert [p.data_ptr() for p in module.parameters()] == places[1]
        assert (module.weight == 1).all()
    assert [p.data_ptr() for p in module.parameters()] == places[0]
    assert all(torch.equal(p, value) for p, value in zip(module.parameters(), values, strict=True))


# Checkpoints


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads the peak as Linux tells it")
def test_a_checkpoint_is_read_without_a_second_copy(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    values = [torch.full((2 << 20,), float(number)) for number in range(16)]  # 8 MiB each
    checkpoint.write_state({"parameters": values}, path)
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path)], capture_output=True, text=True, check=False, env=paths
    )
    assert done.returncode == 0, done.stderr[-2000:]
    grown = int(done.stdout.split()[-1]) / 1024
    assert 120 < grown < 128 + 64  # what was filled, and a few of 16


def test_a_run_goes_on_the_same_when_its_checkpoint_is_read_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "AT_ONCE", 1)
    recipe, plan = fake.FakeRecipe(), replace(PLAN, weight_decay=0.1)
    stopped_after(5, recipe, Split("train", "held_out"), {}, plan, tmp_path / "stopped")
    files = [tmp_path / name / "out.safetensors" for name in ("stopped", "whole")]
    for file in files:
        assert train(fake.FakeRecipe(), Path(), {}, file, file.parent, plan)
    assert equal(load_file(files[0])[0], load_file(files[1])[0])


def test_tensors_of_other_shapes_are_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.write_state({"parameters": [torch.zeros(1)]}, path)
    with pytest.raises(ValueError, match="holds tensors of another run: choose another --work folder"):
        checkpoint.fill(path, lambda state: state["parameters"], [torch.zeros(3)])


# The optimizer with states of 8 bits


def test_without_bitsandbytes_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bitsandbytes", "bitsandbytes.optim"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'not installed: pip install "figura\[adamw-8bit\]"'):
        optimizer_of(ADAMW_8BIT)
    with pytest.raises(ValueError, match="optimizer is 'lion'; it is one of adamw, adamw-8bit"):
        optimizer_of("lion")


class WideRecipe(fake.FakeRecipe):
    """With a matrix large enough for states of 8 bits."""

    def build(self, init):
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(4, 2048), torch.nn.Linear(2048, 1))


def resumes(tmp_path: Path) -> Trainer:
    """A run that stopped and went on has the weights and states of one that did not."""
    plan, data = replace(PLAN, steps=4, optimizer=ADAMW_8BIT), Split("train", "held_out")
    stopped_after(2, WideRecipe(), data, {}, plan, tmp_path / "stopped")
    stopped, whole = (Trainer(WideRecipe(), data, {}, plan, tmp_path / name) for name in ("stopped", "whole"))
    assert stopped.step == 2 and whole.step == 0 and stopped.run() and whole.run()
    pairs = zip(
        [*stopped.module.parameters(), *checkpoint.tensors_in(stopped.optimizer.state_dict())],
        [*whole.module.parameters(), *checkpoint.tensors_in(whole.optimizer.state_dict())],
        strict=True,
    )
    assert all(torch.equal(one, other) for one, other in pairs)
    return stopped


def test_an_optimizer_of_that_name_trains_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ModuleType("bitsandbytes.optim")
    made.AdamW8bit = type("AdamW8bit", (torch.optim.AdamW,), {})  # the interface alone
    monkeypatch.setitem(sys.modules, "bitsandbytes", ModuleType("bitsandbytes"))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", made)
    assert type(resumes(tmp_path).optimizer).__name__ == "AdamW8bit"
    with pytest.raises(ValueError, match="belongs to another run .*adamw-8bit"):
        Trainer(WideRecipe(), Split(None, None), {}, PLAN, tmp_path / "whole")


def test_states_of_8_bits_are_kept_and_come_back(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    optimizer = resumes(tmp_path).optimizer
    states = [state["state1"] for state in optimizer.state.values()]
    assert any(state.dtype == torch.uint8 for state in states)
