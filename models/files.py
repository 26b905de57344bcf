"""Saving without half files: write beside the place, then rename."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

_LEFTOVER = re.compile(r"\.(?:.*\.)?(?P<machine>[\w-]+)\.(?P<process>\d+)\.[0-9a-f]+\.partial")
NO_FILE = "is a folder, a device or a pipe: choose the name of a file"
_own: set[str] = set()
"""What this process has unfinished now. Its number does not tell: in a container every first process is 1."""


def write_then_rename(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a file beside `path`, then rename it there. What stood at `path` survives any failure.

    Raises OSError that names the file: for a full disk, which it says, and for what is there and is no file,
    such as a device, which the renaming would replace.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, NO_FILE, str(path))
    with _beside(path) as unfinished:
        write(unfinished)
        os.replace(unfinished, path)
    return path


def check_target(path: Path) -> None:
    """Raise OSError that names the file where `write_then_rename` could not write: asked before the work."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, NO_FILE, str(path))
    folder = next(each for each in path.absolute().parents if each.exists())
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder: choose another place", str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def default_folder(name: str) -> Path:
    """Where commands write unless told: a folder of that name here.

    Typed in custom_nodes it is ComfyUI's own folder of that name: there every folder is taken for a pack.
    """
    here = Path.cwd()
    return here.parent / name if here.name == "custom_nodes" else Path(name)


def write_new(path: Path, write: Callable[[Path], object]) -> bool:
    """The same for a file that must not be there yet; False, and nothing written, when one is."""
    if os.path.lexists(path):
        return False
    with _beside(path) as unfinished:
        write(unfinished)
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return False
        except OSError:  # a disk without links
            os.replace(unfinished, path)
    return True


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A place for the unfinished file of `path`; nothing is left there. OSError names `path`.

    It is a folder of its own: safetensors writes to a file of another name first.
    """
    # Without the name of the file, which may be as long as a name can be.
    folder = path.with_name(f".{_machine()}.{os.getpid()}.{secrets.token_hex(6)}.partial")
    _own.add(folder.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        folder.mkdir()
        yield folder / "unfinished"  # no ending, so that nobody offers it as a model
    except OSError as error:
        raise OSError(error.errno, _reason(error), str(path)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _own.discard(folder.name)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what is unfinished in a folder and whose writer was killed; that of living ones stays."""
    removed = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            found = _LEFTOVER.fullmatch(entry.name)
            if (
                found
                and found["machine"] == _machine()
                and not _is_written(entry.name, int(found["process"]))
            ):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)
                removed.append(Path(entry.path))
    return removed


def _machine() -> str:
    return re.sub(r"\W", "-", socket.gethostname())[:40]


def _is_written(name: str, process: int) -> bool:
    """Whether somebody still writes what is unfinished under a name with that number of a process."""
    return name in _own if process == os.getpid() else _lives(process)


def _lives(process: int) -> bool:
    """Whether another process of that number runs here; where one cannot ask, it does."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def is_file(name: str | Path) -> bool:
    """Whether there is a file of that name; False, not an error, for one that no disk can hold."""
    return os.path.isfile(name)  # Path.is_file raises for such a name


def path_inside(folder: Path, *parts: str) -> Path:
    """The path of the parts below `folder`; ValueError when they lead out of it.

    `..` is judged as it is written: a link that lies in the folder may lead anywhere, as in ComfyUI.

    >>> path_inside(Path("output"), "figura", "person.png").as_posix()
    'output/figura/person.png'
    >>> path_inside(Path("output"), "../secret.png")
    Traceback (most recent call last):
    ValueError: '../secret.png' leads out of the folder output
    """
    path = Path(os.path.normpath(folder.joinpath(*parts)))
    if not path.is_relative_to(os.path.normpath(folder)):
        raise ValueError(f"{'/'.join(parts)!r} leads out of the folder {folder}")
    return path


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full, nothing was saved: free some space or choose another folder"
    return f"could not be saved ({error.strerror or error})"


def code_of(error: Exception) -> int:
    """The system's number of a failed write that safetensors reports in words."""
    full = "os error 28" in str(error) or "StorageFull" in str(error)
    return errno.ENOSPC if full else errno.EIO
