"""Flows run headlessly with one step of every sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from figura.headless.runner import Runner
from figura.host.plain import PlainHost
from figura.workflows.flow import Flow
from figura.workflows.forms import api_form
from PIL import Image


def saved_images(
    describe: Callable[[Mapping[str, Any]], Flow], classes: Mapping[str, type], folder: Path, prefix: str
) -> dict[str, np.ndarray]:
    """The saved pictures of a flow by their names without prefix and number."""
    graph = api_form(describe(classes))
    for node in graph.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = 1
    files = Runner(PlainHost(output_dir=folder, device="cpu"), classes).run(graph).files
    return {
        path.stem.removeprefix(prefix)[: -len("_00001_")]: np.asarray(Image.open(path).convert("RGB"))
        for path in files
    }
