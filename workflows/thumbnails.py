"""The templates' thumbnails, from what the workflows really give: the result, in its corners the input."""

from __future__ import annotations

import shutil
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

    from ..host.plain import PlainHost

SIDE, INSET, RIM = 256, 84, 3
"""Of a thumbnail, of the small pictures in its lower corners, and of the frame round these, in pixels."""
GAP = 4
BANNER, BANNER_CENTRE = (840, 360), (0.9, 0.5)
"""Its size, and where the cut lies that brings pictures to its shape: round phac_pose's person."""
QUALITY = 84
GROUND, FRAME = (24, 24, 28), (205, 205, 210)
# workflow -> the nodes whose pictures are shown: what one gets, then what it is made from, in the
# corners. Of those whose result takes a stock model: what that is given.
STAGES = ("Save refined", "Input", "Prompt")
SHOWN = {
    "phac_pose": STAGES,
    "phac_photo": ("Save picture", "Load Image", "Prompt"),
    **{flow_name(kind): STAGES for kind in BOX_KINDS},
    "phac_complete_pose": STAGES,
    "phac_several_people": ("Save picture", "Both"),
    "phac_native_sd15": ("Canvas", "Load Image", "Prompt"),
    "phac_native_sdxl": ("Prompt", "Load Image", "Canvas"),
    "phac_native_one_pass": ("Mask", "Load Image"),
    "refine_anything": ("Composite", "Load Image", "Coarse person"),
    "hands_two_stage": ("Save person", "Canvas", "Hands"),
    "humansd_pose": ("Save person", "Skeleton"),
    "humansd_multi_person": ("Skeletons", "Save people"),
    "pocold_repose": ("Save person", "Source", "Labels"),
    "pocold_pose_only": ("Save person", "Labels"),
    "pocold_appearance_transfer": ("Save person", "Reference, before", "Source, worn"),
    "cfld_repose": ("Save person", "Source", "Pose"),
    "cfld_interpolate": ("Save 50 %", "First", "Second"),
    "cfld_edit": ("Save person", "Reference, before", "Source, worn"),
}
# Workflows of which only ComfyUI can run anything: what they do is drawn.
DRAWN = {
    "mask_expansion_native": rings_image,
    "humansd_native": example_and_skeleton,
    "cfld_native": example_and_pose,
}
# Of these, whose person would pass for the result: the pose that is asked for is the large picture.
POSE_LARGE = ("humansd_native", "cfld_native")


def shown_pictures(flow: Flow) -> list[Image]:
    """Run a workflow as shipped; gives what it shows, the picture for the whole thumbnail first."""
    from PIL import Image

    if flow.name in DRAWN:
        return DRAWN[flow.name]()[:: -1 if flow.name in POSE_LARGE else 1]
    with tempfile.TemporaryDirectory() as folder:
        files = run_files(runnable_part(api_form(flow)), Path(folder))
        return [Image.open(files[title]).convert("RGB") for title in SHOWN[flow.name]]


def banner(images: list[Image]) -> Image:
    """What goes in, the prompt, and what comes out, in 21 : 9; given with what comes out first."""
    from PIL import Image, ImageOps

    result, *given = images
    sides = (BANNER[0] - 2 * GAP) // 3, BANNER[1]
    row = Image.new("RGB", BANNER, GROUND)
    for index, image in enumerate([*given, result]):
        cut = ImageOps.fit(image, sides, Image.Resampling.LANCZOS, centering=BANNER_CENTRE)
        row.paste(cut, (index * (sides[0] + GAP), 0))
    return row


def square(images: list[Image]) -> Image:
    """The first picture, the others in the lower corners (one stands right); wide ones below each other."""
    from PIL import Image, ImageOps

    main = images[0]
    if main.width >= 2 * main.height:
        return ImageOps.pad(below_each_other(images, SIDE), (SIDE, SIDE), color=GROUND)
    whole = ImageOps.fit(main, (SIDE, SIDE), Image.Resampling.LANCZOS)
    corners = (0, SIDE - INSET)[-len(images[1:]) :]
    for image, left in zip(images[1:], corners, strict=True):
        small = ImageOps.fit(image, (INSET - 2 * RIM, INSET - 2 * RIM), Image.Resampling.LANCZOS)
        whole.paste(ImageOps.expand(small, RIM, FRAME), (left, SIDE - INSET))
    return whole


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
    """Title of a node -> the first picture that it saved, showed or loaded."""
    from ..headless.runner import Runner
    from ..host.plain import PlainHost

    host = PlainHost(IMAGE.parent, output)
    files = first_pictures(graph, Runner(host).run(graph).ui, host, output)
    loaders = [node for node in graph.values() if node["class_type"] == "LoadImage"]
    return files | {node["_meta"]["title"]: IMAGE.parent / node["inputs"]["image"] for node in loaders}


def first_pictures(
    graph: Graph, ui: Mapping[str, Mapping[str, Any]], host: PlainHost, folder: Path
) -> dict[str, Path]:
    """Title of a node -> a copy of the first picture that it saved or showed.

    Args:
        graph: what ran.
        ui: node id -> what it shows.
        host: on which it ran.
        folder: where the copies are put.
    """
    folders = {"output": host.output_dir(), "temp": host.temp_dir()}
    files = {}
    for node_id, shown in ui.items():
        for image in shown.get("images", [])[:1]:
            title = graph[node_id]["_meta"]["title"]
            place = folders[image["type"]] / image["subfolder"] / image["filename"]
            files[title] = Path(shutil.copy(place, folder / f"{title}.png"))
    return files


def side_by_side(images: list[Image], width: int) -> Image:
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
