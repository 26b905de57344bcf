"""One training loop for every recipe, on accelerate.

A recipe says what to train (`Recipe`); `train` says how: warm-up and cosine learning rate, gradient
clipping and accumulation, EMA, mixed precision, checkpoints that survive a kill at any moment, a log,
sample pictures and held-out loss. Every random number is a pure function of (seed, step), so a resumed
run equals an uninterrupted one.
"""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from ...models.diffusion.checkpoint import save_module
from ...models.files import write_then_rename
from ...models.locks import only_one
from .checkpoint import fill, fill_optimizer, is_written, mark_written, read_state, write_state
from .copies import HalfCopy, MovingAverage
from .lora import lower, write_lora
from .memory import checkpoint_gradients, halve_frozen, optimizer_of
from .progress import Board, TrainingLog, at_its_end, means_of, save_image
from .recipe import (
    ADAMW,
    BF16_COPY,
    Batch,
    Recipe,
    Split,
    TrainingPlan,
    learning_rate_factor,
    random_generator,
)
from .start import digests_of, warn_of_others

logger = logging.getLogger(__name__)


class Trainer:
    """One run of one recipe in a work folder. `run` returns the scores of the exported weights."""

    def __init__(
        self,
        recipe: Recipe,
        data: Split,
        init: Mapping[str, Path],
        plan: TrainingPlan,
        work: Path,
        resume: bool = True,
        start: Path | None = None,
    ) -> None:
        from accelerate import Accelerator, DistributedDataParallelKwargs

        self.recipe, self.data, self.plan, self.work = recipe, data, plan, Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator(
            gradient_accumulation_steps=plan.accumulation,
            mixed_precision="no" if plan.mixed_precision == BF16_COPY else plan.mixed_precision,
            cpu=plan.device == "cpu",
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=recipe.leaves_out)],
        )
        self.digests = digests_of(init, start)
        torch.manual_seed(plan.seed)
        self.module = recipe.build(init)
        if start is not None:
            recipe.begin_with(self.module, start)
        if plan.lora:
            lower(self.module, plan.lora)
        if plan.gradient_checkpointing:
            checkpoint_gradients(self.module)
        if plan.half_frozen and not plan.lora:  # a low rank is exported as a sum, which must not be rounded
            halve_frozen(self.module, plan.mixed_precision)
        groups = recipe.parameter_groups(self.module, plan.learning_rate)
        self.optimizer = optimizer_of(plan.optimizer)(
            groups, lr=plan.learning_rate, betas=plan.betas, weight_decay=plan.weight_decay
        )
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.step, self.seconds = 0, 0.0
        self.module.to(self.accelerator.device)
        self.average = MovingAverage(self.module, plan.ema_decay)
        if resume:
            self._restore()
        self.half = HalfCopy(self.module) if plan.mixed_precision == BF16_COPY else None
        worker = self.half.module if self.half else self.module
        self.wrapped, self.stepper = self.accelerator.prepare(worker, self.optimizer)
        self.stop = threading.Event()
        self.board = Board(self.work / "tensorboard", plan.tensorboard and self.accelerator.is_main_process)

    # -- the loop --------------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Train to the end of the plan. False when it was asked to stop before (everything is saved then).

        Several processes part here: what follows is the first one's alone.
        """
        first = self.accelerator.is_main_process
        log = TrainingLog(self.work / "log.csv", self.plan, first, self.board)
        clock = time.monotonic() - self.seconds
        saved = sampled = time.monotonic()
        with self._stops_on_signals():
            while self._goes_on():
                log.add(self.step, self._train_step(), self.fraction(), self.seconds)
                self.step += 1
                self.seconds = time.monotonic() - clock
                if time.monotonic() - sampled > self.plan.sample_seconds:
                    log.held_out(self.step, self._show())
                    sampled = time.monotonic()
                if time.monotonic() - saved > self.plan.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        self.save()
        self.accelerator.end_training()
        return self.fraction() >= 1.0

    def _goes_on(self) -> bool:
        """Whether to take another step; several processes do what the first one decides, by its clock."""
        wanted = not self.stop.is_set() and self.fraction() < 1.0
        if self.accelerator.num_processes == 1:
            return wanted
        from accelerate.utils import broadcast

        told = broadcast(torch.tensor([float(wanted), self.seconds], device=self.accelerator.device))
        self.seconds = float(told[1])
        return bool(told[0])

    def fraction(self) -> float:
        """The part of the run that is done, 0..1, by time when the plan has minutes, else by steps."""
        if self.plan.minutes is not None:
            return self.seconds / max(self.plan.minutes * 60, 1e-9)
        return self.step / max(self.plan.steps, 1)

    def _train_step(self) -> dict[str, float]:
        plan = self.plan
        factor = learning_rate_factor(
            self.step, self.fraction(), plan.warmup_steps, plan.final_rate, plan.falls
        )
        for group, rate in zip(self.stepper.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        if self.half:
            self.half.refresh()
        self.wrapped.train()
        values: dict[str, list[float]] = defaultdict(list)
        for part in range(plan.accumulation):
            with self.accelerator.accumulate(self.wrapped):
                for name, value in self._micro_step(part).items():
                    values[name].append(value)
        self.average.update(self.step)
        return {**means_of(values), "rate": factor}

    def _micro_step(self, part: int) -> dict[str, float]:
        processes = self.accelerator.num_processes
        number = (self.step * self.plan.accumulation + part) * processes + self.accelerator.process_index
        torch.manual_seed(random_generator(self.plan.seed, number, 1).initial_seed())
        batch = self._on_device(
            self.recipe.batch(self.data.train, number, self.plan.seed, self.plan.batch_size)
        )
        with self.accelerator.autocast():
            loss, extra = self.recipe.loss(self.wrapped, batch, random_generator(self.plan.seed, number, 2))
        if not torch.isfinite(loss):
            raise ValueError(
                f"{self.recipe.name}: loss is {loss.item()} at step {self.step}; lower the learning rate"
            )
        self.accelerator.backward(loss)
        if self.accelerator.sync_gradients:
            if self.half:
                self.half.hand_over_gradients()
            trainable = [p for group in self.stepper.param_groups for p in group["params"]]
            self.accelerator.clip_grad_norm_(trainable, self.plan.clip_norm)
        self.stepper.step()
        self.stepper.zero_grad()
        return {"loss": loss.item(), **{name: float(value) for name, value in extra.items()}}

    def _on_device(self, batch: Batch) -> Batch:
        device = self.accelerator.device
        return {name: value.to(device) if torch.is_tensor(value) else value for name, value in batch.items()}

    # -- looking at it ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def held_out_loss(self, batches: int = 4) -> float:
        """Mean loss of the averaged weights on fixed held-out batches."""
        self.module.eval()
        total = 0.0
        with self.average.applied():
            for index in range(batches):
                batch = self._on_device(self.recipe.batch(self.data.held_out, index, 0, self.plan.batch_size))
                with self.accelerator.autocast():
                    total += self.recipe.loss(self.module, batch, random_generator(0, index, 3))[0].item()
        return total / batches

    @torch.no_grad()
    def _show(self) -> float:
        loss = self.held_out_loss()
        if self.accelerator.is_main_process and self.plan.samples:
            with self.average.applied():
                self._draw(f"sample_{self.step:07d}.png")
        return loss

    def _draw(self, name: str) -> None:
        """Save what the module makes of held-out people."""
        batch = self._on_device(self.recipe.batch(self.data.held_out, 0, 0, self.plan.samples))
        save_image(self.work / name, image := self.recipe.sample(self.module, batch))
        self.board.picture(self.step, image)

    @torch.no_grad()
    def export(self, path: Path) -> dict[str, float]:
        """Write the averaged weights as fp16 with their history and held-out scores; gives the scores."""
        scores = {"held_out_loss": self.held_out_loss()}
        self.module.eval()
        with self.average.applied():
            result = self.recipe.export(self.module, self.data.held_out)
            if self.plan.samples:
                scores |= self.recipe.evaluate(self.module, self.data.held_out)
                self._draw("sample_final.png")
            scores = {name: round(float(value), 6) for name, value in scores.items()}
            self.board.numbers(self.step, scores, "scores")
            save_module(
                path,
                result.file_kind,
                result.tensors,
                result.config,
                int8=result.int8,
                recipe=self.recipe.name,
                seed=self.plan.seed,
                steps=self.step,
                batch_size=self.plan.batch_size * self.plan.accumulation * self.accelerator.num_processes,
                scores=scores,
            )
            write_lora(path, self.module)
        return scores

    def release(self) -> None:
        """Let go of what trained, which accelerate would keep: large files are written next. A process that
        ended with its group still open could be aborted, and all others with it.
        """
        del self.wrapped, self.stepper, self.optimizer, self.average, self.half, self.module
        self.accelerator.end_training()
        self.accelerator.free_memory()
        gc.collect()

    # -- checkpoints -----------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint beside the old one, then rename: a kill at any moment leaves a whole one."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "fingerprint": self._fingerprint(),
            "digests": self.digests,
            "step": self.step,
            "seconds": self.seconds,
            "parameters": [p.detach() for p in self.average.parameters],
            "average": self.average.shadow,
            "buffers": dict(self.module.named_buffers()),
            "optimizer": self.optimizer.state_dict(),
        }
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        write_then_rename(self.work / "checkpoint.pt", partial(write_state, state))

    def _restore(self) -> None:
        path = self.work / "checkpoint.pt"
        if not path.exists():
            return
        state = read_state(path)
        if state["fingerprint"] != self._fingerprint():
            raise ValueError(
                f"{path} belongs to another run ({state['fingerprint']}, now {self._fingerprint()}): "
                "choose another --work folder or --no-resume"
            )
        warn_of_others(self.work, state.get("digests", self.digests), self.digests)
        self.step, self.seconds, scaler = state["step"], state["seconds"], state.get("scaler")
        del state
        fill(path, lambda kept: kept["parameters"], self.average.parameters)
        if self.average.decay > 0:
            fill(path, lambda kept: kept["average"], self.average.shadow)
        buffers = dict(self.module.named_buffers())
        fill(path, lambda kept: [kept["buffers"][name] for name in buffers], list(buffers.values()))
        fill_optimizer(path, self.optimizer)
        if self.accelerator.scaler is not None and scaler is not None:
            self.accelerator.scaler.load_state_dict(scaler)
        logger.info("%s: resumed at step %d", self.recipe.name, self.step)

    def _fingerprint(self) -> str:
        weights = sum(p.numel() for p in self.average.parameters)
        plan = self.plan
        batch = f"{plan.batch_size}x{plan.accumulation}"
        other = "" if plan.optimizer == ADAMW else f" {plan.optimizer}"
        return f"{self.recipe.name} seed {plan.seed} batch {batch} weights {weights}{other}"

    @contextmanager
    def _stops_on_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(number, lambda *_: self.stop.set()) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def train(
    recipe: Recipe,
    data_root: Path,
    init: Mapping[str, Path],
    out: Path,
    work: Path,
    plan: TrainingPlan | None = None,
    resume: bool = True,
    start: Path | None = None,
    full_size: bool = False,
) -> dict[str, float] | None:
    """Run a recipe to the end of its plan and write its weights.

    Of several processes the first one writes; the others have no scores. A run whose weights were written
    before writes nothing over `out`, and the log says so; one that was killed while it wrote writes again.

    Args:
        recipe: what to train.
        data_root: folder of the data sets that the recipe prepares.
        init: weight files by the names of the recipes that made them.
        out: the weights file to write.
        work: folder of the checkpoint, the log and the sample pictures.
        plan: None is the recipe's own.
        resume: go on from the checkpoint in `work` when there is one.
        start: weights of an earlier run of this recipe, to begin with.
        full_size: also write what other programs read (`Recipe.finish`).

    Returns:
        Held-out scores by name, none when nothing was written; None when it was stopped before the end.

    Raises:
        ValueError: the checkpoint or `start` is of another run or recipe, or the loss is no number.
        FileNotFoundError: data that the recipe needs were not made.
        FolderInUseError: another process trains in `work`.
        OSError: the disk is full; the last checkpoint is whole.
    """
    from accelerate import PartialState

    plan = plan or recipe.plan
    first = PartialState(cpu=plan.device == "cpu").is_main_process
    with only_one(Path(work), "train in") if first else nullcontext():
        return _train(recipe, Path(data_root), init, Path(out), Path(work), plan, resume, start, full_size)


def _train(
    recipe: Recipe,
    data_root: Path,
    init: Mapping[str, Path],
    out: Path,
    work: Path,
    plan: TrainingPlan,
    resume: bool,
    start: Path | None,
    full_size: bool,
) -> dict[str, float] | None:
    from accelerate import PartialState

    with PartialState(cpu=plan.device == "cpu").main_process_first():
        data = recipe.prepare(data_root, init)
    trainer = Trainer(recipe, data, init, plan, work, resume=resume, start=start)
    logger.info("%s: %s", recipe.name, asdict(plan))
    scores, step = _finish(trainer, out), trainer.step
    trainer.release()
    if scores:
        if full_size:
            recipe.finish(out, init)
        mark_written(work, step, out)
    return scores


def _finish(trainer: Trainer, out: Path) -> dict[str, float] | None:
    recipe = trainer.recipe
    if trainer.step > 0 and trainer.fraction() >= 1.0:
        whole = is_written(trainer.work, trainer.step, out)
        logger.info("%s: %s", recipe.name, at_its_end(trainer.step, trainer.plan, out, whole))
        if whole:
            return {}
    if not trainer.run():
        logger.info("%s: stopped at step %d, run the same command again to go on", recipe.name, trainer.step)
        return None
    if not trainer.accelerator.is_main_process:
        return {}
    scores = trainer.export(out)
    logger.info("%s: wrote %s, %s", recipe.name, out, scores)
    return scores
