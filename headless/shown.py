"""What nodes show: the files that they saved, and the pictures that they only show, which can be kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .graph import Graph
from .saving import file_name, next_number, write_numbered
from .settings import title_of

FOR_EDITOR = "figura_"
"""Beginning of the keys of what nodes give to the points editor, which is no preview."""
LONGEST_TITLE = 50
"""Characters of up to four bytes; file systems take 255 bytes, the number among them."""


def shown_files(ui: Mapping[str, Any], folder_type: str) -> list[dict[str, Any]]:
    """The files that a node shows, under whatever key: pictures, sounds, videos, models.

    Args:
        ui: what one node shows.
        folder_type: "output" for what it saved, "temp" for what it only shows.

    >>> shown_files({"audio": [{"filename": "a.flac", "type": "output"}], "text": ["a"]}, "output")
    [{'filename': 'a.flac', 'type': 'output'}]
    """
    listed = [each for shown in ui.values() if isinstance(shown, (list, tuple)) for each in shown]
    files = [each for each in listed if isinstance(each, dict) and each.get("filename")]
    found = [file for file in files if file.get("type") == folder_type]
    return list({(file.get("subfolder", ""), file["filename"]): file for file in found}.values())


def keep_shown(graph: Graph, ui: Mapping[str, Mapping[str, Any]], temp: Path, folder: Path) -> list[Path]:
    """Copy what preview nodes showed into a folder, named after their titles; gives the files in order.

    Args:
        graph: what ran.
        ui: node id -> what it shows.
        temp: the folder that holds the shown pictures.
        folder: where they are kept; made when it is missing.

    Raises OSError for a full disk.
    """
    kept = []
    for node_id in [key for key in graph if key in ui]:
        stem = _stem(title_of(graph[node_id]))
        previews = {key: value for key, value in ui[node_id].items() if not key.startswith(FOR_EDITOR)}
        for shown in shown_files(previews, "temp"):
            source = temp / shown.get("subfolder", "") / shown["filename"]
            copy = partial(shutil.copyfile, source)
            number = write_numbered(folder, stem, next_number(folder, stem), copy, source.suffix)
            kept.append(folder / file_name(stem, number, source.suffix))
    return kept


def _stem(title: str) -> str:
    """What a file is called after a title: visible_mask for "Visible Mask"."""
    return re.sub(r"\W+", "_", title[:LONGEST_TITLE]).strip("_").lower() or "picture"
