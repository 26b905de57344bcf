"""Data sets on disk: synthetic people, rendered once."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.cluster import Cluster, run_on_cluster
from ...models.locks import only_one
from ...models.sentences import as_word, typed
from ..run.recipe import Split
from .checks import check_rows
from .space import check_space

logger = logging.getLogger(__name__)

HELD_OUT_SEED = 10_000_000
IMAGES = ("occluded", "unoccluded", "complete", "cutout")
MASKS = ("amodal_mask", "visible_mask")
SHARD = 64
SAME_AS = {"complete": "unoccluded", "unoccluded": "occluded"}
"""A person whom nothing hides is on one picture; imported data have no more than that."""
OTHER_FOLDER = "delete the folder, or use another folder (--data)"

Processes = int | Cluster
"""How many work at once here, or where else. On a cluster all machines must see the folder under its path."""
Renderer = Callable[[list[int], int], Any]
Arrays = Mapping[str, tuple[tuple[int, ...], str]]
Layout = Callable[[int, int], Arrays]
"""(number of pictures, their side) -> shape and dtype of every array. uint8 with 4 dimensions holds 0..1."""


def render(seeds: list[int], size: int) -> Any:
    """Synthetic people with these seeds (a `SyntheticPeople`)."""
    from ...people.synthetic import render_people

    return render_people(seeds, size=size)


def array_layout(count: int, size: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every array of a data set."""
    layout: dict[str, Any] = {name: ((count, 3, size, size), "uint8") for name in IMAGES}
    layout |= {name: ((count, 1, size, size), "uint8") for name in MASKS}
    layout["densepose_i"] = ((count, size, size), "uint8")
    layout["joints"] = ((count, 18, 3), "float32")
    layout["joint_visible"] = ((count, 18), "bool")
    layout["hands"] = ((count, 2, 21, 3), "float32")
    return layout


@dataclass(frozen=True)
class PeopleDataset:
    """People as read-only memory maps. Pictures and masks are uint8 0..255; joints are pixels.

    Of rendered people everything is there; of imported ones an array may be empty. everybody: joints
    (N,P,18,3) of all people in a picture.
    """

    occluded: np.ndarray
    unoccluded: np.ndarray
    complete: np.ndarray
    cutout: np.ndarray
    amodal_mask: np.ndarray
    visible_mask: np.ndarray
    densepose_i: np.ndarray
    joints: np.ndarray
    joint_visible: np.ndarray
    hands: np.ndarray
    captions: list[str]
    everybody: np.ndarray = field(default_factory=lambda: np.zeros((0,), np.float32))

    @classmethod
    def open(cls, root: Path) -> PeopleDataset:
        """The finished data set in `root`; FileNotFoundError says how to make it."""
        root = Path(root)
        if not (root / "captions.json").is_file():
            step = "train perception_data" if root.name == "perception" else "train data"
            command = f"{typed(step)} --data {as_word(root.parent)}"
            raise FileNotFoundError(f"no finished data set in {root}: run `{command}`")
        captions = json.loads((root / "captions.json").read_text(encoding="utf-8"))
        arrays = {f.name: _array(root, f.name) for f in fields(cls) if f.name != "captions"}
        check_rows(root, arrays, len(captions))
        return cls(captions=captions, **arrays)

    def require(self, *names: str) -> None:
        """ValueError that names what is asked for and not there; imported pictures lack what no list had."""
        absent = sorted({name for name in names if len(getattr(self, name)) == 0})
        if absent:
            raise ValueError(
                f"these pictures came without {', '.join(absent)}, which this recipe needs: import them with "
                "masks (docs/data.md), or choose another --data folder"
            )

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return int(self.occluded.shape[-1])

    def images(self, name: str, indices: np.ndarray | torch.Tensor | list[int]) -> torch.Tensor:
        """Pictures or masks `name` at `indices` as float32 in 0..1."""
        return rows(getattr(self, name), indices).float() / 255


def _array(root: Path, name: str) -> np.ndarray:
    """An array of the data set; for a picture that is not there the one it is the same as, else nothing."""
    while name in SAME_AS and not (root / f"{name}.npy").is_file():
        name = SAME_AS[name]
    path = root / f"{name}.npy"
    return np.load(path, mmap_mode="r") if path.is_file() else np.zeros((0,), np.uint8)


def rows(array: np.ndarray, indices: np.ndarray | torch.Tensor | list[int]) -> torch.Tensor:
    """Rows of a memory map as a tensor of the same dtype."""
    return torch.from_numpy(np.ascontiguousarray(array[np.asarray(indices)]))


