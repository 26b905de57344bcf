"""Full-size detectors of many people's joints, each one file, all brought to this pack's joints.

Nothing is fetched here: their files lie in the model folders (`store.toml` says which, `figura models get`
brings them).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ...store import state_of
from . import dwpose, keypoint_rcnn, openpose, vitpose
from .detector import Detector, find_optional

MODULES = {
    "openpose": openpose,
    "dwpose": dwpose,
    "vitpose": vitpose,
    "keypoint_rcnn": keypoint_rcnn,
}
PROVIDERS = tuple(MODULES)


def load_detector(name: str, folders: Sequence[Path], device: str | torch.device = "cpu") -> Detector:
    """A detector of PROVIDERS.

    folders: where its files are looked for. Raises ValueError for another name, ImportError with what to
    install, FileNotFoundError with the missing file, where it was looked for and what brings it.
    """
    if name not in MODULES:
        raise ValueError(f"unknown pose detector {name!r}: mini, {', '.join(PROVIDERS)} are accepted")
    detector: Detector = MODULES[name].load(folders, device)
    return detector


def states_of(name: str, folders: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Path, size and time of change of every file that a detector of PROVIDERS would read now."""
    files: tuple[str, ...] = MODULES[name].FILES if name in MODULES else ()
    found = (find_optional(file, folders) for file in files)
    return tuple(state_of(path) for path in found if path is not None)


__all__ = ["PROVIDERS", "Detector", "load_detector", "states_of"]
