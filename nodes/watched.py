"""Files behind the choices of loaders: one that is replaced under its name is read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..host import get_host
from ..models import store
from ..models.files import path_inside
from ..models.perception.pose_detectors import PROVIDERS, states_of


def watched(node_class: type) -> type:
    """The node class, which tells ComfyUI when a file that it was given the name of is another one now.

    Nodes without a choice of files are left as they are. ComfyUI keeps what a loader gave until its inputs
    change, and a name stays the same when somebody trains on, or downloads a new version.
    """
    if hasattr(node_class, "IS_CHANGED") or not _offers_files(node_class):
        return node_class

    def is_changed(cls: Any, /, **inputs: Any) -> str:
        return repr([stamp(value) for _, value in sorted(inputs.items()) if isinstance(value, str)])

    setattr(node_class, "IS_CHANGED", classmethod(is_changed))  # noqa: B010 - mypy knows no such attribute
    return node_class


def _offers_files(node_class: Any) -> bool:
    declared: Mapping[str, Any] = node_class.INPUT_TYPES()["required"]
    return any(isinstance(kind, list) and store.MINI in kind for kind, *_ in declared.values())


def stamp(name: str) -> list[tuple[str, int, int]]:
    """Path, size and time of change of the files that a choice may mean, in every model folder."""
    host = get_host()
    folders = dict.fromkeys(folder for kind in store.file_kinds() for folder in host.model_folders(kind))
    if name == store.MINI:
        return [store.state_of(path) for path in sorted(store.MINI_DIR.glob("*.safetensors"))]
    if name in PROVIDERS:
        return [*states_of(name, host.model_folders("pose_detector"))]
    return [store.state_of(path) for folder in folders for path in _inside(Path(folder), name)]


def _inside(folder: Path, name: str) -> list[Path]:
    """The file of that name, if there is one."""
    try:
        path = path_inside(folder, name)
        return [path] if path.is_file() else []
    except (OSError, ValueError):  # a name that no file can have
        return []
