"""Files behind the choices of loaders: one that was replaced is read again, and reading is shown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..host import get_host
from ..models import store
from ..models.cfld.checkpoint import released_pair
from ..models.files import is_file, path_inside
from ..models.perception.pose_detectors import PROVIDERS, states_of
from ..models.reading import listening


def watched(node_class: type) -> type:
    """The node class, which tells ComfyUI when a file that it was given the name of is another one now, and
    shows how far a large file is read, where the user can cancel.

    Nodes without a choice of files are left as they are. ComfyUI keeps what a loader gave until its inputs
    change, and a name stays the same when somebody trains on, or downloads a new version.
    """
    if hasattr(node_class, "IS_CHANGED") or not _offers_files(node_class):
        return node_class

    def is_changed(cls: Any, /, **inputs: Any) -> str:
        return repr([stamp(value) for _, value in sorted(inputs.items()) if isinstance(value, str)])

    setattr(node_class, "IS_CHANGED", classmethod(is_changed))  # noqa: B010 - mypy knows no such attribute
    name = getattr(node_class, "FUNCTION")  # noqa: B009 - as above
    setattr(node_class, name, _shown(getattr(node_class, name)))
    return node_class


def _shown(run: Callable[..., Any]) -> Callable[..., Any]:
    """A node's function, whose reading of files moves the bar of the node that runs."""

    @functools.wraps(run)
    def reading(*args: Any, **kwargs: Any) -> Any:
        host, bars = get_host(), dict[int, Any]()

        def show(done: int, total: int) -> None:
            if total not in bars:
                bars[total] = host.progress(total)
            bars[total].step(done)

        with listening(show):
            return run(*args, **kwargs)

    return reading


def _offers_files(node_class: Any) -> bool:
    declared: Mapping[str, Any] = node_class.INPUT_TYPES()["required"]
    return any(isinstance(kind, list) and store.MINI in kind for kind, *_ in declared.values())


def stamp(name: str) -> list[tuple[str, int, int]]:
    """Path, size and time of change of the files that a choice may mean, in every model folder, and of those
    that are read with them.
    """
    host = get_host()
    folders = dict.fromkeys(folder for kind in store.file_kinds() for folder in host.model_folders(kind))
    if name == store.MINI:
        return [store.state_of(path) for path in sorted(store.MINI_DIR.glob("*.safetensors"))]
    if name in PROVIDERS:
        return [*states_of(name, host.model_folders("pose_detector"))]
    found = [path for folder in folders for path in _inside(Path(folder), name)]
    beside = [
        other for path in found for other in released_pair(path) or () if other != path and other.is_file()
    ]
    return [store.state_of(path) for path in found + beside]


def _inside(folder: Path, name: str) -> list[Path]:
    """The file of that name, if there is one."""
    try:
        path = path_inside(folder, name)
    except ValueError:  # it leads out of the folder
        return []
    return [path] if is_file(path) else []
