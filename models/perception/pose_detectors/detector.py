"""What every full-size pose detector is, and how it finds its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ....people.keypoints import Person, Pose, body18_from_coco17
from ...sentences import typed, where_typed
from ...store import MissingModelError, known_files


@dataclass(frozen=True)
class Detector:
    """Finds all the people of a picture.

    detect: one picture (3,H,W) in 0..1 -> its people, in pixels.
    networks: of torch, to be brought to the device before; empty where another runtime holds them.
    unmanaged: that runtime holds memory of the GPU, which ComfyUI cannot take back: let it go after a run.
    """

    detect: Callable[[torch.Tensor], Pose]
    networks: torch.nn.ModuleList = field(default_factory=torch.nn.ModuleList)
    unmanaged: bool = False


def find_file(name: str, folders: Sequence[Path], detector: str) -> Path:
    """The file of that name in one of the folders, or MissingModelError: what is missing, what brings it."""
    path = find_optional(name, folders)
    if path is None:
        raise MissingModelError(_missing(name, folders, detector))
    return path


def find_optional(name: str, folders: Sequence[Path]) -> Path | None:
    """The file of that name, or None."""
    return next((path for path in (Path(folder) / name for folder in folders) if path.is_file()), None)


def _missing(name: str, folders: Sequence[Path], detector: str) -> str:
    searched = ", ".join(map(str, folders)) or "no folder"
    said = f"the {detector} detector needs {name}, looked for in {searched}"
    known = next((file for file in known_files() if file.name == name), None)
    if known is None:
        return f"{said}: put it there"
    fetch = (
        f"fetch it with: {typed(f'models get {name}')}{where_typed()}"
        if known.can_be_fetched
        else f"download it from {known.page}"
    )
    return f"{said}: {fetch}"


def to_bytes(image: torch.Tensor) -> np.ndarray:
    """A picture (3,H,W) in 0..1 as RGB uint8 (H,W,3)."""
    pixels = (image.detach().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(pixels)


def person_of_coco17(points_px: np.ndarray, seen: np.ndarray) -> Person:
    """A person from COCO's 17 joints.

    Args:
        points_px: (17,2) x, y in pixels.
        seen: (17,) bool, which of them count.
    """
    joints = np.concatenate([points_px, np.ones((17, 1))], axis=1) * seen[:, None]
    return Person(body18_from_coco17(joints.astype(np.float32)))
