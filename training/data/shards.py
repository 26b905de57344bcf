"""A data set as shards to carry elsewhere: WebDataset tars, or safetensors; and back.

A shard holds ROWS rows of the arrays of a folder (`train`, `held_out`, `train/pairs` ...). In a tar every row
is a sample of WebDataset: 0000017.txt, 0000017.occluded.npy, ...; in a safetensors file the arrays stand
under their names, and the texts in the metadata. Shards are finished one by one, so that both ways go on
where they stopped.
"""

from __future__ import annotations

import io
import json
import logging
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ...models.files import write_then_rename
from ...models.locks import only_one
from .people import Arrays, create_arrays, missing_parts, write_json

logger = logging.getLogger(__name__)

ROWS = 256
TAR, SAFETENSORS = KINDS = ("tar", "safetensors")
CAPTIONS = "captions.json"
NOT_DATA = re.compile(r"latents|skeletons")
"""In the names of arrays that are made anew from the others."""
NAME = re.compile(r"([\w-]+)-(\d{6})-of-(\d{6})\.(tar|safetensors)$")
ARRAY = re.compile(r"\w+")
"""Names become paths: shards come from elsewhere."""
Rows = dict[str, np.ndarray]


def pack(data: Path, out: Path, kind: str = TAR) -> int:
    """Write every finished folder of a data set as shards, unless there are newer ones; gives how many were.

    Raises ValueError for another kind and FileNotFoundError where nothing is finished.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it is one of {', '.join(KINDS)}")
    folders = [file.parent for part in ("train", "held_out") for file in (data / part).rglob(CAPTIONS)]
    if not folders:
        raise FileNotFoundError(f"no finished data in {data}: import or draw them first")
    written = 0
    for folder in sorted(folders):
        name = "__".join(folder.relative_to(data).parts)
        captions = json.loads((folder / CAPTIONS).read_text(encoding="utf-8"))
        total = -(-len(captions) // ROWS)
        for number in range(total):
            place = out / f"{name}-{number:06d}-of-{total:06d}.{kind}"
            if not place.is_file() or place.stat().st_mtime < (folder / CAPTIONS).stat().st_mtime:
                _write(place, folder, captions, number * ROWS, kind)
                written += 1
    logger.info("%d shards were written to %s", written, out)
    return written


def _write(place: Path, folder: Path, captions: list[str], start: int, kind: str) -> None:
    from safetensors.numpy import save_file

    texts = captions[start : start + ROWS]
    arrays = {
        name: np.ascontiguousarray(array[start : start + ROWS]) for name, array in _arrays(folder).items()
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"captions": json.dumps(texts)}
    if kind == SAFETENSORS:
        write_then_rename(place, lambda file: save_file(arrays, str(file), metadata))
    else:
        write_then_rename(place, lambda file: _write_tar(file, arrays, texts, start))


def _arrays(folder: Path) -> dict[str, np.ndarray]:
    files = [file for file in sorted(folder.glob("*.npy")) if not NOT_DATA.search(file.stem)]
    return {file.stem: np.load(file, mmap_mode="r") for file in files}


def _write_tar(file: Path, arrays: Mapping[str, np.ndarray], texts: list[str], start: int) -> None:
    with tarfile.open(file, "w") as packed:
        for row, text in enumerate(texts):
            _add(packed, f"{start + row:07d}.txt", text.encode("utf-8"))
            for name, array in arrays.items():
                content = io.BytesIO()
                np.save(content, array[row])
                _add(packed, f"{start + row:07d}.{name}.npy", content.getvalue())


def _add(packed: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    packed.addfile(info, io.BytesIO(content))


def unpack(shards: Path, data: Path) -> int:
    """Bring shards back into the folders of a data set; gives the number of shards that were read now.

    Raises FileNotFoundError for lacking shards, naming the first, ValueError for one that is damaged or of
    another set, and FolderInUseError where another process works.
    """
    found = {file: NAME.match(file.name) for file in sorted(shards.iterdir())} if shards.is_dir() else {}
    groups: dict[str, dict[int, Path]] = {}
    totals: dict[str, int] = {}
    for file, match in found.items():
        if match:
            name, total = match[1], int(match[3])
            groups.setdefault(name, {})[int(match[2])] = file
            if totals.setdefault(name, total) != total:
                raise ValueError(f"{shards} has {name} in {totals[name]} shards and in {total}: keep one set")
    if not groups:
        raise FileNotFoundError(
            f"no shards in {shards}: files called NAME-000000-of-000001.tar or .safetensors"
        )
    return sum(_unpack(data / Path(*name.split("__")), files, totals[name]) for name, files in groups.items())


def _unpack(folder: Path, files: Mapping[int, Path], total: int) -> int:
    if (folder / CAPTIONS).is_file():
        return 0
    lacking = [number for number in range(total) if number not in files]
    if lacking:
        place = next(iter(files.values()))
        raise FileNotFoundError(
            f"{len(lacking)} of {total} shards of {place.stem} lack, first number {lacking[0]}"
        )
    with only_one(folder, "unpack in"):
        arrays, texts = _read(files[total - 1])
        count = (total - 1) * ROWS + len(texts)
        layout = {name: ((count, *shape[1:]), dtype) for name, (shape, dtype) in _layout(arrays).items()}
        marks = {number: folder / f"shard_{number:06d}.json" for number in range(total)}
        missing = missing_parts(folder, layout, marks)
        create_arrays(folder, layout)
        for number in missing:
            write_json(marks[number], _bring(files[number], folder, layout, number * ROWS))
        texts = [text for mark in marks.values() for text in json.loads(mark.read_text("utf-8"))]
        write_json(folder / CAPTIONS, texts)
        for mark in marks.values():
            mark.unlink()
    return len(missing)


def _bring(file: Path, folder: Path, layout: Arrays, start: int) -> list[str]:
    """Write a shard's rows into the arrays from `start` on; gives their texts."""
    arrays, texts = _read(file)
    like = {name: ((len(texts), *shape[1:]), dtype) for name, (shape, dtype) in layout.items()}
    count = next(iter(layout.values()))[0][0]
    if len(texts) != min(ROWS, count - start) or like != _layout(arrays):
        raise ValueError(
            f"{file} has other rows or arrays than the last shard of its set: pack the data anew"
        )
    for name, array in arrays.items():
        place = np.load(folder / f"{name}.npy", mmap_mode="r+")
        place[start : start + len(texts)] = array
        place.flush()
    return texts


