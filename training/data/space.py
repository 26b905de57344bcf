"""Room on the disk, looked at before arrays are begun: they grow as they are filled."""

from __future__ import annotations

import errno
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def check_space(folder: Path, layout: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """OSError, saying how much is needed, when the disk of `folder` has no room for arrays of that layout."""
    needed = sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in layout.values())
    there = sum(_taken(path) for path in (folder / f"{name}.npy" for name in layout) if path.is_file())
    free = shutil.disk_usage(folder).free
    if needed - there > free:
        raise OSError(
            errno.ENOSPC,
            f"{needed / 2**30:.1f} GiB are needed and {free / 2**30:.1f} GiB are free: choose another --data "
            "folder, fewer pictures or a smaller --size",
            str(folder),
        )


def _taken(path: Path) -> int:
    """Bytes that a file takes of its disk, where it may have holes; Windows says its size alone."""
    state = path.stat()
    return state.st_blocks * 512 if hasattr(state, "st_blocks") else state.st_size
