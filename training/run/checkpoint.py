"""Writing a checkpoint so that a full disk is told as what it is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

FULL_BELOW = 1 << 20
"""Bytes that are free on a disk that has no room for a checkpoint."""


def write_state(state: Mapping[str, object], place: Path) -> None:
    """Write a checkpoint and wait until it is on the disk. OSError, which torch hides, when that is full."""
    try:
        with place.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except RuntimeError as error:
        free = shutil.disk_usage(place.parent).free
        code = errno.ENOSPC if isinstance(error.__context__, OSError) or free < FULL_BELOW else errno.EIO
        raise OSError(code, str(error).splitlines()[0], str(place)) from error
