"""What the program in a pickled checkpoint may say; looked at before torch runs it.

`weights_only` keeps foreign code away, but not words that take memory: bytearray(3 << 30) is twenty bytes of
a file. Here only the words that tensors, and what trainers save beside them, are made of are let through, and
numbers only as many as there are.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

ZIP_BEGINS = b"PK\x03\x04"
LEGACY_PROGRAMS = 5
"""In a file of the older format: its mark, its version, the system, the content, the names of storages."""
LIGHTNING_CALLBACK = "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"
"""Files of Stable Diffusion mention this class beside their tensors; an empty shell of it is let through."""
WORDS = {
    "collections.OrderedDict", "collections.Counter", "torch.Size", "torch.device",
    "torch.serialization._get_layout", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state", "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage", "torch.nn.parameter.Parameter",
    "builtins.set", "__builtin__.set", "builtins.complex", "__builtin__.complex", "_codecs.encode",
    LIGHTNING_CALLBACK,
}  # fmt: skip


class _Storage:
    """The word for a storage of that many bytes a number."""

    def __init__(self, itemsize: int) -> None:
        self.itemsize = itemsize


SAID = (_Storage, str, str, int)
PLAIN = ("BINUNICODE", "SHORT_BINSTRING", "BININT", "BININT1", "BININT2", "LONG1")


def is_archive(path: Path) -> bool:
    """Whether torch would read the file as a zip archive, which its beginning says."""
    with path.open("rb") as file:
        return file.read(len(ZIP_BEGINS)) == ZIP_BEGINS


def check_programs(path: Path) -> None:
    """Refuse a checkpoint of either format whose program asks for more than its tensors.

    Raises pickle.UnpicklingError for a word that no tensor needs, and ValueError for a damaged program or
    one that speaks of more numbers than the file has.
    """
    if is_archive(path):
        program = torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
        there = _sizes(path)
        for key, size in _spoken_of(io.BytesIO(program)).items():
            if size != there.get(key, 0):
                raise ValueError(f"{key[:80]!r} is said to have {size} bytes, and has {there.get(key, 0)}")
        return
    most = path.stat().st_size
    with path.open("rb") as file:
        for _ in range(LEGACY_PROGRAMS):
            if (size := sum(_spoken_of(file).values())) > most:
                raise ValueError(f"it is said to hold {size} bytes, and has {most}")


def _sizes(path: Path) -> dict[str, int]:
    """Bytes of every storage of an archive by its key."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename.partition("/")[2], entry.file_size) for entry in archive.infolist()]
    if len({name.casefold() for name, _ in entries}) != len(entries):
        raise ValueError("it holds two parts of one name")
    return {name.removeprefix("data/"): size for name, size in entries if name.startswith("data/")}


def _spoken_of(file: BinaryIO) -> dict[str, int]:
    """Follow one program up to its end: bytes of the storages that it speaks of, by their keys.

    The word for a storage may only stand before its key, its place and how many numbers it has: so nothing
    can call it with a number and get as much memory.
    """
    remembered: dict[int, Any] = {}
    sizes: dict[str, int] = {}
    last: Any = None
    spoken: list[Any] = []
    for code, value, _ in pickletools.genops(file):
        if "PUT" in code.name:
            remembered[int(value or 0)] = last
            continue
        last = _pushed(code.name, value, remembered)
        if spoken or isinstance(last, _Storage):
            spoken.append(last)
        kinds = SAID[: len(spoken)]
        if not all(type(each) is kind for each, kind in zip(spoken, kinds, strict=True)):
            raise pickle.UnpicklingError("GLOBAL of a storage is used for something else")
        if len(spoken) == len(SAID):
            sizes[spoken[1]] = max(spoken[3] * spoken[0].itemsize, sizes.get(spoken[1], 0))
            spoken = []
    return sizes


def _pushed(code: str, value: Any, remembered: Mapping[int, Any]) -> Any:
    """What an instruction puts on the stack, where it is a storage's word, a text or a number."""
    if code == "GLOBAL":
        return _word(str(value).replace(" ", "."))
    if code in ("STACK_GLOBAL", "INST", "OBJ"):
        raise pickle.UnpicklingError(f"Unsupported instruction {code}")
    if "GET" in code:
        return remembered.get(int(value))
    return value if code in PLAIN else None


def _word(name: str) -> _Storage | None:
    """None for a harmless word; UnpicklingError for one that no tensor needs."""
    module, _, last = name.rpartition(".")
    if name == "torch.storage.UntypedStorage":
        return _Storage(1)
    if module in ("torch", "torch.cuda") and last.endswith("Storage"):
        return _Storage(torch.storage._get_dtype_from_pickle_storage_type(last).itemsize)
    if name in WORDS or (module == "torch" and isinstance(getattr(torch, last, None), torch.dtype)):
        return None
    raise pickle.UnpicklingError(f"GLOBAL {name[:100]}")
