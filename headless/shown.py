"""Pictures that a graph only shows, kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .graph import Graph
from .saving import next_number
from .settings import title_of

LONGEST_TITLE = 50
"""Characters of up to four bytes; file systems take 255 bytes, the number among them."""


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
        stem = _stem(title_of(graph[node_id]))
        for image in ui[node_id].get("images", []):
            if image.get("type") == "temp":
                folder.mkdir(parents=True, exist_ok=True)
                source = temp / image.get("subfolder", "") / image["filename"]
                name = f"{stem}_{next_number(folder, stem):05}_.png"
                kept.append(Path(shutil.copy(source, folder / name)))
    return kept


def _stem(title: str) -> str:
    """What a file is called after a title: visible_mask for "Visible Mask"."""
    return re.sub(r"\W+", "_", title[:LONGEST_TITLE]).strip("_").lower() or "picture"
