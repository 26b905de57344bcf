"""`figura bench import`: pairs of pictures brought to one size: speed, memory, a kill and the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data.people import SHARD
from ..reports.document import report
from .load import PeakMemory, resident_bytes

COUNT, SIDES, BEFORE = 1_000, (512, 384), (1101, 750)
"""Pairs; height and width they are brought to; and that of DeepFashion's pictures, which they have before."""
WAITS_AT_MOST_SECONDS = 3_600
POLLED_SECONDS = 0.02
TEXTURE = (138, 94)


def bench_import(count: int = COUNT, sides: tuple[int, int] = SIDES) -> dict[str, Any]:
    """Import pairs in one process of one thread; the first half of the shards by one that is then killed.

    Returns:
        A report: pictures_per_second that are read and written, by the time that one core works on it, and
        by the clock, which counts other work on the machine, too; a picture is one side of a pair. peak_mib,
        what the process held at its peak; peak_growth_mib, over what it held before the first picture;
        shards, read_before_the_kill, read_after_it, read_twice (whole ones: none should be).
    """
    with tempfile.TemporaryDirectory(prefix="figura_import_") as place:
        write_pictures(Path(place), count)
        words = [place, str(sides[0]), str(sides[1])]
        killed = _killed_halfway(Path(place), words, count)
        rest = json.loads(_started(words).communicate()[0].splitlines()[-1])
    shards = -(-count // SHARD)
    figures = {
        "pictures_per_second": 2 * rest["pairs"] / rest["cpu_seconds"],
        "pictures_per_second.by_the_clock": 2 * rest["pairs"] / rest["seconds"],
        "peak_mib": rest["peak"] / 2**20,
        "peak_growth_mib": rest["growth"] / 2**20, "shards": shards, "pairs": count,
        "read_before_the_kill": len(killed), "read_after_it": len(rest["starts"]),
        "read_twice": len(set(killed) & set(rest["starts"])), "height_px": sides[0], "width_px": sides[1],
    }  # fmt: skip
    return report("import", count, 0, "cpu", 1, figures)


def write_pictures(folder: Path, count: int) -> None:
    """Pictures of noise, which is as hard to read as photographs, and the tables of their pairs."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(count + 1):
        coarse = Image.fromarray(rng.integers(0, 256, (*TEXTURE, 3), dtype=np.uint8))
        coarse.resize(BEFORE[::-1]).save(folder / f"{number}.jpg", quality=90)
    rows = [f"{number}.jpg,{number + 1}.jpg" for number in range(count)]
    (folder / "train.csv").write_text("source,target\n" + "\n".join(rows) + "\n")


def _started(words: Sequence[str]) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[3]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from {__name__} import main; main()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True, env=environment
    )


def _killed_halfway(folder: Path, words: Sequence[str], count: int) -> list[int]:
    """Starts an import, kills it when half of its shards are written, and says which are."""
    process, part = _started(words), folder / "data" / "train" / "pairs"
    deadline = time.monotonic() + WAITS_AT_MOST_SECONDS
    try:
        while len(done := _finished(part)) < max(1, count // SHARD // 2) and time.monotonic() < deadline:
            if process.poll() is not None:
                raise ValueError("the import ended before it could be killed: raise --count")
            time.sleep(POLLED_SECONDS)
    finally:
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.wait()
    return _finished(part) or done


def _finished(part: Path) -> list[int]:
    """The first pairs of the shards that are written."""
    return sorted(int(file.stem.rpartition("_")[2]) for file in part.glob("captions_*.json"))


def main() -> None:
    """Import what the command line names, FOLDER HEIGHT WIDTH, and print what was measured."""
    from ..data import imported_pairs, people
    from ..data.pairs import PAIRS

    folder, sides = Path(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3]))
    starts: list[int] = []
    read = imported_pairs.PairsReader.__call__

    def noted(reader: Any, numbers: Sequence[int], size: int) -> Any:
        starts.append(numbers[0])
        pairs.append(len(numbers))
        return read(reader, numbers, size)

    pairs: list[int] = []
    imported_pairs.PairsReader.__call__ = noted  # type: ignore[method-assign, assignment]
    people._begin()
    lines = imported_pairs.read_lines(folder / "train.csv")
    before = resident_bytes()
    with PeakMemory() as memory:
        begin, worked = time.perf_counter(), time.process_time()
        imported_pairs.write_pairs(folder / "data" / "train" / PAIRS, folder, lines, sides)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - worked
    made = {
        "seconds": seconds, "peak": memory.peak, "growth": memory.peak - before, "starts": starts,
        "pairs": sum(pairs), "cpu_seconds": cpu,
    }  # fmt: skip
    sys.stdout.write(json.dumps(made) + "\n")
