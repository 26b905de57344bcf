"""What arrays of a data folder must be, also where somebody wrote them by hand: errors name the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

ROWS_AT_ONCE = 4096


def check_rows(folder: Path, arrays: Mapping[str, np.ndarray], count: int) -> None:
    """That arrays have a row for each caption, pictures and masks one size, and joints numbers.

    Args:
        folder: where they are, NAME.npy.
        arrays: by name; one without rows is one that is not there.
        count: of the captions.

    Raises:
        ValueError: names the array, what it holds and what it should.
    """
    given = {name: array for name, array in arrays.items() if len(array)}
    for name, array in given.items():
        if len(array) != count:
            raise ValueError(
                f"{folder / name}.npy has {len(array)} rows, captions.json {count}: every array has one row "
                "a picture"
            )
    pictures = {name: array for name, array in given.items() if array.dtype == np.uint8 and array.ndim > 2}
    first = next(iter(pictures), "")
    for name, array in pictures.items():
        if array.shape[-2:] != pictures[first].shape[-2:]:
            raise ValueError(
                f"{folder / name}.npy has {_sides(array)} pixels, {first}.npy {_sides(pictures[first])}: "
                "pictures and masks of a folder have one size"
            )
    for name, array in given.items():
        row = first_without_numbers(array)
        if row is not None:
            raise ValueError(
                f"{folder / name}.npy holds NaN or infinity, first in row {row}: correct that row"
            )


def _sides(array: np.ndarray) -> str:
    return f"{array.shape[-1]}x{array.shape[-2]}"


def first_without_numbers(array: np.ndarray) -> int | None:
    """The first row of a float array with NaN or infinity in it."""
    if array.dtype.kind != "f":
        return None
    for start in range(0, len(array), ROWS_AT_ONCE):
        part = np.asarray(array[start : start + ROWS_AT_ONCE])
        wrong = ~np.isfinite(part).reshape(len(part), -1).all(1)
        if wrong.any():
            return start + int(wrong.argmax())
    return None
