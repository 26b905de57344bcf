"""Pickled checkpoints become safetensors, once. Pickles are read without running anything in them."""

from __future__ import annotations

import errno
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from .files import write_then_rename
from .store import PICKLE_SUFFIXES, SAFE_SUFFIXES

LIGHTNING_CALLBACK = "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"


def convert(path: Path, target: Path | None = None) -> Path:
    """Write the tensors of a pickled checkpoint as safetensors, by default beside it; returns the new file.

    Keys are kept; tensors of nested dicts get dotted keys, except that a wrapping "state_dict" is dropped.
    Written beside its place and renamed, so a failure leaves no half file. Raises ValueError for a file that
    is truncated, is no checkpoint, or wants to run code; OSError when it cannot be written.
    """
    if path.suffix.lower() not in PICKLE_SUFFIXES:
        raise ValueError(f"{path} is not one of {', '.join(PICKLE_SUFFIXES)}: nothing to convert")
    target = target or path.with_suffix(".safetensors")
    tensors = read_pickle(path)
    return write_then_rename(target, lambda place: _save(tensors, place, path.name))


def _save(tensors: Mapping[str, torch.Tensor], place: Path, source: str) -> None:
    """Write safetensors; its own error for a failed write becomes the OSError it is."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), str(place), metadata={"converted_from": source})
    except SafetensorError as error:
        full = "os error 28" in str(error) or "StorageFull" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(place)) from error


def as_safetensors(path: Path) -> Path:
    """`path` itself if it is safetensors; else its converted twin, made now if it is missing or older."""
    if path.suffix.lower() in SAFE_SUFFIXES:
        return path
    twin = path.with_suffix(".safetensors")
    fresh = twin.is_file() and twin.stat().st_mtime >= path.stat().st_mtime
    return twin if fresh else convert(path, twin)


def read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a pickled checkpoint, contiguous and unshared. Errors as in `convert`."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    # Files of Stable Diffusion mention this class beside their tensors; an empty shell of it is let through.
    shell = type("ModelCheckpoint", (), {})
    try:
        with torch.serialization.safe_globals([(shell, LIGHTNING_CALLBACK)]):
            # A file of today's format stays on the disk until its values are wanted, as safetensors do.
            mapped = zipfile.is_zipfile(path)
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise ValueError(_refusal(path, error)) from error
    except (
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OSError,
    ) as error:
        raise ValueError(
            f"{path} is truncated or no checkpoint ({_first_line(error)}): copy it again"
        ) from error
    tensors = _unshared(_tensors(_unwrapped(content)))
    if not tensors:
        raise ValueError(f"{path} holds no tensors: choose a checkpoint")
    return tensors


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
    reason = naming[0].strip() if naming else _first_line(error)
    return (
        f"{path} is refused: it is damaged, or it holds more than tensors and could run foreign code "
        f"({reason}). Copy it again, or take a safetensors version of it from its publisher"
    )


def _first_line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _unwrapped(content: Any) -> Any:
    while isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    return content


def _tensors(content: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        yield prefix or "tensor", content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _tensors(value, f"{prefix}.{key}" if prefix else str(key))
