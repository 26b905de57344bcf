"""`figura bench load`: time and memory of loading full-size files, against a plain read of them."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..reports.document import report

ROUNDS = 3
SAMPLE_SECONDS = 0.005
PACKAGE = __name__.split(".", maxsplit=1)[0]
PLAIN, CHECKPOINT, SAM = "plain", "checkpoint", "sam"


def bench_load(
    checkpoints: Sequence[Path], sams: Sequence[Path], tokenizer: Path, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Time of a load over that of a plain read, and memory at its peak over the weights that are held then.

    Every load and every read runs in a process of its own, in turns; a first round brings the files into the
    system's cache and is not counted. A plain read copies every tensor into memory with the library the file
    was written with. Weights keep the precision of the file.

    Args:
        checkpoints: of Stable Diffusion 1.5 or XL, of 4 or 9 channels.
        sams: files of Segment Anything.
        tokenizer: folder with CLIP's vocab.json and merges.txt.
        rounds: that are counted.

    Returns:
        A report with time_ratio.NAME, peak_ratio.NAME and their seconds and GiB, medians.

    Raises:
        FileNotFoundError: for a file that is not there.
    """
    for path in (*checkpoints, *sams):  # before the first is measured for minutes
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}: --checkpoint and --sam take paths")
    figures: dict[str, float] = {"rounds": rounds}
    files = [(path, CHECKPOINT) for path in checkpoints] + [(path, SAM) for path in sams]
    for path, how in files:
        found: dict[str, list[list[float]]] = {PLAIN: [], how: []}
        for number in range(rounds + 1):
            for each, measured in found.items():
                values = _in_process(each, path, tokenizer)
                if number:
                    measured.append(values)
        plain, ours = (
            [statistics.median(column) for column in zip(*found[each], strict=True)] for each in found
        )
        figures |= {
            f"time_ratio.{path.name}": ours[0] / plain[0],
            f"peak_ratio.{path.name}": ours[1] / ours[2],
            f"seconds.{path.name}": ours[0],
            f"plain_seconds.{path.name}": plain[0],
            f"held_gib.{path.name}": ours[2],
        }
    return report("load", rounds * len(files), 0, "cpu", 1, figures)


def _in_process(how: str, path: Path, tokenizer: Path) -> list[float]:
    """Seconds, peak GiB and held GiB of one load in a fresh process."""
    place = Path(__file__).resolve().parents[3]
    code = f"import sys; sys.path.insert(0, {str(place)!r}); from {__name__} import main; main()"
    command = [sys.executable, "-c", code, how, str(path), str(tokenizer)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{path} could not be loaded: {done.stderr.strip().splitlines()[-1]}")
    return [float(value) for value in done.stdout.split()[-3:]]


def main() -> None:
    """Measure what the command line names: HOW FILE TOKENIZER."""
    how, path, tokenizer = sys.argv[1:4]
    torch.set_num_threads(1)
    load = _loader(how, Path(path), Path(tokenizer))
    before = resident_bytes()
    with PeakMemory() as memory:
        started = time.perf_counter()
        held = load()
        seconds = time.perf_counter() - started
    sys.stdout.write(f"{seconds} {(memory.peak - before) / 2**30} {held / 2**30}\n")


def _loader(how: str, path: Path, tokenizer: Path) -> Callable[[], int]:
    """What is timed: gives the bytes of the weights. Everything it imports is imported before."""
    import diffusers  # noqa: F401
    import transformers  # noqa: F401
    from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
    from diffusers.loaders import single_file_utils  # noqa: F401
    from transformers import CLIPTextModel  # noqa: F401

    from ...models.diffusion import single_file
    from ...models.perception.sam_networks import load_sam

    if how == PLAIN:
        return lambda: _plain_read(path)
    if how == SAM:
        return lambda: held_bytes([load_sam(path)])
    dtype, channels = _precision_and_channels(path)

    def load() -> int:
        stack = single_file.load_stack(path, tokenizer, dtype=dtype, channels=channels)
        networks = stack.networks
        return held_bytes([networks.unet, networks.vae, networks.text])

    return load


def _precision_and_channels(path: Path) -> tuple[torch.dtype, int]:
    """The precision of a checkpoint's U-Net and its input channels."""
    from ...models.diffusion.layouts import read_weights

    first = read_weights(path)["model.diffusion_model.input_blocks.0.0.weight"]
    return first.dtype, first.shape[1]


def _plain_read(path: Path) -> int:
    from safetensors.torch import load_file

    if path.suffix.lower() in (".safetensors", ".sft"):
        tensors = load_file(path)
    else:
        content = torch.load(path, map_location="cpu", weights_only=True)
        tensors = content.get("state_dict", content)
    copies = [tensor.clone() for tensor in tensors.values()]
    return sum(copy.numel() * copy.element_size() for copy in copies)


def held_bytes(modules: Sequence[torch.nn.Module]) -> int:
    """Bytes of the parameters of some modules."""
    return sum(p.numel() * p.element_size() for module in modules for p in module.parameters())


class PeakMemory:
    """Watches this process: `peak` is the most it held of memory, files that are mapped into it included."""

    def __init__(self) -> None:
        self.peak = resident_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        self.peak = max(self.peak, resident_bytes())

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, resident_bytes())


def resident_bytes() -> int:
    """Bytes that this process holds in memory now."""
    import psutil  # type: ignore[import-untyped]  # ComfyUI and accelerate bring it

    return int(psutil.Process().memory_info().rss)
