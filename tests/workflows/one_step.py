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


def saved_images(describe: Callable[[Mapping[str, Any]], Flow], folder: Path) -> dict[str, np.ndarray]:
    """The saved pictures of a flow by their names without the method's and without number."""
    flow = describe(all_node_classes())
    graph, prefix = api_form(flow), flow.name.split("_")[0] + "_"
    for node in graph.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = 1
    files = Runner(PlainHost(output_dir=folder, device="cpu")).run(graph).files
    return {
        path.stem.removeprefix(prefix)[: -len("_00001_")]: np.asarray(Image.open(path).convert("RGB"))
        for path in files
    }


def images_of_random_weights(
    describe: Callable[[Mapping[str, Any]], Flow], family: Path, folder: Path, names: set[str]
) -> dict[str, np.ndarray]:
    """`saved_images` with the weights of `family` in mini's place: exactly those names, of mini's size."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "MINI_DIR", family)
        images = saved_images(describe, folder)
    assert set(images) == names
    assert {image.shape for image in images.values()} == {(128, 128, 3)}
    return images


def assert_changes_inside(mask: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    """Something changed, and only where the mask (H,W,3), which has an outside, is not 0."""
    inside = mask[..., 0] > 0
    changed = (after != before).any(-1)
    assert changed.any() and not (changed & ~inside).any() and not inside.all()
