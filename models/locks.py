"""One at a time in a folder: a lock that the system takes back when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".figura-lock"


class FolderInUseError(BlockingIOError):
    """Another process works in the folder; the text says which, and what to do."""


@contextlib.contextmanager
def only_one(folder: Path, work: str) -> Iterator[None]:
    """Inside, no other process that asks for the same folder gets in.

    folder: is made when it is missing. work: what is done there, such as "train in", for the sentence of the
    one who comes second. Raises FolderInUseError, and OSError where the disk has no locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = _locked(folder, work)
    try:
        file.write(str(os.getpid()).encode())
        file.flush()
        yield
    finally:
        # Removed while it is held: whoever opened it before finds that it is gone, and opens a new one.
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        file.close()


def _locked(folder: Path, work: str) -> BinaryIO:
    path = folder / LOCK
    while True:
        file = path.open("a+b")
        try:
            free = _try_lock(file)
        except OSError:
            file.close()
            raise
        if not free:
            file.seek(0)
            holder = file.read(20).decode("ascii", "replace")
            file.close()
            raise FolderInUseError(
                f"{folder} is in use: process {holder or 'unknown'} works there already. Wait for it, stop "
                f"it, or choose another folder to {work}"
            )
        if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            file.truncate(0)
            return file
        file.close()


def _try_lock(file: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(1 << 20)  # beyond what is written, which others may read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK):
            return False
        raise OSError(
            error.errno,
            f"its disk has no locks ({error.strerror}): choose a folder on another disk",
            file.name,
        ) from error
    return True
