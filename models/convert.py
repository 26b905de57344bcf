"""Pickled checkpoints become safetensors, once. Pickles are read without running anything in them."""

from __future__ import annotations

import errno
import logging
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from .diffusion.checkpoint import READABLE_TYPES, holds_safetensors, read_safetensors
from .files import code_of, write_then_rename
from .pickle_program import LIGHTNING_CALLBACK, check_programs, is_archive
from .store import PICKLE_SUFFIXES, SAFE_SUFFIXES

log = logging.getLogger(__name__)

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
SOURCE, STATE = "converted_from", "converted_state"
MOST_GROWTH, SPARE_BYTES = 4, 1 << 20
"""What a file may hold, in times its own size: archives may be packed, and names may share numbers."""
MOST_ENTRIES, DEEPEST = 30_000, 16
OTHER_FILE = "take another file, or a safetensors version of it from its publisher"


def convert(path: Path, target: Path | None = None) -> Path:
    """Write the tensors of a pickled checkpoint as safetensors, by default beside it; returns the new file.

    target: the file, or a folder for one of the pickle's name.

    Keys are kept; tensors of nested dicts get dotted keys, except that a wrapping "state_dict" is dropped.
    Written beside its place and renamed, so a failure leaves no half file. Raises ValueError for a file that
    is truncated, is no checkpoint, wants to run code, or changes while it is read, for a target that does not
    end as safetensors do, and where another file stands at its place; OSError when it cannot be written.
    """
    if path.suffix.lower() not in PICKLE_SUFFIXES:
        raise ValueError(f"{path} is not one of {', '.join(PICKLE_SUFFIXES)}: nothing to convert")
    target = target or path.with_suffix(".safetensors")
    if target.is_dir():
        target = target / path.with_suffix(".safetensors").name
    if target.suffix.lower() not in SAFE_SUFFIXES:
        raise ValueError(f"{target} does not end in {' or '.join(SAFE_SUFFIXES)}, as what is written must")
    if target.exists() and not _made_from(target, path):
        raise ValueError(
            f"{target} is there already and was not made from {path.name}: move it away, or name another "
            "file with --output"
        )
    state = state_of(path)
    tensors = read_pickle(path)
    origin = {SOURCE: path.name, STATE: state}

    def write(place: Path) -> None:
        _save(tensors, place, origin)
        check_unchanged(state, path)

    return write_then_rename(target, write)


