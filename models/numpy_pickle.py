"""Pickles of numpy arrays by name, as detectron2's model zoo publishes them, read without running anything.

A pickle names functions that its reader calls. This reader knows six names, and none of them is the function
of that name: they only note down what an array would be made of. All else is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

LARGEST_FILE = 4 << 30
MOST_STEPS = 100_000
"""Of a pickle's program; a published file takes some ten for each array."""
TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")
MODULES = (
    "__builtin__", "_codecs", "numpy", "numpy.core.multiarray", "numpy._core.multiarray",
    "numpy.core.numeric", "numpy._core.numeric",
)  # fmt: skip


class _Type:
    """What numpy.dtype is called with."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name
        self.order: Any = "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def numpy(self) -> np.dtype:
        if not isinstance(self.name, str) or self.name not in TYPES or self.order not in "<>|=":
            raise ValueError(f"numbers of type {str(self.name)[:20]!r}")
        return np.dtype(self.name).newbyteorder(self.order)


class _Array:
    """What an array's parts are handed to."""

    made: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        self.made = _array(data, kind, shape, "F" if fortran else "C")


def _array(data: Any, kind: Any, shape: Any, order: str = "C") -> np.ndarray:
    if not isinstance(kind, _Type) or not isinstance(data, (bytes, bytearray)):
        raise ValueError("an array of objects")
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array without a shape")
    if math.prod(shape) * kind.numpy().itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for an array of shape {shape}")
    return np.frombuffer(data, kind.numpy()).reshape(shape, order="F" if order == "F" else "C")


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> _Array:
    made = _Array()
    made.made = _array(data, kind, shape, order)
    return made


def _bytes(text: Any, coding: Any = "latin1") -> bytes:
    """Bytes, as old pickles write them."""
    if not isinstance(text, str) or coding != "latin1":
        raise ValueError("a text that stands for no bytes")
    return text.encode("latin1")


class _Reader(pickle.Unpickler):
    """Knows six words, made anew for each file: a program can set attributes on what it was given."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.array = type("Array", (_Array,), {})
        self.words: Mapping[str, Any] = {
            "dtype": type("Type", (_Type,), {}),
            "ndarray": self.array,
            "_reconstruct": lambda *_: self.array(),
            "_frombuffer": lambda *given: _from_buffer(*given),
            "encode": lambda *given: _bytes(*given),
            "bytes": lambda: b"",
        }

    def find_class(self, module: str, name: str) -> Any:
        if module in MODULES and name in self.words:
            return self.words[name]
        raise pickle.UnpicklingError(f"it asks for {module[:40]}.{name[:40]}")


def read_arrays(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of a pickled dict, or of the dict "model" in it, as tensors by name.

    Raises FileNotFoundError, and ValueError that names the file: it asks for more than arrays, is damaged,
    or holds none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path} is larger than any published file of its kind: choose another file")
    content = path.read_bytes()
    try:
        _check_program(content)
        # The file is a program, but one of six known, harmless words.
        held = _Reader(content).load()
        held = held.get("model", held) if isinstance(held, Mapping) else held
        found = {name: value.made for name, value in held.items() if isinstance(value, _Array)}
        arrays = {str(name): each for name, each in found.items() if each is not None}
        if sum(each.nbytes for each in arrays.values()) > len(content):
            raise ValueError("the same numbers many times over")
        tensors = {name: _tensor(each) for name, each in arrays.items()}
    except Exception as error:  # whatever a stranger's program makes of its reader
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise ValueError(
            f"{path} is refused: it is damaged, or it holds more than arrays of numbers ({reason}). Copy it "
            "again, or take a safetensors version of it from its publisher"
        ) from error
    if not tensors:
        raise ValueError(f"{path} holds no arrays: choose a file of weights")
    return tensors


def _check_program(content: bytes) -> None:
    """Refuse what would make the reader's own tables large: too many steps, or numbers beyond them."""
    steps = 0
    for code, value, _ in pickletools.genops(io.BytesIO(content)):
        steps += 1
        if steps > MOST_STEPS or ("PUT" in code.name and int(value or 0) > MOST_STEPS):
            raise ValueError("its program is too long")


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
