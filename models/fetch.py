"""Downloads of known model files. Nothing calls this unless a user asks for a file by name."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from .locks import LOCK, only_one
from .store import ModelFile, human_size
from .verify import verify

log = logging.getLogger(__name__)
STAGING = ".figura-download"
SPARE_BYTES = 64 << 20
PIECE, SILENCE_SECONDS = 1 << 20, 60.0
TAG = ".tag"
COMPLETE, PARTIAL_CONTENT, BEYOND_END = 200, 206, 416
OnBytes = Callable[[int, int], None]
"""(bytes that are here, bytes in all)"""


def get(
    file: ModelFile,
    folder: Path,
    download: Callable[[ModelFile, Path], Path] | None = None,
    on_bytes: OnBytes | None = None,
) -> Path:
    """Fetch `file` into `folder` and check it; an interrupted download goes on where it stopped.

    The file appears under its name only when it is whole. One process at a time fetches a file.

    Args:
        file: what to fetch.
        folder: where to.
        download: (file, folder for what is unfinished) -> what arrived; by default from the hub.
        on_bytes: is told of what has arrived.

    Raises:
        ValueError: there is no place to fetch it from, or size or sha256 differ.
        FolderInUseError: another process fetches it.
        OSError: the disk is too small, or the network fails.
    """
    if not file.can_be_fetched:
        raise ValueError(
            f"{file.name} cannot be fetched automatically: download it from {file.page} into {folder}"
        )
    staging, target = folder / STAGING / file.name, folder / file.name
    with only_one(staging, f"fetch {file.name}"):
        _check_space(file, folder, staging)
        arrived = download(file, staging) if download else _from_web(file, staging, target.parent, on_bytes)
        _check_whole(file, arrived)
        target.parent.mkdir(parents=True, exist_ok=True)
        if download is None:
            _fetch_beside(file, staging, target.parent)
        os.replace(arrived, target)
        _remove_content(staging)
    with contextlib.suppress(OSError):  # another download may wait there
        for place in (staging, *staging.parents):
            if place == folder:
                break
            place.rmdir()
    return target


def address_of(file: ModelFile, path: str = "") -> str:
    """Where a file, or another one (`path`) of its repository, is fetched from."""
    from huggingface_hub import hf_hub_url

    return file.url if file.url and not path else hf_hub_url(file.repo, path or file.path)


def _fetch_beside(file: ModelFile, staging: Path, place: Path) -> None:
    """The small files that a network's weights need in their folder; they come before the weights do."""
    for path in file.beside:
        part = staging / "beside" / Path(path).name
        part.parent.mkdir(exist_ok=True)
        os.replace(fetch_url(address_of(file, path), part), place / part.name)


def _from_web(file: ModelFile, staging: Path, place: Path, on_bytes: OnBytes | None) -> Path:
    """Fetch over HTTP, what is here already left out; the hub's own client begins anew after a kill.

    place: the folder that the file is for.
    """
    part = staging / Path(file.name).name
    for old in [each for each in staging.iterdir() if each.name not in (part.name, TAG, LOCK)]:
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    try:
        return fetch_url(address_of(file), part, on_bytes)
    except (HTTPException, OSError) as error:
        remedy = f"run the same command again to go on, or download it from {file.page} into {place}"
        raise OSError(f"{file.name} could not be fetched ({error}): {remedy}") from error


def fetch_url(url: str, part: Path, on_bytes: OnBytes | None = None) -> Path:
    """The file at an address as `part`; goes on with what an earlier call left there.

    A file that has changed at its place since then is fetched from its beginning. OSError and HTTPException
    when the network fails; what has arrived stays for the next call.
    """
    tag = part.with_name(TAG)
    here = part.stat().st_size if part.is_file() and tag.is_file() else 0
    headers = {"User-Agent": "figura", "Accept-Encoding": "identity"}
    if here:
        headers |= {"Range": f"bytes={here}-", "If-Range": tag.read_text(encoding="ascii")}
    try:
        with urlopen(Request(url, headers=headers), timeout=SILENCE_SECONDS) as answer:
            _keep(answer, part, tag, here, on_bytes)
    except HTTPError as error:
        if error.code != BEYOND_END or not here:
            raise
        log.info("everything had arrived before")  # it was stopped between the last byte and the check
    return part


def _keep(answer: Any, part: Path, tag: Path, here: int, on_bytes: OnBytes | None) -> None:
    """Write what comes behind what is here, or anew when the whole file comes."""
    goes_on = answer.status == PARTIAL_CONTENT
    if goes_on and not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {here}-"):
        raise OSError("the server sends another part than was asked for")
    here = here if goes_on else 0
    length = int(answer.headers.get("Content-Length") or 0)
    with part.open("ab" if goes_on else "wb") as file:
        found = answer.headers.get("ETag", "")
        tag.write_text(found, encoding="ascii") if found.isascii() and found else tag.unlink(missing_ok=True)
        total = here + length
        while piece := answer.read(PIECE):
            file.write(piece)
            here += len(piece)
            if on_bytes is not None:
                on_bytes(here, total)
    if length and here < total:
        raise OSError(f"the connection broke after {here} of {total} bytes")


def _remove_content(staging: Path) -> None:
    for each in staging.iterdir():
        if each.name != LOCK:
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def _check_space(file: ModelFile, folder: Path, staging: Path) -> None:
    part = staging / Path(file.name).name
    missing = file.size - (part.stat().st_size if part.is_file() else 0)
    free = shutil.disk_usage(folder).free
    if free < missing + SPARE_BYTES:
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
