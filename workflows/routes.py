"""The photograph on its way through every route of stock nodes, without a stock model.

`python -m figura.workflows.routes docs/phac_native.jpg` runs what can run without one: each row shows what
the model of a route is given, and what Stitch makes of a model that paints nothing but noise.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..headless.native_nodes import is_native
from ..headless.runner import Runner
from ..host.plain import PlainHost
from ..models.files import write_then_rename
from ..nodes.crops import FiguraStitch
from .files import all_flows
from .forms import api_form
from .photo import IMAGE

ROUTES = {
    "phac_native_sd15": ("FiguraCoarsePrepare", 512),
    "phac_native_sdxl": ("FiguraCoarsePrepare", 1024),
    "phac_native_one_pass": ("FiguraCoarsePrepare", 1024),
    "refine_anything": ("FiguraRefinePrepare", 1024),
}
"""The node that prepares what the route's model is given, and the size of that model."""
SIDE, GAP, QUALITY = 160, 3, 82


def route_pictures(name: str, folder: Path) -> list[Tensor]:
    """Four pictures (1,H,W,3): what the model sees, what it may draw, what it is told, and the photograph
    with noise stitched in where the model would have drawn.
    """
    node, size = ROUTES[name]
    graph = api_form(next(flow for flow in all_flows() if flow.name == name))
    (number,) = [
        key for key, each in graph.items() if each["class_type"] == node and _of_the_photograph(graph, key)
    ]
    inputs = graph[number]["inputs"]
    inputs["size"] = size
    inputs.pop("model", None)
    done = Runner(PlainHost(IMAGE.parent, folder)).run(
        {**_needed(graph, number), "shown": {"class_type": "PreviewImage", "inputs": {"images": [number, 0]}}}
    )
    (loaded,) = [key for key, each in graph.items() if each["class_type"] == "LoadImage"]
    made, photograph = done.outputs[number], done.outputs[loaded][0]
    if node == "FiguraCoarsePrepare":
        canvas, noise_mask, told, crop, mask = made
        within = None
    else:
        canvas, noise_mask, crop, mask, told, _ = made
        within = done.outputs[inputs["invisible_mask"][0]][0]
    noise = torch.rand(canvas.shape, generator=torch.Generator().manual_seed(0))
    stitched = FiguraStitch().run(photograph, noise, crop, mask, within=within)[0]
    return [canvas, noise_mask[..., None].expand(-1, -1, -1, 3), told, stitched]


def _of_the_photograph(graph: Mapping[str, Any], number: str) -> bool:
    """Whether a node gets its pictures without the help of a stock model."""
    return not any(is_native(each["class_type"]) for each in _needed(graph, number).values())


def _needed(graph: Mapping[str, Any], number: str) -> dict[str, Any]:
    """A node and all that it needs, but for stock models, which it can do without."""
    needed, waiting = {}, [number]
    while waiting:
        key = waiting.pop()
        node = {
            **graph[key],
            "inputs": {
                k: v for k, v in graph[key]["inputs"].items() if k != "model" or not isinstance(v, list)
            },
        }
        needed[key] = node
        waiting += [str(value[0]) for value in node["inputs"].values() if isinstance(value, list)]
    return needed


def save_routes(path: Path) -> Path:
    """A row for each route."""
    from PIL import Image

    from .thumbnails import side_by_side

    with tempfile.TemporaryDirectory() as folder:
        rows = [route_pictures(name, Path(folder)) for name in ROUTES]
    width = 4 * SIDE + 3 * GAP
    sheet = Image.new("RGB", (width, len(rows) * (SIDE + GAP) - GAP), "white")
    for number, row in enumerate(rows):
        images = [Image.fromarray((each[0] * 255).round().byte().numpy()) for each in row]
        line = side_by_side([image.resize((512, 512)) for image in images], width=width)
        sheet.paste(line, (0, number * (SIDE + GAP)))
    return write_then_rename(path, lambda place: sheet.save(place, "JPEG", quality=QUALITY))


if __name__ == "__main__":
    save_routes(Path(sys.argv[1]))
