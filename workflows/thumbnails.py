"""The templates' thumbnails, made from what the workflows really give: input and result side by side."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..headless.graph import Graph
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
# Workflows that only ComfyUI can run: what they do is drawn.
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
        files = run_files(api_form(flow), Path(folder))
        shown = [Image.open(files[title]).convert("RGB") for title in SHOWN[flow.name]]
    return side_by_side(shown)


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
    return saved | {"Load Image": IMAGE}


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
