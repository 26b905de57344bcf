"""Flows run headlessly with one step of every sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figura.headless.runner import Runner, all_node_classes
from figura.host.plain import PlainHost
from figura.models import store
from figura.workflows.flow import Flow
from figura.workflows.forms import api_form
from PIL import Image


def pictures(describe: Callable[[Mapping[str, Any]], Flow], folder: Path) -> dict[str, np.ndarray]:
    """The first picture of every node that saves or shows one, by the node's title."""
    graph = api_form(describe(all_node_classes()))
    for node in graph.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = 1
    host = PlainHost(output_dir=folder, device="cpu")
    folders = {"output": host.output_dir(), "temp": host.temp_dir()}
    images = {
        graph[node_id]["_meta"]["title"]: image
        for node_id, ui in Runner(host).run(graph).ui.items()
        for image in ui.get("images", [])[:1]
    }
    return {
        title: np.asarray(
            Image.open(folders[image["type"]] / image["subfolder"] / image["filename"]).convert("RGB")
        )
        for title, image in images.items()
    }


def images_of_random_weights(
    describe: Callable[[Mapping[str, Any]], Flow], family: Path, folder: Path, titles: set[str]
) -> dict[str, np.ndarray]:
    """`pictures` with the weights of `family` in mini's place: exactly those titles, of mini's size."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "MINI_DIR", family)
        images = pictures(describe, folder)
    assert set(images) == titles
    assert {image.shape for image in images.values()} == {(128, 128, 3)}
    return images


def assert_changes_inside(mask: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    """Something changed, and only where the mask (H,W,3), which has an outside, is not 0."""
    inside = mask[..., 0] > 0
    changed = (after != before).any(-1)
    assert changed.any() and not (changed & ~inside).any() and not inside.all()
