"""The files that are written from the described workflows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..models.files import write_then_rename
from .cfld import cfld_edit, cfld_interpolate, cfld_native, cfld_repose
from .expansion import mask_expansion_native
from .flow import Flow
from .forms import api_form, blueprint_form, known_module, ui_form
from .hands import hands_two_stage
from .humansd import humansd_multi_person, humansd_native, humansd_pose
from .phac import phac_photo, phac_pose
from .phac_native import phac_native_one_pass, phac_native_sd15, phac_native_sdxl, refine_anything
from .pocold import pocold_appearance_transfer, pocold_pose_only, pocold_repose
from .prompts import BOX_KINDS, phac_box, phac_complete_pose
from .several_people import phac_several_people
from .subgraphs import SUBGRAPHS

Describe = Callable[[Mapping[str, Any]], Flow]

FOLDER = Path(__file__).resolve().parent
BLUEPRINTS, BANNER = FOLDER.parent / "subgraphs", FOLDER.parent / "docs" / "banner.jpg"
KNOWN_MODULE = FOLDER.parent / "web" / "models" / "known.mjs"
FLOWS: tuple[Describe, ...] = (
    phac_pose,
    phac_photo,
    *(partial(phac_box, kind=kind) for kind in BOX_KINDS),
    phac_complete_pose,
    phac_several_people,
    phac_native_sd15,
    phac_native_sdxl,
    phac_native_one_pass,
    refine_anything,
    hands_two_stage,
    mask_expansion_native,
    humansd_pose,
    humansd_multi_person,
    humansd_native,
    pocold_repose,
    pocold_pose_only,
    pocold_appearance_transfer,
    cfld_repose,
    cfld_interpolate,
    cfld_edit,
    cfld_native,
)


def all_flows() -> list[Flow]:
    """Every workflow, built on the registered nodes."""
    from ..headless.runner import all_node_classes

    classes = all_node_classes()
    return [describe(classes) for describe in FLOWS]


def files_of(flow: Flow) -> dict[Path, str]:
    """The two files of a workflow and what stands in them. The page lists a template by its file's name."""
    return {
        FOLDER / f"{flow.title}.json": _text(ui_form(flow)),
        FOLDER / "api" / f"{flow.name}.json": _text(api_form(flow)),
    }


def blueprints() -> dict[Path, str]:
    """The files of subgraphs, which the page offers as nodes (ComfyUI 0.18 and later)."""
    from ..headless.runner import all_node_classes

    parts = [describe(all_node_classes()) for describe in SUBGRAPHS]
    return {BLUEPRINTS / f"{part.title}.json": _text(blueprint_form(part)) for part in parts}


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write_all() -> list[Path]:
    """Write the files of every workflow, subgraph, and of what the page may fetch; gives their paths."""
    files = {path: text for flow in all_flows() for path, text in files_of(flow).items()}
    files |= {**blueprints(), KNOWN_MODULE: known_module()}
    for path, text in files.items():
        write_then_rename(path, partial(Path.write_bytes, data=text.encode()))
    return list(files)


def write_images() -> list[Path]:
    """Draw the example pictures, and how masks expand; gives the files' paths."""
    from . import hand_scene, photo, scene
    from .thumbnails import QUALITY, side_by_side

    paths = []
    for place, image in (
        (scene.IMAGE, scene.scene_image()),
        (hand_scene.IMAGE, hand_scene.hand_image()),
        (photo.IMAGE, photo.photo_image()),
    ):
        paths.append(write_then_rename(place, partial(image.save, format="PNG", optimize=True)))
    rings = side_by_side(hand_scene.rings_image(), hand_scene.HELP_WIDTH)
    paths.append(
        write_then_rename(hand_scene.HELP_IMAGE, partial(rings.save, format="JPEG", quality=QUALITY))
    )
    return paths


def write_thumbnails() -> list[Path]:
    """Run every workflow for its thumbnail, phac_pose's for the banner as well; gives the files' paths."""
    from .thumbnails import QUALITY, banner, shown_pictures, square

    paths = []
    for flow in all_flows():
        images = shown_pictures(flow)
        pictures = {FOLDER / f"{flow.title}.jpg": square(images)}
        pictures |= {BANNER: banner(images)} if flow.name == "phac_pose" else {}
        for path, picture in pictures.items():
            save = partial(picture.save, format="JPEG", quality=QUALITY, optimize=True)
            paths.append(write_then_rename(path, save))
    return paths
