"""The trainer: seeds decide everything, and a kill at any moment costs nothing but time."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figura.models.diffusion.checkpoint import load_file
from figura.tests.training import fake
from figura.tests.training.toy_runs import equal, stopped_after
from figura.training.run.copies import HalfCopy, MovingAverage
from figura.training.run.progress import TrainingLog
from figura.training.run.recipe import BF16_COPY, Split, changed_plan, learning_rate_factor, random_generator
from figura.training.run.start import start_from
from figura.training.run.trainer import Trainer, train

PROGRAM = Path(__file__).parent.with_name("fake.py")
PLAN = fake.FakeRecipe.plan


def trained(work: Path, **changes: object) -> dict[str, torch.Tensor]:
    out = work / "out.safetensors"
    assert train(fake.FakeRecipe(), Path(), {}, out, work, replace(PLAN, **changes)) is not None
    return load_file(out, file_kind="fake")[0]


def test_the_seed_decides(tmp_path: Path) -> None:
    first, again, other = (
        trained(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert equal(first, again) and not equal(first, other)


def test_stopped_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    recipe = fake.FakeRecipe()
    stopped_after(5, recipe, recipe.prepare(None, {}), {}, PLAN, tmp_path / "stopped")
    assert equal(trained(tmp_path / "stopped"), trained(tmp_path / "whole"))


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    work, out = tmp_path / "killed", tmp_path / "killed" / "out.safetensors"
    command = [sys.executable, str(PROGRAM), str(work), str(out), "40", "0.05"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 600
        while not (work / "checkpoint.pt").exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists()
    done = torch.load(work / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < done < 40
    assert equal(trained(work, steps=40), trained(tmp_path / "whole", steps=40))


def test_a_save_that_fails_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = fake.FakeRecipe()
    trainer = stopped_after(4, recipe, recipe.prepare(None, {}), {}, PLAN, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full_disk(state: object, file: object) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="no space left"):
        trainer.save()
    monkeypatch.undo()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert Trainer(recipe, recipe.prepare(None, {}), {}, PLAN, tmp_path).step == 4


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(ValueError, match="belongs to another run"):
        trained(tmp_path, seed=9)


@pytest.mark.parametrize("changed", ["vae", "--from"])
def test_a_run_that_goes_on_says_which_file_is_not_the_one_it_began_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changed: str
) -> None:
    files = {name: tmp_path / f"{name}.bin" for name in ("vae", "--from", "folder")}
    for path in files.values():
        path.mkdir() if path.stem == "folder" else path.write_bytes(b"first")
    recipe = fake.FakeRecipe()
    recipe.begin_with = lambda module, path: None

    def begin() -> Trainer:
        init = {name: path for name, path in files.items() if name != "--from"}
        return Trainer(recipe, recipe.prepare(None, {}), init, PLAN, tmp_path / "work", start=files["--from"])

    def warned() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.levelno == logging.WARNING]

    begin().save()
    begin()
    assert not warned()
    files[changed].write_bytes(b"other")
    assert begin().step == 0
    assert [record.args[1] for record in warned()] == [changed]
    assert "--no-resume" in caplog.text


@pytest.mark.parametrize("left", [0, 1000])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, left: int) -> None:
    trained(tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"checkpoint\.pt cannot be read .*--no-resume"):
        trained(tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    recipe = fake.FakeRecipe()
    recipe.loss = lambda module, batch, generator: (module(batch["x"]).sum() * float("nan"), {})
    with pytest.raises(ValueError, match="lower the learning rate"):
        train(recipe, Path(), {}, tmp_path / "out.safetensors", tmp_path, PLAN)
    assert not (tmp_path / "out.safetensors").exists()


def test_the_file_says_where_it_comes_from(tmp_path: Path) -> None:
    trained(tmp_path, seed=3, accumulation=2)
    meta = load_file(tmp_path / "out.safetensors")[1]
    assert meta["recipe"] == "fake" and meta["seed"] == 3 and meta["steps"] == PLAN.steps
    assert meta["batch_size"] == 8 and meta["scores"]["held_out_loss"] > 0
    assert (tmp_path / "sample_final.png").is_file()


def test_minutes_end_a_run(tmp_path: Path) -> None:
    trained(tmp_path, minutes=0.002, log_seconds=0.0)
    assert "loss=" in (tmp_path / "log.csv").read_text()


def test_changed_plans() -> None:
    timed = changed_plan(PLAN, minutes=3.0, steps=None)
    assert timed.minutes == 3.0 and timed.steps == PLAN.steps
    assert changed_plan(timed, steps=5).minutes is None


def test_learning_rate_rises_then_falls_to_its_end() -> None:
    factors = [learning_rate_factor(step, step / 100, 10, 0.02) for step in range(101)]
    assert factors[0] == pytest.approx(0.1, abs=0.01)
    assert factors[:9] == sorted(factors[:9])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[100] == pytest.approx(0.02)
    assert learning_rate_factor(500, 1.7, 10, 0.02) == pytest.approx(0.02)


def test_random_numbers_depend_on_all_numbers_and_their_order() -> None:
    seeds = {random_generator(*n).initial_seed() for n in ((1, 2), (2, 1), (1, 2, 0), (1,), (0, 1), ())}
    assert len(seeds) == 6
    assert random_generator(4, 5).initial_seed() == random_generator(4, 5).initial_seed()


def test_the_average_follows_and_is_only_lent() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    average = MovingAverage(module, decay=0.5)
    for step in range(6):
        torch.nn.init.ones_(module.weight)
        average.update(step)
    with average.applied():
        assert 0.99 < module.weight.item() < 1.0
    assert module.weight.item() == 1.0
    frozen = torch.nn.Linear(1, 1).requires_grad_(False)
    assert MovingAverage(frozen, 0.9).shadow == []


@pytest.mark.slow
def test_a_half_copy_gives_the_gradients_of_its_float_weights() -> None:
    torch.manual_seed(0)
    own = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.SiLU(), torch.nn.Linear(16, 1))
    own[0].bias.requires_grad_(False)
    half = HalfCopy(own)
    with torch.no_grad():
        own[2].weight.mul_(2)
    half.refresh()
    x = torch.randn(32, 8)
    half.module(x).float().square().mean().backward()
    half.hand_over_gradients()
    given = {name: p.grad for name, p in own.named_parameters()}
    own.zero_grad()
    own(x).square().mean().backward()
    assert given["0.bias"] is None and own[0].weight.dtype == torch.float32
    for name, parameter in own.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(given[name], parameter.grad, rtol=0.05, atol=0.02)
    assert all(parameter.grad is None for parameter in half.module.parameters())


def test_training_in_a_half_copy_learns_and_resumes_the_same(tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain", steps=40)
    half = trained(tmp_path / "half", steps=40, mixed_precision=BF16_COPY)
    torch.testing.assert_close(half["1.weight"].float(), plain["1.weight"].float(), rtol=0.1, atol=0.03)
    plan = replace(PLAN, steps=40, mixed_precision=BF16_COPY)
    stopped_after(20, fake.FakeRecipe(), Split("train", "held_out"), {}, plan, tmp_path / "stopped")
    assert equal(half, trained(tmp_path / "stopped", steps=40, mixed_precision=BF16_COPY))


def test_a_run_may_begin_with_earlier_weights(tmp_path: Path) -> None:
    trained(tmp_path / "first")
    start = tmp_path / "first" / "out.safetensors"
    trainer = Trainer(fake.FakeRecipe(), Split(None, None), {}, PLAN, tmp_path / "second", start=start)
    assert equal(load_file(start)[0], {name: p.half() for name, p in trainer.module.state_dict().items()})


def test_weights_of_another_recipe_are_no_beginning(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(ValueError, match=r"out\.safetensors.*2 weights have no place in it, first 1\."):
        start_from(torch.nn.Linear(4, 1), tmp_path / "out.safetensors")


def test_two_processes_train_together_and_go_on(tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    for steps in ("4", "6"):
        command = [*launch, str(PROGRAM), str(tmp_path), str(out), steps, "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-2000:]
        meta = load_file(out, file_kind="fake")[1]
        assert meta["steps"] == int(steps) and meta["batch_size"] == 2 * PLAN.batch_size


def test_curves_pictures_and_scores_go_to_tensorboard(tmp_path: Path) -> None:
    loaded = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trained(tmp_path, tensorboard=True, log_seconds=0.0)
    board = loaded.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = board.Tags()
    assert {"train/loss", "scores/held_out_loss"} <= set(tags["scalars"])
    assert tags["images"] == ["held_out/sample"]
    assert [point.step for point in board.Scalars("train/loss")] == list(range(PLAN.steps))


def test_nothing_is_drawn_when_no_samples_are_asked_for(tmp_path: Path) -> None:
    trained(tmp_path, samples=0)
    assert not list(tmp_path.glob("sample_*.png")) and not (tmp_path / "tensorboard").exists()


def test_an_average_without_decay_is_the_weights_and_takes_no_memory() -> None:
    module = torch.nn.Linear(2, 2)
    average = MovingAverage(module, 0.0)
    module.weight.data += 1
    average.update(3)
    with average.applied():
        pass
    assert all(a.data_ptr() == p.data_ptr() for a, p in zip(average.shadow, average.parameters, strict=True))


def test_the_scale_of_half_gradients_is_kept(tmp_path: Path) -> None:
    recipe = fake.FakeRecipe()
    trainer = stopped_after(2, recipe, recipe.prepare(None, {}), {}, PLAN, tmp_path)
    trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    trainer.save()
    trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    trainer._restore()
    assert trainer.accelerator.scaler.get_scale() == 8.0


def test_means_in_the_log_are_over_what_there_is(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.csv", replace(PLAN, log_seconds=0.05), True)
    log.add(0, {"loss": 1.0}, 0.1, 1.0)
    log.add(1, {"loss": 2.0, "penalty": 8.0}, 0.2, 1.0)
    time.sleep(0.06)
    log.add(2, {"loss": 6.0}, 0.3, 1.0)
    text = (tmp_path / "log.csv").read_text()
    assert "loss=3.0" in text and "penalty=8.0" in text


def test_the_loss_of_a_step_is_that_of_all_its_parts(tmp_path: Path) -> None:
    losses = [1.0, 5.0, 3.0]

    class Counted(fake.FakeRecipe):
        def loss(self, module, batch, generator):
            part = losses.pop(0)
            return module(batch["x"]).sum() * 0 + part, {"twice": torch.tensor(2 * part)}

    recipe = Counted()
    trainer = Trainer(recipe, recipe.prepare(None, {}), {}, replace(PLAN, accumulation=3), tmp_path)
    scalars = trainer._train_step()
    assert scalars["loss"] == 3.0 and scalars["twice"] == 6.0
