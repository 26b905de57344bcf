"""The one format in which measurements are written: `figura eval` and `figura bench` with --json FILE."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...models.files import write_then_rename


def report(
    name: str, samples: int, seed: int, device: str, threads: int, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """The report as a dict.

    Args:
        name: of the method or benchmark.
        samples: people measured.
        seed: the first one's.
        device: "cpu", "cuda:0" ...
        threads: that torch computes on.
        metrics: dotted names to numbers ("joint_err.pose": 0.031).

    Raises:
        ValueError: a metric is not a finite number.
    """
    numbers = {key: _finite(key, value) for key, value in metrics.items()}
    return {
        "name": name,
        "samples": int(samples),
        "seed": int(seed),
        "device": str(device),
        "threads": int(threads),
        "metrics": numbers,
    }


def write_report(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a report beside its place, then rename it there; a full disk leaves an older report as it was."""
    text = json.dumps(content, indent=2) + "\n"
    return write_then_rename(Path(path), lambda place: place.write_text(text, encoding="utf-8"))


def _finite(key: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"metric {key} is {number}: only finite numbers can be reported")
    return number
