"""What the tests of graphs of stock nodes share: random checkpoints, single nodes, saved pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from figura.tests.comfyui.server import ComfyServer, run_inside
from PIL import Image


def write_checkpoint(server: ComfyServer, script: str, name: str, folder: str = "checkpoints") -> Path:
    """A file in one of the server's model folders, written by one of the scripts tiny_*.py."""
    place = server.base / "models" / folder / name
    run_inside(server.checkout, script, place)
    return place


def only(graph: dict[str, Any], class_type: str) -> dict[str, Any]:
    (node,) = [node for node in graph.values() if node["class_type"] == class_type]
    return node


def saved(server: ComfyServer, graph: dict[str, Any]) -> np.ndarray:
    """Runs the graph; what its last Save Image saved, (H,W,3) in 0..255."""
    run = server.run(graph)
    assert run.end == "execution_success", run.events[-1]
    node_ids = [node_id for node_id, node in graph.items() if node["class_type"] == "SaveImage"]
    data = server.image(run.images(node_ids[-1])[0])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
