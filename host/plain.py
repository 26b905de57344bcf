"""The pack without ComfyUI: plain PyTorch, folders on disk, a cancel flag."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import torch

from ..models import store
from ..models.diffusion.in_turn import PlainPlacement, placed
from .extra_paths import ExtraFolders, extra_model_folders
from .interface import Cancelled
from .throttle import Throttle

if TYPE_CHECKING:
    from PIL.Image import Image

    from .interface import Preview

PACK_ROOT = Path(__file__).absolute().parent.parent
"""Where ComfyUI has the pack, which may be a link to where it is."""
LARGE_NETWORK = 100_000_000
Report = Callable[[str, int, int, "Image | None"], None]


class PlainProgress:
    """Passes steps on to a report function."""

    def __init__(self, host: PlainHost, total: int, node_id: str) -> None:
        self._host = host
        self._total = total
        self._node_id = node_id
        self._throttle = Throttle()

    def step(self, done: int, preview: Preview = None) -> None:
        self._host.check_cancelled()
        if self._host.report is None:
            return
        image: Image | None = None
        if self._host.wants_previews and preview is not None and self._throttle.ready():
            image = preview() if callable(preview) else preview
        self._host.report(self._node_id, done, self._total, image)


class PlainHost:
    """Modules go where they are needed by `.to`, and stay there.

    input_dir, output_dir: where LoadImage reads and SaveImage writes; by default `input` and `output` in the
    working folder. device: by default CUDA when there is one, then Apple's MPS, then the CPU.
    report(node_id, done, total, preview or None) is called at every step.
    """

    def __init__(
        self,
        input_dir: Path | str = "input",
        output_dir: Path | str = "output",
        models_dir: Path | str | None = None,
        device: str | torch.device | None = None,
        report: Report | None = None,
        wants_previews: bool = False,
    ) -> None:
        self._input = Path(input_dir)
        self._output = Path(output_dir)
        self._models = [Path(models_dir)] if models_dir is not None else default_models_dirs()
        self._extra = ExtraFolders({}, {}) if models_dir is not None else default_extra_folders()
        self._device = torch.device(device) if device is not None else None
        self._there: WeakSet[torch.nn.Module] = WeakSet()
        self._temp: tempfile.TemporaryDirectory[str] | None = None
        self._cancelled = threading.Event()
        self.report = report
        self.wants_previews = wants_previews

    def device(self) -> torch.device:
        if self._device is None:
            self._device = best_device()
        return self._device

    def dtype(self, parameters: int = 0) -> torch.dtype:
        on_gpu = self.device().type != "cpu"
        return torch.float16 if on_gpu and parameters > LARGE_NETWORK else torch.float32

    def operations(self) -> Any:
        return torch.nn

    def wide_dtype(self) -> torch.dtype:
        device = self.device()
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32

    @contextmanager
    def managed(self, *modules: torch.nn.Module, memory: int = 0) -> Iterator[Any]:
        placement = PlainPlacement(self.device(), memory, self._there)
        with placed(modules, placement) as whole:
            placement.bring(whole)
            if self.device().type == "cpu":  # convolutions over channels_last take a tenth less time there
                for module in modules:
                    module.to(memory_format=torch.channels_last)
            yield modules[0] if len(modules) == 1 else modules

    def progress(self, total: int, node_id: str | int | None = None) -> PlainProgress:
        return PlainProgress(self, total, "" if node_id is None else str(node_id))

    def cancel(self) -> None:
        """Stop the run at its next step; may be called from another thread."""
        self._cancelled.set()

    def resume(self) -> None:
        """Forget an earlier `cancel`."""
        self._cancelled.clear()

    def check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled("cancelled")

    def model_folders(self, file_kind: str) -> list[Path]:
        keys, (before, after) = store.folder_keys(file_kind), self._extra
        own = [base / key for base in self._models for key in keys]
        first, last = ([folder for key in keys for folder in extra.get(key, [])] for extra in (before, after))
        return [*first, *own, *last]

    def find_model(self, file_kind: str, name: str) -> Path:
        return store.locate(file_kind, name, self.model_folders(file_kind))

    def clip_tokenizer(self) -> Path:
        places = [base / "clip_tokenizer" for base in self._models]
        return next((place for place in places if place.is_dir()), places[0])

    def input_dir(self) -> Path:
        return self._input

    def output_dir(self) -> Path:
        return self._output

    def temp_dir(self) -> Path:
        if self._temp is None:
            self._temp = tempfile.TemporaryDirectory(prefix="figura-")
        return Path(self._temp.name)


def device_named(name: str) -> torch.device:
    """The device that a user names, such as cpu or cuda:1; ValueError when it is none, or is not here."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device {name!r} cannot be used here: take cpu, or leave it out") from error
    return device


def best_device() -> torch.device:
    """CUDA, then MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def default_models_dirs(root: Path = PACK_ROOT) -> list[Path]:
    """Those of the ComfyUI this pack is installed in, if any, then `.figura/models` at home."""
    comfyui = comfyui_of(root)
    return [*([comfyui / "models"] if comfyui else []), Path.home() / ".figura" / "models"]


def default_extra_folders(root: Path = PACK_ROOT) -> ExtraFolders:
    """Those of the ComfyUI this pack is installed in, if any. Raises ValueError for a file that is broken."""
    comfyui = comfyui_of(root)
    return extra_model_folders(comfyui) if comfyui else ExtraFolders({}, {})


def comfyui_of(root: Path = PACK_ROOT) -> Path | None:
    """The folder of the ComfyUI that the pack is installed in."""
    return root.parent.parent if root.parent.name == "custom_nodes" else None
