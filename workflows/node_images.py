"""What each node is given and what it makes, side by side: the pictures of docs/nodes.md.

`python -m figura.workflows --node-pictures` runs the shipped workflows on mini and draws them again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..headless.graph import Graph, input_specs, is_link
from ..models.files import write_then_rename
from .forms import api_form
from .scene import IMAGE
from .thumbnails import DRAWN, QUALITY, runnable_part

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "nodes"
SIDE, GAP, ARROW = 128, 6, 34
BEFORE, AFTER = 3, 2
"""At most so many pictures on either side of the arrow."""


def write_node_images() -> list[Path]:
    """Draw FOLDER/<node id>.jpg of every node that makes something to be seen; gives the files."""
    paths = []
    for node_id, (before, after) in sorted(shown_nodes().items()):
        row = before_and_after(before, after)
        path = FOLDER / f"{node_id}.jpg"
        paths.append(write_then_rename(path, partial(row.save, format="JPEG", quality=QUALITY)))
    return paths


def shown_nodes() -> dict[str, tuple[list[Image], list[Image]]]:
    """Node id -> pictures of its inputs and of its outputs, from the first workflow that has the node."""
    from .files import all_flows

    shown: dict[str, tuple[list[Image], list[Image]]] = {}
    for flow in all_flows():
        graph = api_form(flow)
        wanted = {node["class_type"] for node in graph.values()} - shown.keys()
        if not any(name.startswith("Figura") for name in wanted):
            continue
        if flow.name in DRAWN:
            for name in sorted(name for name in wanted if name.startswith("Figura") and "Load" not in name):
                first, *rest = DRAWN[flow.name]()
                shown.setdefault(name, ([first], rest))
        else:
            for name, images in _run_and_show(runnable_part(graph)):
                shown.setdefault(name, images)
    return shown


def _run_and_show(graph: Graph) -> Iterator[tuple[str, tuple[list[Image], list[Image]]]]:
    from ..headless.runner import Runner
    from ..host.plain import PlainHost

    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(PlainHost(IMAGE.parent, folder))
        outputs = runner.run(graph).outputs
    for node_id, node in graph.items():
        node_class: Any = runner.classes[node["class_type"]]
        if not node["class_type"].startswith("Figura") or node_id not in outputs:
            continue
        before = [
            image
            for name in input_specs(node_class)
            if (image := _linked(graph, outputs, runner.classes, node["inputs"].get(name))) is not None
        ]
        made = zip(node_class.RETURN_TYPES, outputs[node_id], strict=True)
        after = [image for link_type, value in made if (image := drawn(link_type, value)) is not None]
        if after:
            yield node["class_type"], (before[:BEFORE], after[:AFTER])


def _linked(
    graph: Graph, outputs: Mapping[str, tuple[Any, ...]], classes: Mapping[str, Any], value: Any
) -> Image | None:
    """The picture of what a link brings, or None for a constant and for what cannot be seen."""
    if not is_link(value):
        return None
    source, slot = str(value[0]), value[1]
    link_type = classes[graph[source]["class_type"]].RETURN_TYPES[slot]
    return drawn(link_type, outputs[source][slot])


def drawn(link_type: str, value: Any) -> Image | None:
    """A value of a type that can be seen as a picture of SIDE pixels a side, or None.

    Args:
        link_type: the type of the link. IMAGE, MASK, POSE_KEYPOINT and FIGURA_DENSEPOSE can be seen.
        value: the value; of a batch the first is drawn. One of a single colour shows nothing.
    """
    from torch import Tensor
    from torchvision.transforms.functional import to_pil_image

    from ..people.densepose import paint_labels
    from ..people.keypoints import read_pose_keypoint
    from ..people.skeleton import draw_poses

    if link_type == "IMAGE" and isinstance(value, Tensor):
        image = value[0, ..., :3].permute(2, 0, 1)
    elif link_type == "MASK" and isinstance(value, Tensor):
        image = value[0].expand(3, -1, -1)
    elif link_type == "POSE_KEYPOINT":
        image = draw_poses(read_pose_keypoint(value)[:1])[0]
    elif link_type == "FIGURA_DENSEPOSE":
        image = paint_labels(value.labels)[0]
    else:
        return None
    if bool((image.flatten(1) == image.flatten(1)[:, :1]).all()):
        return None
    return _square(to_pil_image(image.float().clamp(0, 1)))


def _square(image: Image) -> Image:
    """The whole picture on a white square of SIDE pixels."""
    from PIL import Image, ImageOps

    small = ImageOps.contain(image, (SIDE, SIDE), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (SIDE, SIDE), "white")
    square.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return square


def before_and_after(before: list[Image], after: list[Image]) -> Image:
    """Pictures in a row with an arrow between what came in and what came out."""
    from PIL import Image, ImageDraw

    images = [_square(image) for image in [*before, *after]]
    room = ARROW if before else 0
    row = Image.new("RGB", (len(images) * (SIDE + GAP) - GAP + room, SIDE), "white")
    for index, image in enumerate(images):
        row.paste(image, (index * (SIDE + GAP) + (room if index >= len(before) else 0), 0))
    if before:
        left, middle = len(before) * (SIDE + GAP), SIDE // 2
        draw = ImageDraw.Draw(row)
        draw.line((left, middle, left + ARROW - 14, middle), fill="black", width=3)
        tip = left + ARROW - 10
        draw.polygon(((tip, middle), (tip - 10, middle - 7), (tip - 10, middle + 7)), fill="black")
    return row