def build_people(
    root: Path,
    count: int,
    first_seed: int = 0,
    size: int = 128,
    processes: Processes = 1,
    renderer: Renderer = render,
) -> PeopleDataset:
    """Render `count` people with seeds `first_seed`... into `root`, or finish it, and open them.

    Args:
        root: folder of the data set.
        count: number of people.
        first_seed: the first person's.
        size: side of the pictures in pixels.
        processes: how many render at once.
        renderer: (seeds, size) -> the people with these seeds.

    Raises:
        ValueError: the folder holds other people.
    """
    render_arrays(root, array_layout, count, first_seed, size, processes, renderer)
    return PeopleDataset.open(root)


def render_arrays(
    root: Path,
    layout: Layout,
    count: int,
    first_seed: int,
    size: int,
    processes: Processes,
    renderer: Renderer,
) -> None:
    """Render `count` pictures with seeds `first_seed`... into the arrays of `layout`, or finish them.

    At the end captions.json stands beside the arrays.

    Args:
        root: folder of the arrays.
        layout: (count, size) -> shape and dtype by name.
        count: number of pictures.
        first_seed: the first picture's.
        size: side of the pictures in pixels.
        processes: how many render at once.
        renderer: (seeds, size) -> an object with a tensor under each name of the layout, and captions.

    Raises:
        ValueError: arrays of another size or count are there, finished or begun.
        FolderInUseError: another process renders there.
        OSError: the disk has no room for them.
        RuntimeError: some could not be drawn on a cluster; the others are kept.
    """
    root = Path(root).absolute()
    with only_one(root, "render in"):  # also when all is done: what a killed process left is removed
        if (root / "captions.json").is_file():
            if not check_arrays(root, layout(count, size)):
                raise ValueError(f"{root} holds other data, without arrays that these need: {OTHER_FOLDER}")
            _remove_shard_files(root)
            return
        create_arrays(root, layout(count, size))
        shards = [start for start in range(0, count, SHARD) if not shard_file(root, start).is_file()]
        jobs = [
            (root, layout, start, min(SHARD, count - start), first_seed, size, renderer) for start in shards
        ]
        begin = time.monotonic()
        for done, _ in enumerate(run_jobs(_render_shard, jobs, processes), start=1):
            report_shards("rendered", done, len(jobs), begin)
        _join_captions(root, count)


def open_split(root: Path) -> Split:
    """The data sets `train` and `held_out` in `root`."""
    return Split(PeopleDataset.open(Path(root) / "train"), PeopleDataset.open(Path(root) / "held_out"))


def build_split(
    root: Path, count: int, held_out: int = 256, size: int = 128, processes: Processes = 2
) -> Split:
    """Render both data sets: training seeds from 0, held-out seeds from 10 000 000.

    Args:
        root: folder of both data sets.
        count: training people.
        held_out: held-out people.
        size: side of the pictures in pixels.
        processes: how many render at once.
    """
    kept = build_people(Path(root) / "held_out", held_out, HELD_OUT_SEED, size, processes)
    return Split(build_people(Path(root) / "train", count, 0, size, processes), kept)


