"""Downloads of known model files. Nothing calls this unless a user asks for a file by name."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from .store import ModelFile, human_size
from .verify import verify

STAGING = ".figura-download"
SPARE_BYTES = 64 << 20


def get(file: ModelFile, folder: Path, download: Callable[[ModelFile, Path], Path] | None = None) -> Path:
    """Fetch `file` into `folder` and check it; an interrupted download goes on where it stopped.

    The file appears under its name only when it is whole. Raises ValueError when there is no place to fetch
    it from or when size or sha256 differ, OSError when the disk is too small or the network fails.
    """
    if not file.repo:
        raise ValueError(
            f"{file.name} cannot be fetched automatically: download it from {file.page} into {folder}"
        )
    staging = folder / STAGING / file.name
    staging.mkdir(parents=True, exist_ok=True)
    _check_space(file, folder)
    arrived = (download or _from_hub)(file, staging)
    named = arrived.rename(staging / file.name) if arrived.name != file.name else arrived
    _check_whole(file, named)
    os.replace(named, folder / file.name)
    _remove_staging(staging)
    return folder / file.name


def _from_hub(file: ModelFile, staging: Path) -> Path:
    """Download with the hub's own client, which shows progress and resumes."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(file.repo, file.path, local_dir=staging))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        place = f"run the same command again to go on, or download it from {file.page}"
        raise OSError(f"{file.name} could not be fetched ({error}): {place}") from error


def _remove_staging(staging: Path) -> None:
    """Drop the finished download's folder; other downloads may be waiting beside it."""
    shutil.rmtree(staging, ignore_errors=True)
    with contextlib.suppress(OSError):
        staging.parent.rmdir()


def _check_space(file: ModelFile, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < file.size + SPARE_BYTES:
        raise OSError(
            f"{file.name} needs {human_size(file.size)}, but {folder} has {human_size(free)} free: "
            "make room, or choose another place with --folder"
        )


def _check_whole(file: ModelFile, path: Path) -> None:
    """A file that is not the published one is not kept, so that the next try starts anew."""
    try:
        verify(path, known=file)
    except ValueError:
        path.unlink()
        raise
