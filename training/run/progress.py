"""How a run shows itself: log lines and sample pictures."""

from __future__ import annotations

import csv
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ...models.files import write_then_rename
from .recipe import TrainingPlan

logger = logging.getLogger(__name__)


class Board:
    """Curves, pictures and scores for TensorBoard, in `folder`; nothing without the plan's `tensorboard`.

    Raises ImportError that says what to install.
    """

    def __init__(self, folder: Path, enabled: bool) -> None:
        self.writer: Any = None
        if enabled:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError("--tensorboard needs tensorboard: pip install tensorboard") from error
            self.writer = SummaryWriter(str(folder))

    def numbers(self, step: int, values: Mapping[str, Any], group: str = "train") -> None:
        """Points of curves, by name."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", float(value), step)
            self.writer.flush()

    def picture(self, step: int, image: torch.Tensor) -> None:
        """A picture (3,H,W) in 0..1 of held-out people."""
        if self.writer is not None:
            self.writer.add_image("held_out/sample", image.detach().float().cpu().clamp(0, 1), step)
            self.writer.flush()


class TrainingLog:
    """A csv file with one line of means every `log_seconds`, and the same to the logger and the board."""

    def __init__(self, path: Path, plan: TrainingPlan, enabled: bool, board: Board | None = None) -> None:
        self.path, self.plan, self.enabled = path, plan, enabled
        self.board = board or Board(path.parent, False)
        self.values: dict[str, list[float]] = defaultdict(list)
        self.count, self.last_time = 0, time.monotonic()

    def add(self, step: int, scalars: Mapping[str, float], fraction: float, seconds: float) -> None:
        """Collect the scalars of one step; writes when it is time.

        Args:
            step: its number, from 0.
            scalars: numbers by name.
            fraction: part of the run that is done, 0..1.
            seconds: that the run has taken.
        """
        for name, value in scalars.items():
            self.values[name].append(value)
        self.count += 1
        elapsed = time.monotonic() - self.last_time
        if elapsed >= self.plan.log_seconds:
            self._write(
                step,
                fraction,
                seconds,
                (self.count * self.plan.batch_size * self.plan.accumulation) / elapsed,
            )

    def held_out(self, step: int, loss: float) -> None:
        """Write a held-out loss."""
        self._row({"step": step, "held_out_loss": round(loss, 6)})
        self.board.numbers(step, {"loss": loss}, "held_out")
        logger.info("step %d held-out loss %.5f", step, loss)

    def _write(self, step: int, fraction: float, seconds: float, rate: float) -> None:
        means = {name: round(mean, 6) for name, mean in means_of(self.values).items()}
        left = seconds * (1 - fraction) / max(fraction, 1e-9)
        self._row({"step": step, "seconds": round(seconds, 1), "samples_per_second": round(rate, 2), **means})
        self.board.numbers(step, {**means, "samples_per_second": rate})
        text = " ".join(f"{name} {value:.4g}" for name, value in means.items())
        logger.info(
            "step %d %5.1f%% %s | %.1f samples/s, %.0f s left", step, 100 * fraction, text, rate, left
        )
        self.values, self.count, self.last_time = defaultdict(list), 0, time.monotonic()

    def _row(self, row: Mapping[str, Any]) -> None:
        if not self.enabled:
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([f"{name}={value}" for name, value in row.items()])


def means_of(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each name's values; a loss that only some steps have has fewer of them."""
    return {name: sum(several) / len(several) for name, several in values.items()}


def save_image(path: Path, image: torch.Tensor) -> None:
    """Save a picture (3,H,W) in 0..1 as PNG."""
    from PIL import Image

    pixels = (image.detach().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    write_then_rename(path, lambda place: Image.fromarray(pixels).save(place, format="PNG"))


def image_grid(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Rows of pictures, each (B,3,H,W) in 0..1, as one picture (3, rows*H, B*W)."""
    return torch.cat([torch.cat(list(row.detach().float().cpu()), dim=2) for row in rows], dim=1)


def at_its_end(step: int, plan: TrainingPlan, out: Path, whole: bool) -> str:
    """What to say of a run that was at the end of its plan, or beyond it, before it began.

    Args:
        step: where it is.
        plan: what was asked for.
        out: where its weights go.
        whole: they are there, and all that belongs beside them.
    """
    beyond = plan.minutes is None and step > plan.steps
    found = f"is at step {step} already"
    found = f"{found}, beyond the {plan.steps} asked for" if beyond else f"{found}: finished"
    if not whole:
        return f"{found}; its weights are written now"
    return (
        f"{found}; {out} stays as it is. --steps N or --minutes M beyond that goes on, --no-resume begins "
        "anew, --out FILE writes these weights elsewhere"
    )
