"""Whether a model file is what it says it is.

The sha256 of the shipped files stand in weights/mini/SHA256SUMS, as the program sha256sum reads them;
`python -m figura.models.verify` writes the list again after a file was trained anew.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from . import store
from .convert import read_pickle
from .diffusion.checkpoint import METADATA_KEY, check_finite, parse_metadata, read_safetensors
from .files import write_then_rename
from .numpy_pickle import read_arrays
from .pickle_program import is_archive

SUMS = "SHA256SUMS"
CHUNK = 1 << 22
ONNX_BEGINS = b"\x08"
"""The tag of the first field of an ONNX model, its version."""
OnBytes = Callable[[int], None]


class Verified(NamedTuple):
    """What a good file has for a sha256, and what it was held against, as one would say it."""

    sha256: str
    against: str


def verify(path: Path, on_bytes: OnBytes | None = None, known: store.ModelFile | None = None) -> Verified:
    """Check a file; ValueError says what is wrong with it.

    A file of weights/mini must be the shipped one. A published file, known by its name, must have the
    published size and, where there is one, sha256. Any other is read whole: it must be of the format its name
    says, not truncated, and hold finite tensors.

    Args:
        path: the file.
        on_bytes: is called with the number of bytes after every piece read for the sha256.
        known: the entry of a published file; by default the one of its name.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name the files in it")
    if path.resolve().parent == store.MINI_DIR:
        return Verified(_shipped(path, sha256_of(path, on_bytes)), "the shipped file")
    known = known or next((file for file in store.known_files() if file.name == path.name), None)
    size = path.stat().st_size
    if known is not None and not known.size_is_rounded and size != known.size:
        raise ValueError(f"{path} has {size} bytes instead of {known.size}: fetch it again from {known.page}")
    if known is None or not known.sha256:
        _read_whole(path)
    found = sha256_of(path, on_bytes)
    if known is None or not known.sha256:
        return Verified(found, "its format; no published sha256 is known")
    if found != known.sha256:
        raise ValueError(
            f"{path} has sha256 {found} instead of {known.sha256}: fetch it again from {known.page}"
        )
    return Verified(found, "the published sha256")


def sha256_of(path: Path, on_bytes: OnBytes | None = None) -> str:
    """Hexadecimal SHA-256 of a file; on_bytes(count) is called after every piece read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            if on_bytes is not None:
                on_bytes(len(piece))
    return digest.hexdigest()


def shipped_sums() -> dict[str, str]:
    """The sha256 of every shipped file by its name."""
    lines = (store.MINI_DIR / SUMS).read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def write_sums() -> Path:
    """Write the list of the shipped files again, from what is there."""
    files = sorted(store.MINI_DIR.glob("*.safetensors"))
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in files]
    return write_then_rename(
        store.MINI_DIR / SUMS, lambda place: place.write_text("".join(lines), encoding="ascii", newline="\n")
    )


def _shipped(path: Path, found: str) -> str:
    wanted = shipped_sums().get(path.name)
    if wanted is None:
        raise ValueError(f"{path} is none of the shipped files, which {SUMS} lists: move it elsewhere")
    if found != wanted:
        raise ValueError(
            f"{path} is not the file that was shipped (sha256 {found} instead of {wanted}): trained over or "
            "damaged; take it from the pack again"
        )
    return found


def _read_whole(path: Path) -> None:
    """Read a file by the format its name says; ValueError when it is of another, or not whole."""
    suffix = path.suffix.lower()
    if suffix in store.SAFE_SUFFIXES:
        _, raw = read_safetensors(path)
        if METADATA_KEY in raw:
            parse_metadata(path, raw)
    elif suffix in store.PICKLE_SUFFIXES:
        _check_tensors(read_pickle(path), path)
        if is_archive(path):
            _check_archive(path)
    elif suffix == store.ARRAY_SUFFIX:
        _check_tensors(read_arrays(path), path)
    elif suffix == store.SCRIPT_SUFFIX:
        _check_archive(path)
    elif suffix == ".onnx":
        _check_onnx(path)
    else:
        known = ", ".join((*store.SAFE_SUFFIXES, *store.PICKLE_SUFFIXES, store.SCRIPT_SUFFIX))
        raise ValueError(f"{path} is no model file: they end in {known}")


def _check_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        check_finite(name, tensor, str(path))


def _check_onnx(path: Path) -> None:
    """Of ONNX only the beginning is looked at: Figura hands such files to the packages that run them."""
    with path.open("rb") as file:
        if file.read(1) != ONNX_BEGINS:
            raise ValueError(f"{path} is no ONNX file: download it again")


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(
            f"{path} is no zip archive, as such files are, or it is truncated ({error})"
        ) from error
    if broken is not None:
        raise ValueError(f"{path} is damaged in {broken}: copy or download it again")


if __name__ == "__main__":
    write_sums()