def _layout(arrays: Rows) -> Arrays:
    return {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}


def _read(file: Path) -> tuple[Rows, list[str]]:
    """The arrays of a shard and its texts; ValueError names a damaged one."""
    try:
        arrays, texts = _read_tar(file) if file.suffix == f".{TAR}" else _read_safetensors(file)
    except Exception as error:
        raise ValueError(f"{file} is damaged ({error}): copy it again") from error
    wrong = [name for name in arrays if not ARRAY.fullmatch(name)]
    if wrong or not arrays:
        raise ValueError(
            f"{file} is no shard of `figura data pack`: {wrong[0] if wrong else 'nothing'!r} in it"
        )
    return arrays, texts


def _read_safetensors(file: Path) -> tuple[Rows, list[str]]:
    from safetensors import safe_open

    with safe_open(str(file), "np") as opened:
        texts = json.loads(opened.metadata()["captions"])
        return {name: opened.get_tensor(name) for name in opened.keys()}, texts  # noqa: SIM118


def _read_tar(file: Path) -> tuple[Rows, list[str]]:
    texts: list[str] = []
    rows: dict[str, list[np.ndarray]] = {}
    for name, content in _members(file):
        if name.endswith(".txt"):
            texts.append(content.decode("utf-8"))
        else:
            array = np.load(io.BytesIO(content), allow_pickle=False)
            rows.setdefault(name.split(".", 1)[1].removesuffix(".npy"), []).append(array)
    if not rows or any(len(each) != len(texts) for each in rows.values()):
        raise ValueError("samples lack a part")
    return {name: np.stack(each) for name, each in rows.items()}, texts


def _members(file: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(file) as packed:
        for member in packed:
            opened = packed.extractfile(member)
            if opened is not None:
                yield member.name, opened.read()
