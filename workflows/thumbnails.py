"""The templates' thumbnails, made from what the workflows really give: input and result side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..headless.graph import Graph, input_specs, is_link
from ..headless.native_nodes import is_native
from .cfld import example_and_pose
from .flow import Flow
from .forms import api_form
from .hand_scene import rings_image
from .humansd import example_and_skeleton
from .prompts import BOX_KINDS, flow_name
from .scene import IMAGE

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH = 400
GAP = 4
QUALITY = 88
# workflow -> the output nodes whose pictures are shown, from left to right
STAGES = ("Save input", "Save prompt", "Save refined")
SHOWN = {
    "phac_pose": STAGES,
    "phac_photo": ("Load Image", "Save picture"),
    **{flow_name(kind): STAGES for kind in BOX_KINDS},
    "phac_complete_pose": STAGES,
    "phac_several_people": ("Both", "Save picture"),
    "phac_native_sd15": ("Load Image", "Save prompt", "Save canvas"),
    "phac_native_sdxl": ("Load Image", "Save prompt", "Save canvas"),
    "phac_native_one_pass": ("Load Image", "Save prompt", "Save mask"),
    "refine_anything": ("Load Image", "Save coarse completion", "Save composite"),
    "hands_two_stage": ("Save hands", "Save canvas", "Save person"),
    "humansd_pose": ("Save skeleton", "Save person"),
    "humansd_multi_person": ("Save skeletons", "Save people"),
    "pocold_repose": ("Save source", "Save labels", "Save person"),
    "pocold_pose_only": ("Save labels", "Save person"),
    "pocold_appearance_transfer": ("Save source", "Save reference", "Save mask", "Save person"),
    "cfld_repose": ("Save source", "Save pose", "Save person"),
    "cfld_interpolate": ("Save first", "Save 25 %", "Save 50 %", "Save 75 %", "Save second"),
    "cfld_edit": ("Save reference", "Save mask", "Save source", "Save person"),
}
# Workflows of which only ComfyUI can run anything: what they do is drawn.
DRAWN = {
    "mask_expansion_native": rings_image,
    "humansd_native": example_and_skeleton,
    "cfld_native": example_and_pose,
}


def thumbnail(flow: Flow) -> Image:
    """Run a workflow as shipped and put its pictures side by side, 400 pixels wide; or draw what it does."""
    from PIL import Image

    if flow.name in DRAWN:
        return side_by_side(DRAWN[flow.name]())
    with tempfile.TemporaryDirectory() as folder:
        files = run_files(runnable_part(api_form(flow)), Path(folder))
        shown = [Image.open(files[title]).convert("RGB") for title in SHOWN[flow.name]]
    return side_by_side(shown)


def runnable_part(graph: Graph) -> Graph:
    """The nodes of a graph that run here: without those that need ComfyUI, and what needs one of those."""
    from ..headless.runner import all_node_classes

    classes, kept = all_node_classes(), dict(graph)
    lost = {node_id for node_id, node in graph.items() if is_native(node["class_type"])}
    while lost:
        kept = {node_id: node for node_id, node in kept.items() if node_id not in lost}
        lost = {node_id for node_id, node in kept.items() if _missing(node, kept, classes)}
    return {node_id: {**node, "inputs": _present(node["inputs"], kept)} for node_id, node in kept.items()}


def _missing(node: dict[str, Any], kept: Graph, classes: Mapping[str, Any]) -> bool:
    specs = input_specs(classes[node["class_type"]])
    there = _present(node["inputs"], kept)
    return any(specs[name].required for name in node["inputs"] if name not in there)


def _present(inputs: Mapping[str, Any], kept: Graph) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if not is_link(value) or str(value[0]) in kept}


def run_files(graph: Graph, output: Path) -> dict[str, Path]:
    """Title of a node -> the first picture it saved or loaded."""
    from ..headless.runner import Runner
    from ..host.plain import PlainHost

    host = PlainHost(IMAGE.parent, output)
    result = Runner(host).run(graph)
    saved = {
        graph[node_id]["_meta"]["title"]: output / image["subfolder"] / image["filename"]
        for node_id, ui in result.ui.items()
        for image in ui.get("images", [])[:1]
    }
    loaders = [node for node in graph.values() if node["class_type"] == "LoadImage"]
    return saved | {node["_meta"]["title"]: IMAGE.parent / node["inputs"]["image"] for node in loaders}


def side_by_side(images: list[Image], width: int = WIDTH) -> Image:
    """Pictures of one size in a row on white, `width` pixels wide; wide pictures one below the other."""
    from PIL import Image

    if images[0].width >= 2 * images[0].height:
        return below_each_other(images, width)
    each = (width - GAP * (len(images) - 1)) // len(images)
    height = round(each * images[0].height / images[0].width)
    row = Image.new("RGB", (width, height), "white")
    for index, image in enumerate(images):
        row.paste(image.resize((each, height), Image.Resampling.LANCZOS), (index * (each + GAP), 0))
    return row


def below_each_other(images: list[Image], width: int) -> Image:
    """Pictures of one size in a column on white, `width` pixels wide."""
    from PIL import Image

    height = round(width * images[0].height / images[0].width)
    column = Image.new("RGB", (width, len(images) * (height + GAP) - GAP), "white")
    for index, image in enumerate(images):
        column.paste(image.resize((width, height), Image.Resampling.LANCZOS), (0, index * (height + GAP)))
    return column
