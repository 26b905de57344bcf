"""The command `figura eval METHOD`: measure, write figures as JSON and as a table, draw contact sheets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ...models.store import MINI_DIR
from ...people.synthetic import HELD_OUT_FIRST_SEED
from ..reports.document import report, write_report
from ..reports.sheets import Sheet, synthetic_row
from ..reports.tables import write_table
from .truth import evaluate_truth

SHEET_PEOPLE = 32
SHEET_COLUMNS = 2


@dataclass(frozen=True)
class EvalOptions:
    """What to measure, and what to write beside the figures.

    samples: number of people. seed: the first person's; numbers below 10 000 000 count from there, so that no
    person is one that training has seen. sheet: picture file for a contact sheet of the first sheet_samples
    people. table: Markdown file for the figures. weights: folder of the mini family. prompts: method phac:
    compare the kinds of prompt instead.
    """

    samples: int = 256
    seed: int = HELD_OUT_FIRST_SEED
    json_path: Path | None = None
    device: str = "cpu"
    sheet: Path | None = None
    sheet_samples: int = SHEET_PEOPLE
    table: Path | None = None
    weights: Path = MINI_DIR
    prompts: bool = False

    @property
    def seeds(self) -> range:
        """The held-out people's seeds."""
        first = self.seed if self.seed >= HELD_OUT_FIRST_SEED else HELD_OUT_FIRST_SEED + self.seed
        return range(first, first + self.samples)


def eval_command(
    method: str,
    samples: int = 256,
    seed: int = HELD_OUT_FIRST_SEED,
    json_path: Path | None = None,
    **others: Any,
) -> dict[str, Any]:
    """Measure a method ("phac", "complete-pose", "hands", "humansd", "pocold", "cfld", or "synth": the
    synthetic people themselves); gives the report.

    others: further fields of EvalOptions. Raises ValueError for an unknown method, a negative seed, or no
    people.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; those that can be measured are {', '.join(METHODS)}")
    if samples < 1 or seed < 0:
        raise ValueError(
            f"samples is {samples} and seed {seed}; at least one person and a seed from 0 are needed"
        )
    options = EvalOptions(samples, seed, json_path, **others)
    if options.prompts and method != "phac":
        raise ValueError(f"--prompts compares the kinds of prompt of phac; it is not for {method!r}")
    with tqdm(total=samples, unit="person", desc=f"eval {method}") as bar:
        figures, sheet = METHODS[method](options, bar.update)
    done = report(method, samples, options.seeds[0], options.device, torch.get_num_threads(), figures)
    if options.json_path is not None:
        write_report(options.json_path, done)
    if options.table is not None:
        write_table(options.table, done)
    if options.sheet is not None:
        sheet.save(options.sheet)
    return done


def _eval_phac(options: EvalOptions, on_done: Callable[[int], object]) -> tuple[dict[str, float], Sheet]:
    if options.prompts:
        return _eval_prompts(options, on_done)
    from ..reports.sheets import phac_rows
    from .phac import evaluate_phac, load_family

    sheet = Sheet(options.sheet_samples if options.sheet else 0, SHEET_COLUMNS)
    family = load_family(options.weights, options.device)
    figures = evaluate_phac(
        family, options.seeds, on_batch=lambda batch: sheet.add(phac_rows(batch)), on_done=on_done
    )
    return figures, sheet


def _eval_prompts(options: EvalOptions, on_done: Callable[[int], object]) -> tuple[dict[str, float], Sheet]:
    from ..reports.sheets import prompt_rows
    from .phac import load_family
    from .prompts import evaluate_prompts

    sheet = Sheet(options.sheet_samples if options.sheet else 0)
    family = load_family(options.weights, options.device)
    figures = evaluate_prompts(
        family, options.seeds, on_batch=lambda batch: sheet.add(prompt_rows(batch)), on_done=on_done
    )
    return figures, sheet


def _eval_complete_pose(
    options: EvalOptions, on_done: Callable[[int], object]
) -> tuple[dict[str, float], Sheet]:
    from .complete_pose import evaluate_pose_completion

    sheet = Sheet(options.sheet_samples if options.sheet else 0)
    figures = evaluate_pose_completion(options.weights, options.seeds, sheet, on_done)
    return figures, sheet


def _eval_hands(options: EvalOptions, on_done: Callable[[int], object]) -> tuple[dict[str, float], Sheet]:
    from ..reports.sheets import hand_rows
    from .hands import evaluate_hands, load_family

    sheet = Sheet(options.sheet_samples if options.sheet else 0)
    family = load_family(options.weights, options.device)
    figures = evaluate_hands(
        family, options.seeds, on_batch=lambda batch: sheet.add(hand_rows(batch)), on_done=on_done
    )
    return figures, sheet


def _eval_humansd(options: EvalOptions, on_done: Callable[[int], object]) -> tuple[dict[str, float], Sheet]:
    from ..reports.sheets import humansd_rows
    from .humansd import evaluate_humansd, load_family

    sheet = Sheet(options.sheet_samples if options.sheet else 0)
    family = load_family(options.weights, options.device)
    on_batch = (lambda batch: sheet.add(humansd_rows(batch))) if options.sheet else None
    return evaluate_humansd(family, options.seeds, on_batch=on_batch, on_done=on_done), sheet


def _eval_pocold(options: EvalOptions, on_done: Callable[[int], object]) -> tuple[dict[str, float], Sheet]:
    from ..reports.sheets import pocold_rows
    from .pocold import evaluate_pocold, load_family

    sheet = Sheet(options.sheet_samples if options.sheet else 0, SHEET_COLUMNS)
    family = load_family(options.weights, options.device)
    figures = evaluate_pocold(
        family, options.seeds, on_batch=lambda batch: sheet.add(pocold_rows(batch)), on_done=on_done
    )
    return figures, sheet


def _eval_cfld(options: EvalOptions, on_done: Callable[[int], object]) -> tuple[dict[str, float], Sheet]:
    from ..reports.sheets import cfld_rows, mixture_rows
    from .cfld import INTERPOLATIONS, Batch, evaluate_cfld, load_family

    sheet, mixtures = (
        Sheet(options.sheet_samples if options.sheet else 0, SHEET_COLUMNS),
        Sheet(INTERPOLATIONS),
    )

    def show(batch: Batch) -> None:
        sheet.add(cfld_rows(batch))
        mixtures.add(mixture_rows(batch))

    family = load_family(options.weights, options.device)
    on_batch = show if options.sheet else None
    figures = evaluate_cfld(family, options.seeds, on_batch=on_batch, on_done=on_done)
    if options.sheet and mixtures.rows:
        mixtures.save(options.sheet.with_stem(f"{options.sheet.stem}_mixtures"))
    return figures, sheet


def _eval_synth(options: EvalOptions, on_done: Callable[[int], object]) -> tuple[dict[str, float], Sheet]:
    sheet = Sheet(options.sheet_samples if options.sheet else 0, SHEET_COLUMNS)
    for seed in options.seeds[: sheet.people]:
        sheet.add([synthetic_row(seed)])
    return evaluate_truth(options.seeds, on_done), sheet


METHODS: dict[str, Callable[..., tuple[dict[str, float], Sheet]]] = {
    "phac": _eval_phac, "complete-pose": _eval_complete_pose, "hands": _eval_hands,
    "humansd": _eval_humansd, "pocold": _eval_pocold, "cfld": _eval_cfld, "synth": _eval_synth,
}  # fmt: skip