def sample_indices(length: int, step: int, seed: int, batch_size: int) -> np.ndarray:
    """Indices of batch number `step`: one long row of shuffled epochs, a pure function of the arguments.

    Args:
        length: number of samples in an epoch.
        step: number of the batch, from 0.
        seed: of the shuffling.
        batch_size: samples in a batch.

    Returns:
        (batch_size,) int64 in 0..length-1.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // length
    orders = {epoch: np.random.default_rng((seed, epoch)).permutation(length) for epoch in np.unique(epochs)}
    drawn = [orders[epoch][position % length] for epoch, position in zip(epochs, positions, strict=True)]
    return np.array(drawn, dtype=np.int64)


def check_arrays(root: Path, layout: Arrays) -> bool:
    """Whether all arrays of a layout are there. ValueError when one is of another shape."""
    paths = {root / f"{name}.npy": shape for name, (shape, _) in layout.items()}
    for path, wanted in paths.items():
        found = np.load(path, mmap_mode="r").shape if path.is_file() else wanted
        if found != wanted:
            raise ValueError(
                f"{path} was made with another size or count, {_sides(found)} and not {_sides(wanted)}: "
                f"{OTHER_FOLDER}, or ask for what it has"
            )
    return all(path.is_file() for path in paths)


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def missing_parts(root: Path, layout: Arrays, done: Mapping[int, Path]) -> list[int]:
    """The parts that are not marked as done, of `done`; all of them when an array is missing.

    Only inside the lock of `root` does the answer hold. ValueError as of `check_arrays`.
    """
    whole = check_arrays(root, layout)
    return [part for part, mark in done.items() if not (whole and mark.is_file())]


def create_arrays(root: Path, layout: Arrays) -> None:
    """Empty .npy files of that shape and dtype in `root`, inside its lock: they replace what is there.

    ValueError when others are there; OSError when the disk has no room for them, which is taken here: a disk
    that fills up later would end the process at once.
    """
    check_arrays(root, layout)
    check_space(root, {name: each for name, each in layout.items() if not (root / f"{name}.npy").is_file()})
    for name, (shape, dtype) in layout.items():
        path = root / f"{name}.npy"
        if not path.is_file():
            unfinished = path.with_suffix(".tmp")
            np.lib.format.open_memmap(unfinished, mode="w+", dtype=dtype, shape=shape).flush()
            _take_space(unfinished, path)
            os.replace(unfinished, path)


def _take_space(unfinished: Path, path: Path) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        with unfinished.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, unfinished.stat().st_size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return  # a disk that cannot promise
        unfinished.unlink(missing_ok=True)
        raise OSError(
            error.errno, "the disk is full: free some space or choose another folder", str(path)
        ) from error


def run_jobs(work: Callable[..., None], jobs: list[tuple[Any, ...]], processes: Processes) -> Iterator[None]:
    """work(*job) for every job, in `processes` processes of one thread or on a cluster; yields after each.

    RuntimeError after the last when some failed on a cluster.
    """
    if isinstance(processes, Cluster):
        yield from _run_on_cluster(work, jobs, processes)
    elif processes <= 1 or len(jobs) <= 1:
        for job in jobs:
            work(*job)
            yield
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin) as pool:
            yield from pool.map(work, *zip(*jobs, strict=True))


def _run_on_cluster(
    work: Callable[..., None], jobs: list[tuple[Any, ...]], cluster: Cluster
) -> Iterator[None]:
    failures = []
    for outcome in run_on_cluster(work, jobs, cluster):
        failures += [outcome.error] if outcome.error else []
        yield
    if failures:
        raise RuntimeError(
            f"{len(failures)} of {len(jobs)} parts failed, the first one: {failures[0]}. The same command "
            "makes those that are missing"
        )


def _begin() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own ends a part, and then the next is begun


@torch.no_grad()
def _render_shard(
    root: Path, layout: Layout, start: int, count: int, first_seed: int, size: int, renderer: Renderer
) -> None:
    made = renderer(list(range(first_seed + start, first_seed + start + count)), size)
    for name, (shape, dtype) in layout(count, size).items():
        array = np.load(root / f"{name}.npy", mmap_mode="r+")
        value = getattr(made, name).cpu()
        if dtype == "uint8" and len(shape) == 4:
            value = (value.float().clamp(0, 1) * 255).round()
        array[start : start + count] = value.numpy().astype(dtype)
        array.flush()
    write_json(shard_file(root, start), list(made.captions))


def shard_file(root: Path, start: int) -> Path:
    """What says that the rows from `start` on are finished, as long as others are not."""
    return root / f"captions_{start:07d}.json"


def _join_captions(root: Path, count: int) -> None:
    files = [shard_file(root, start) for start in range(0, count, SHARD)]
    texts = [text for file in files for text in json.loads(file.read_text("utf-8"))]
    write_json(root / "captions.json", texts)
    _remove_shard_files(root)


def _remove_shard_files(root: Path) -> None:
    for file in root.glob("captions_*.json*"):
        file.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    unfinished = path.with_suffix(".json.tmp")
    unfinished.write_text(json.dumps(value), encoding="utf-8")
    os.replace(unfinished, path)


def read_json(path: Path) -> Any:
    """The content of a JSON file, not to be changed; kept until the file is another, as every shard asks."""
    return _content_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _content_of(path: Path, changed: int) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def report_shards(what: str, done: int, total: int, begin: float) -> None:
    """Log how many shards are done, and the time left, now and then.

    Args:
        what: what was done to them, such as "rendered".
        done: how many are.
        total: how many there are.
        begin: `time.monotonic()` at the beginning.
    """
    if done % 8 == 0 or done == total:
        rate = done * SHARD / max(time.monotonic() - begin, 1e-9)
        left = (total - done) * SHARD / rate
        logger.info("%s %d of %d shards, %.1f pictures/s, %.0f s left", what, done, total, rate, left)
