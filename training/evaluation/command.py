"""The command `figura eval METHOD`: measure, write metrics as JSON and as a table, draw contact sheets."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ...models.files import check_target
from ...models.sentences import typed
from ...models.store import MINI_DIR
from ...people.synthetic import HELD_OUT_FIRST_SEED
from ..reports.document import report, write_report
from ..reports.sheets import Row, Sheet
from ..reports.tables import write_table
from .intervals import differences_of, intervals_of
from .loop import Method, Metrics, OnDone

METHODS = {
    "phac": "phac", "invisible-mask": "invisible_mask", "amodal-mask": "amodal_mask",
    "complete-pose": "complete_pose", "hands": "hands",
    "humansd": "humansd", "pocold": "pocold", "cfld": "cfld", "synth": "truth", "photos": "photos",
}  # fmt: skip
"""Method -> its file in this folder."""
PROMPTS = "prompts"
"""The file that `--prompts` measures with."""
PHOTOS = "photos"
"""The method whose people are on photographs."""
SHEET_PEOPLE = 32
SAMPLES = 256
"""Synthetic people that are measured where no number is asked for; on photographs that is everybody."""
Rows = Callable[[Any], Iterable[Row]]


def method_of(name: str) -> Method:
    """What a method's file offers; imported only now, for its networks' sake."""
    return importlib.import_module(f".{METHODS.get(name, name)}", __package__).METHOD


@dataclass(frozen=True)
class EvalOptions:
    """What to measure, and what to write beside the metrics.

    samples: number of people; None: SAMPLES, on photographs everybody. seed: the first person's; numbers
    below 10 000 000 count from there, so that no person is one that training has seen. sheet: picture file
    for a contact sheet of the first sheet_samples people. table: Markdown file for the metrics. weights:
    folder of the mini family. prompts: method phac: compare the kinds of prompt instead. folder: method
    photos: the photographs and annotations.json. against: method photos: a folder of other weights, whose
    metrics come along with the suffix ".against".
    """

    samples: int | None = None
    seed: int = HELD_OUT_FIRST_SEED
    json_path: Path | None = None
    device: str = "cpu"
    sheet: Path | None = None
    sheet_samples: int = SHEET_PEOPLE
    table: Path | None = None
    weights: Path = MINI_DIR
    prompts: bool = False
    folder: Path | None = None
    against: Path | None = None

    @property
    def seeds(self) -> range:
        """The held-out people's seeds."""
        first = self.seed if self.seed >= HELD_OUT_FIRST_SEED else HELD_OUT_FIRST_SEED + self.seed
        return range(first, first + (SAMPLES if self.samples is None else self.samples))


def eval_command(
    method: str,
    samples: int | None = None,
    seed: int = HELD_OUT_FIRST_SEED,
    json_path: Path | None = None,
    **others: Any,
) -> dict[str, Any]:
    """Measure one of METHODS ("synth" are the synthetic people themselves) and write what was asked for.

    Args:
        method: its name.
        samples: number of people; None: SAMPLES, on photographs everybody.
        seed: the first person's; see `EvalOptions`.
        json_path: file for the report.
        others: further fields of EvalOptions.

    Returns:
        The report: "metrics"; and of those that are means over people "intervals", name -> [low, high] of
        95 % by bootstrap, and "differences" of variants that are compared, with theirs.

    Raises:
        ValueError: an unknown method, a negative seed, no people, or an option of another method.
        OSError: a report or a sheet cannot be written where it is to go.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; those that can be measured are {', '.join(METHODS)}")
    if (samples is not None and samples < 1) or seed < 0:
        raise ValueError(
            f"samples is {samples} and seed {seed}; at least one person and a seed from 0 are needed"
        )
    options = EvalOptions(samples, seed, json_path, **others)
    _check_options(method, options)
    for path in (options.json_path, options.table, options.sheet):
        if path is not None:
            check_target(path)
    subjects = _subjects(options)
    with tqdm(total=len(subjects), unit="person", desc=f"eval {method}") as bar:
        asked = method_of(PROMPTS if options.prompts else method)
        metrics, sheets = _measure(asked, options, subjects, bar.update)
    first = options.seeds[0] if options.folder is None else 0
    done = report(method, len(subjects), first, options.device, torch.get_num_threads(), metrics)
    intervals = intervals_of(metrics.people, metrics.drawn)
    done["intervals"] = {name: list(each) for name, each in intervals.items()}
    done["differences"] = differences_of(metrics.people, asked.pairs, metrics, metrics.drawn)
    if options.json_path is not None:
        write_report(options.json_path, done)
    if options.table is not None:
        write_table(options.table, done)
    for path, sheet in sheets.items():
        if sheet.rows or path == options.sheet:
            sheet.save(path)
    return done


def _check_options(method: str, options: EvalOptions) -> None:
    if options.prompts and method != "phac":
        raise ValueError(f"--prompts compares the kinds of prompt of phac; it is not for {method!r}")
    if method == "synth" and options.weights != MINI_DIR:
        raise ValueError("--weights is for methods with networks; 'synth' measures the rendered people alone")
    if method == PHOTOS and options.folder is None:
        raise ValueError(
            f"photos needs a folder of pictures and annotations.json: {typed('eval photos DIR')}"
        )
    if method != PHOTOS and (options.folder or options.against) is not None:
        raise ValueError(f"a folder of photographs and --against are for photos; they are not for {method!r}")


def _subjects(options: EvalOptions) -> Sequence[Any]:
    """Whom to measure: people on photographs, or the seeds of synthetic ones."""
    if options.folder is None:
        return options.seeds
    from ..data.photos import open_photos

    return open_photos(options.folder)[: options.samples]


def _measure(
    method: Method, options: EvalOptions, subjects: Sequence[Any], on_done: OnDone
) -> tuple[Metrics, dict[Path, Sheet]]:
    """The metrics, and the sheets by their files; without a file for them nothing is drawn."""
    sheets = _sheets(method, options)

    def show(batch: Any) -> None:
        for rows, sheet in sheets.values():
            sheet.add(rows(batch))

    networks = method.load(options.weights, options.device)
    metrics = method.evaluate(networks, subjects, on_batch=show if sheets else None, on_done=on_done)
    if options.against is not None:
        others = method.evaluate(method.load(options.against, options.device), subjects)
        metrics |= {f"{name}.against": value for name, value in others.items() if "samples." not in name}
        metrics.people |= {f"{name}.against": each for name, each in others.people.items()}
    return metrics, {path: sheet for path, (_, sheet) in sheets.items()}


def _sheets(method: Method, options: EvalOptions) -> dict[Path, tuple[Rows, Sheet]]:
    """File -> what makes its rows, and the empty sheet."""
    path = options.sheet
    if path is None:
        return {}
    further = {
        path.with_stem(f"{path.stem}_{name}"): (rows, Sheet(people))
        for name, (rows, people) in method.more.items()
    }
    return {path: (method.rows, Sheet(options.sheet_samples, method.columns)), **further}
