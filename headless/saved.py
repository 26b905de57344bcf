"""What a batch has saved in an output folder: files under names of their own, and a record of whose they are.

The record is one line of JSON for each job that has a name, written before its files: so a second run knows
what is there, and where to put what a killed run had begun.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..models.files import path_inside, write_new, write_then_rename
from .jobs import Job, JobResult
from .saving import next_number

RECORD = ".figura-saved.jsonl"
NUMBERED = re.compile(r"^(?P<stem>.+)_\d+_(?P<suffix>\.\w+)$")

Made = tuple[str, str, bytes]
"""Subfolder, name and content of a file that a run made elsewhere."""


class Saved:
    """The files that jobs have in an output folder. Raises OSError for one that nothing can be saved in."""

    def __init__(self, output: Path) -> None:
        check_folder(output)
        self.output = output
        self._record = output / RECORD
        self._names: dict[str, list[str]] = _read(self._record)

    def files_of(self, job: Job) -> list[Path]:
        """The files of an earlier run of the same graph on the same pictures; empty when one is missing.

        A job without a name has none: who runs a single graph again wants it run. To be asked before a job
        runs: a picture that changes meanwhile is then run again.
        """
        if not job.name:
            return []
        try:
            files = [self.output / name for name in self._names.get(job.digest, [])]
        except OSError:  # an unreadable picture, of which the run will speak
            return []
        return files if all(file.is_file() for file in files) else []

    def keep(self, job: Job, made: Sequence[Made]) -> list[Path]:
        """Write the files of a job under names that no other file has.

        Raises OSError for a full disk, and for names that are none or lead out of the output folder.
        """
        names = self._begun(job, len(made))
        unfinished = bool(names)
        if not unfinished:
            for subfolder, name, _ in made:
                names.append(free_name(self.output, subfolder, name, names))
        self._note(job, names)
        for index, (subfolder, name, content) in enumerate(made):
            if unfinished and (self.output / names[index]).is_file():
                continue  # a killed run came as far as this
            write, tried = partial(_fill, content), list(names)
            while not write_new(self.output / names[index], write):
                # A file system without case may have it under a name that is not found by this one.
                names[index] = free_name(self.output, subfolder, name, tried)
                tried.append(names[index])
                self._note(job, names)
        return [self.output / name for name in names]

    def result_of(self, job: Job, made: Sequence[Made]) -> JobResult:
        """The job's result with its files kept, or with the error that kept them from being written."""
        try:
            return JobResult(job, self.keep(job, made))
        except OSError as error:
            return JobResult(job, error=error)

    def _begun(self, job: Job, count: int) -> list[str]:
        """Names that an earlier run of this job chose for so many files."""
        names = self._names.get(job.digest, []) if job.name else []
        return list(names) if len(names) == count else []

    def _note(self, job: Job, names: list[str]) -> None:
        if not job.name or self._names.get(job.digest) == names:
            return
        self._names[job.digest] = list(names)
        line = json.dumps({"job": job.name, "digest": job.digest, "files": names})
        with self._record.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())


def check_folder(output: Path) -> None:
    """Make it; a batch that can save nothing is not begun. Raises OSError."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        if not os.access(output, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        reason = f"nothing can be saved there ({error.strerror}): choose another folder"
        raise OSError(error.errno, reason, str(output)) from error


def _can_be(path: Path) -> bool:
    """Whether a file may have that name: not with a zero, with half a character, or too long."""
    try:
        os.lstat(path)
    except ValueError:
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def _fill(content: bytes, place: Path) -> None:
    place.write_bytes(content)


def free_name(output: Path, subfolder: str, name: str, taken: Sequence[str] = ()) -> str:
    """A path below `output` like subfolder/name that no file has and that is not taken; numbers count on.

    Raises OSError for names that are none or lead out of the folder.
    """
    base = Path(name).name
    try:
        folder = path_inside(output, subfolder)
    except ValueError as error:
        raise OSError(f"the server names a folder outside the output folder: {error}") from error
    if base in ("", "..") or not _can_be(folder / base):
        raise OSError(f"the server names no file: {base[:80]!r}")
    numbered = NUMBERED.match(base)
    inside = Path(os.path.relpath(folder, output))
    if not numbered and not os.path.lexists(folder / base) and (inside / base).as_posix() not in taken:
        return (inside / base).as_posix()
    stem, suffix = (
        (numbered["stem"], numbered["suffix"]) if numbered else (Path(base).stem, Path(base).suffix)
    )
    names = (
        (inside / f"{stem}_{number:05}_{suffix}").as_posix()
        for number in itertools.count(next_number(folder, stem))
    )
    return next(each for each in names if each not in taken)


def _read(record: Path) -> dict[str, list[str]]:
    """Names by digest of the job; the last word counts. A line that a kill cut off is taken away."""
    try:
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return {}
    whole = [line for line in lines if _entry(line)]
    if whole != lines:
        write_then_rename(record, lambda place: place.write_text("".join(whole), encoding="utf-8"))
    return dict(map(_entry, whole))


def _entry(line: str) -> tuple[Any, ...]:
    """(digest, names) of a line of the record; empty for what is none."""
    try:
        found = json.loads(line) if line.endswith("\n") else {}
        root = Path("/output")
        names = [path_inside(root, name).relative_to(root).as_posix() for name in found["files"]]
        return str(found["digest"]), names
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
