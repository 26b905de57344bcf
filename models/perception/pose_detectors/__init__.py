"""Full-size detectors of many people's joints, each one file, all brought to this pack's joints.

Nothing is fetched here: their files lie in the model folders (`store.toml` says which, `figura models get`
brings them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from . import dwpose, keypoint_rcnn, openpose, vitpose
from .detector import Detector

LOADERS: dict[str, Callable[[Sequence[Path], str | torch.device], Detector]] = {
    "openpose": openpose.load,
    "dwpose": dwpose.load,
    "vitpose": vitpose.load,
    "keypoint_rcnn": keypoint_rcnn.load,
}
PROVIDERS = tuple(LOADERS)


def load_detector(name: str, folders: Sequence[Path], device: str | torch.device = "cpu") -> Detector:
    """A detector of PROVIDERS.

    folders: where its files are looked for. Raises ValueError for another name, ImportError with what to
    install, FileNotFoundError with the missing file, where it was looked for and what brings it.
    """
    if name not in LOADERS:
        raise ValueError(f"unknown pose detector {name!r}: mini, {', '.join(PROVIDERS)} are accepted")
    return LOADERS[name](folders, device)


__all__ = ["PROVIDERS", "Detector", "load_detector"]
