"""What a node may ask of the program it runs in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    Preview = Image | Callable[[], Image] | None


class Cancelled(Exception):
    """The user stopped the run; nothing is wrong."""


class Progress(Protocol):
    """One bar, filled from 0 to its total."""

    def step(self, done: int, preview: Preview = None) -> None:
        """Say that `done` of the total steps are finished, and stop here if the user cancelled.

        preview: a picture of the state so far, or a function that makes one; the function is called only when
        a preview is due (at most 8 a second), so it may cost something.
        """
        ...


class Host(Protocol):
    """Devices, memory, folders, progress and cancellation."""

    def device(self) -> torch.device:
        """Where networks run."""
        ...

    def dtype(self, parameters: int = 0) -> torch.dtype:
        """What a network of that many parameters computes in on `device()`; float32 on a CPU."""
        ...

    def wide_dtype(self) -> torch.dtype:
        """For networks that float16 is too narrow for: bfloat16 where `device()` computes with it, else
        float32.
        """
        ...

    def operations(self) -> Any:
        """Namespace of layer classes for the pack's own networks: torch.nn or the host's casting variant."""
        ...

    def managed(self, *modules: torch.nn.Module, memory: int = 0) -> AbstractContextManager[Any]:
        """Have the modules on `device()` inside the block; gives the module, or a tuple of several. A latent
        diffusion model has its networks brought there one after the other, when they are used.

        memory: bytes the block needs beside the weights. Modules used together belong into one call: a later
        call may push out what an earlier one loaded. Running out of memory raises torch's own error.
        """
        ...

    def progress(self, total: int, node_id: str | int | None = None) -> Progress:
        """A bar of `total` steps for the node with that id."""
        ...

    def check_cancelled(self) -> None:
        """Raise the host's own cancel exception when the user asked to stop."""
        ...

    def model_folders(self, file_kind: str) -> list[Path]:
        """Folders that are searched for model files of a kind of models/store.toml, in order."""
        ...

    def find_model(self, file_kind: str, name: str) -> Path:
        """The file of that name; FileNotFoundError says what it is, where it was sought, where to get it."""
        ...

    def clip_tokenizer(self) -> Path:
        """Folder for CLIP's vocab.json and merges.txt, whether they are there or not."""
        ...

    def input_dir(self) -> Path: ...

    def output_dir(self) -> Path: ...

    def temp_dir(self) -> Path: ...
