"""Checkpoints: written so that a full disk is told as what it is, read without a second copy in memory."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models.files import write_then_rename

State = dict[str, Any]
FULL_BELOW = 1 << 20
"""Bytes that are free on a disk that has no room for a checkpoint."""
AT_ONCE = 1 << 28
"""Bytes of a checkpoint that are in memory beside what they are copied to."""


WRITTEN = "written"
"""In the work folder: the last step whose weights, and all files beside them, were written, and where."""


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


def read_state(path: Path) -> State:
    """A checkpoint whose tensors are read from its file when looked at. ValueError names a bad one."""
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({str(error).splitlines()[0]}): begin again with --no-resume, or choose "
            "another --work folder"
        ) from error
    return state


@torch.no_grad()
def fill(path: Path, kept: Callable[[State], Sequence[Tensor]], targets: Sequence[Tensor]) -> None:
    """Copy tensors of a checkpoint to where they belong.

    What is looked at of a file stays in memory until the file is let go, which happens every `AT_ONCE` bytes.

    Args:
        path: the checkpoint.
        kept: picks the tensors, in the order of `targets`, out of its content.
        targets: tensors of the same shapes.

    Raises:
        ValueError: it holds other tensors.
    """
    done = 0
    while done < len(targets):
        values = kept(read_state(path))
        if [value.shape for value in values] != [target.shape for target in targets]:
            raise ValueError(
                f"{path} holds tensors of another run: choose another --work folder or --no-resume"
            )
        read = 0
        while done < len(targets) and read < AT_ONCE:
            targets[done].copy_(values[done])
            read += values[done].nbytes
            done += 1


def fill_optimizer(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Give the optimizer the state it has in a checkpoint; rate, decay and betas stay as asked for now."""
    asked = [{name: value for name, value in g.items() if name != "params"} for g in optimizer.param_groups]
    optimizer.load_state_dict(_empty(read_state(path)["optimizer"]))
    for group, numbers in zip(optimizer.param_groups, asked, strict=True):
        group.update(numbers)
    fill(path, lambda state: list(tensors_in(state["optimizer"])), list(tensors_in(optimizer.state_dict())))


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """All tensors in dicts and lists, in their order."""
    if torch.is_tensor(tree):
        yield tree
    elif isinstance(tree, Mapping | list | tuple):
        for part in tree.values() if isinstance(tree, Mapping) else tree:
            yield from tensors_in(part)


def _empty(tree: Any) -> Any:
    """The same with tensors that hold nothing yet; single numbers, which optimizers read, are kept."""
    if torch.is_tensor(tree):
        return torch.empty_like(tree) if tree.ndim else tree.clone()
    if isinstance(tree, Mapping):
        return {key: _empty(part) for key, part in tree.items()}
    return [_empty(part) for part in tree] if isinstance(tree, list) else tree


def mark_written(work: Path, step: int, out: Path) -> None:
    """Note in the work folder that the weights of a step, and all that belongs beside them, are in `out`."""
    line = _written(work, step, out)
    write_then_rename(work / WRITTEN, lambda place: place.write_text(line, encoding="utf-8"))


def is_written(work: Path, step: int, out: Path) -> bool:
    """Whether that was noted, and the file is there still."""
    mark = work / WRITTEN
    return out.exists() and mark.exists() and mark.read_text("utf-8") == _written(work, step, out)


def _written(work: Path, step: int, out: Path) -> str:
    """The step, and the file as it is seen from the work folder: both may be moved together."""
    try:
        place = os.path.relpath(out.resolve(), work.resolve())
    except ValueError:  # another drive of Windows
        place = str(out.resolve())
    return f"{step} {place}\n"