def _save(tensors: Mapping[str, torch.Tensor], place: Path, origin: dict[str, str]) -> None:
    """Write safetensors; its own error for a failed write becomes the OSError it is."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), str(place), metadata=origin)
    except SafetensorError as error:
        raise OSError(code_of(error), str(error), str(place)) from error


def as_safetensors(path: Path) -> Path:
    """`path` itself if it is safetensors; else what it was converted to, made now if it is missing or older.

    A file of that name which came from elsewhere is neither read nor replaced: then the whole name of the
    pickle gets the ending, model.ckpt.safetensors.
    """
    if path.suffix.lower() in SAFE_SUFFIXES:
        return path
    places = [path.with_suffix(".safetensors"), path.with_name(f"{path.name}.safetensors")]
    own = [place for place in places if _made_from(place, path)]
    for place in own:
        if _header(place).get(STATE) == state_of(path):
            return place
    free = [place for place in places if not place.exists()]
    return convert(path, (own + free or places)[0])


def made_where_it_can_be(
    beside: Callable[[], Path], elsewhere: Callable[[Path], Path], *sources: Path
) -> Path:
    """What `beside` makes in the folder of its sources; where that may not be written to, what `elsewhere`
    makes in the folder of temporary files, which lasts until the system clears it.

    Args:
        beside: makes the file, or finds it, and gives its path.
        elsewhere: makes it at the path that it is given.
        sources: the files it is made of; one that changes gives another path.
    """
    try:
        return beside()
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
    state = state_of(*sources).replace(" ", "-")
    twin = Path(tempfile.gettempdir(), "figura", f"{sources[0].stem}-{state}.safetensors")
    names = " and ".join(path.name for path in sources)
    log.warning("%s may not be written to: %s is converted to %s", sources[0].parent, names, twin)
    return twin if twin.is_file() else elsewhere(twin)


def _made_from(place: Path, path: Path) -> bool:
    """Whether a file was converted from that pickle, in whatever state it was."""
    return place.is_file() and _header(place).get(SOURCE) == path.name


def _header(place: Path) -> Mapping[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(place), framework="pt", device="cpu") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}


def state_of(*paths: Path) -> str:
    """What changes with the content of files: their sizes and when they were written."""
    return " ".join(f"{found.st_size} {found.st_mtime_ns}" for found in (path.stat() for path in paths))


def check_unchanged(state: str, *paths: Path) -> None:
    """ValueError when files are no longer as they were when `state` was taken, before they were read."""
    if state_of(*paths) != state:
        names = ", ".join(str(path) for path in paths)
        raise ValueError(f"{names}: changed while it was read; wait until it is written, then try again")


def read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a pickled checkpoint, contiguous and unshared; also of safetensors with the ending of a
    pickle. Errors as in `convert`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if holds_safetensors(path):
        return read_safetensors(path)[0]
    shell = type("ModelCheckpoint", (), {})
    try:
        _check_archive(path)
        check_programs(path)
        with torch.serialization.safe_globals([(shell, LIGHTNING_CALLBACK)]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(_refusal(path, error)) from error
    except Exception as error:  # whatever a stranger's file makes of its reader
        raise ValueError(
            f"{path} is truncated or no checkpoint ({_first_line(error)}): copy it again"
        ) from error
    found = dict(_tensors(content, path))
    if not found:
        raise ValueError(f"{path} holds no tensors: choose a checkpoint")
    _check_sizes(found, path)
    return _unshared(found.items())


def _check_archive(path: Path) -> None:
    """Refuse an archive whose content is far larger than the file."""
    if is_archive(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_GROWTH * path.stat().st_size + SPARE_BYTES:
            raise ValueError(f"it would unpack to {size} bytes")


def _check_sizes(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse tensors that say they hold more than the file does, before any is copied."""
    for name, tensor in tensors.items():
        if (
            tensor.layout != torch.strided
            or tensor.device.type != "cpu"
            or tensor.dtype not in READABLE_TYPES
        ):
            raise ValueError(f"{path} holds {name[:80]!r}, which is no plain tensor: {OTHER_FILE}")
        if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
            raise ValueError(
                f"{path} holds {name[:80]!r}, which spreads few numbers to the shape {tuple(tensor.shape)}: "
                f"{OTHER_FILE}"
            )
    if sum(each.numel() * each.itemsize for each in tensors.values()) > (
        MOST_GROWTH * path.stat().st_size + SPARE_BYTES
    ):
        raise ValueError(f"{path} holds the same numbers many times over: {OTHER_FILE}")


def _unshared(named: Iterable[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The tensors by name, contiguous; one that is a part of a storage, or shares it, becomes a copy."""
    tensors: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in named:
        tensor = tensor.detach()
        storage = tensor.untyped_storage()
        alone = storage.nbytes() == tensor.numel() * tensor.element_size() and storage.data_ptr() not in seen
        seen.add(storage.data_ptr())
        tensors[name] = tensor if alone and tensor.is_contiguous() else tensor.contiguous().clone()
    return tensors


def _refusal(path: Path, error: Exception) -> str:
    """What torch would not load; the line that names it stands amid advice that is not for users."""
    naming = [line for line in str(error).splitlines() if "GLOBAL" in line or line.startswith("Unsupported")]
    reason = (naming[0] if naming else _first_line(error)).partition(" Please use")[0].strip()
    return (
        f"{path} is refused: it is damaged, or it holds more than tensors and could run foreign code "
        f"({reason}). Copy it again, or take a safetensors version of it from its publisher"
    )


def _first_line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _tensors(content: Any, path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of nested dicts by its dotted name. ValueError for dicts that hold themselves."""
    wrapped = 0
    while isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content, wrapped = content["state_dict"], wrapped + 1
        if wrapped > DEEPEST:
            raise ValueError(f"{path} holds itself: {OTHER_FILE}")
    waiting, looked_at = [("", content, 0)], 0
    while waiting:
        name, value, depth = waiting.pop()
        looked_at += 1
        if looked_at > MOST_ENTRIES or depth > DEEPEST:
            raise ValueError(f"{path} is nested without end: {OTHER_FILE}")
        if isinstance(value, torch.Tensor):
            yield name or "tensor", value
        elif isinstance(value, Mapping):
            inside = [(f"{name}.{key}" if name else str(key), each) for key, each in value.items()]
            waiting += [(inner, each, depth + 1) for inner, each in reversed(inside)]
