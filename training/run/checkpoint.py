"""Writing a checkpoint so that a full disk is told as what it is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def in_memory(state: Any) -> Any:
    """The same state, its tensors in memory and no more in the file that they were mapped from."""
    if isinstance(state, torch.Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {name: in_memory(value) for name, value in state.items()}
    return [in_memory(value) for value in state] if isinstance(state, list) else state
