"""Pictures that a graph only shows, kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from .graph import Graph


def keep_shown(graph: Graph, ui: Mapping[str, Mapping[str, Any]], temp: Path, folder: Path) -> list[Path]:
    """Copy what preview nodes showed into a folder, named after their titles; gives the files in order.

    Args:
        graph: what ran.
        ui: node id -> what it shows.
        temp: the folder that holds the shown pictures.
        folder: where they are kept; made when it is missing.
    """
    kept = []
    for node_id in [key for key in graph if key in ui]:
        title = graph[node_id].get("_meta", {}).get("title", graph[node_id]["class_type"])
        for image in ui[node_id].get("images", []):
            if image.get("type") == "temp":
                folder.mkdir(parents=True, exist_ok=True)
                source = temp / image.get("subfolder", "") / image["filename"]
                kept.append(Path(shutil.copy(source, _free_name(folder, title))))
    return kept


def _free_name(folder: Path, title: str) -> Path:
    """FOLDER/visible_mask_00001_.png, or the next number that is free; as Save Image names its files."""
    stem = re.sub(r"\W+", "_", title).strip("_").lower() or "picture"
    paths = (folder / f"{stem}_{number:05}_.png" for number in count(1))
    return next(path for path in paths if not path.exists())
