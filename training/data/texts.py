"""Lists of one's own as text: UTF-8, with or without the mark that Windows writes; errors name the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def read_text(path: Path) -> str:
    """The text of a file. ValueError names one in another encoding."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}): save it in that encoding") from error


def parse(text: str, where: str) -> Any:
    """JSON as values; `where` stands in the ValueError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is no JSON: {error}") from error


def floats(values: Any) -> np.ndarray:
    """Numbers of JSON as float32; an empty array where they are none, or lists of several lengths."""
    try:
        return np.asarray(values, np.float32)
    except (TypeError, ValueError):
        return np.zeros(0, np.float32)


def lines_of(path: Path) -> list[tuple[str, str]]:
    """The lines of a file that are not empty, each with the file and its number, for errors."""
    lines = read_text(path).split("\n")  # splitlines also splits where a text in JSON may go on
    return [(line, f"{path} line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def read_table(path: Path, needed: Sequence[str], delimiter: str = ",") -> list[dict[str, Any]]:
    """The rows of a CSV file with a line of columns. ValueError names what lacks, and in which row."""
    rows = list(csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter=delimiter))
    columns = f"its columns are {', '.join(needed)}, parted by {delimiter!r}"
    if not rows:
        raise ValueError(f"{path} has no rows: {columns}")
    for number, row in enumerate(rows, start=1):
        lacking = [name for name in needed if not row.get(name)]
        if lacking:
            raise ValueError(
                f"{path} lacks {', '.join(lacking)}: {columns}; first in row {number} below these"
            )
        if None in row:
            raise ValueError(f"{path} has more values than columns in row {number}: {columns}")
    return rows
