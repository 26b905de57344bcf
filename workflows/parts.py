"""What the descriptions of several methods put into their workflows."""

from __future__ import annotations

from typing import Any

from ..people.synthetic import WHITE
from .flow import Flow, Node, Output

MINI_SIZE = 128


def add_studio_person(flow: Flow, seed: int, title: str = "", size: int = MINI_SIZE) -> Node:
    """A whole example person before white, as in a studio: the small models know such pictures.

    Args:
        flow: what the node is added to.
        seed: of the person.
        title: of the node; empty: its own.
        size: side of the picture in pixels.
    """
    return flow.add("FiguraExamplePerson", title, seed=seed, size=size, occlusion=0.0, background=WHITE)


def add_saved(flow: Flow, title: str, name: str, image: Output, new_column: bool = False) -> None:
    """A Save Image node.

    Args:
        flow: what it is added to.
        title: of the node.
        name: of the files, in the folder figura.
        image: what is saved.
        new_column: whether it begins a column of its group.
    """
    prefix = name if name.startswith("figura/") else f"figura/{name}"
    flow.add("SaveImage", title, images=image, filename_prefix=prefix, new_column=new_column)


def add_saved_mask(flow: Flow, title: str, name: str, mask: Output) -> None:
    """A mask saved as a picture; flow, title and name as of `add_saved`."""
    image = flow.add("MaskToImage", mask=mask, new_column=True)
    add_saved(flow, title, name, image["IMAGE"])


def add_invisible(flow: Flow, name: str, phac: Node, **pictures: Any) -> Node:
    """Invisible Mask, its mask saved.

    Args:
        flow: what it is added to.
        name: of the saved files.
        phac: Load PHAC.
        pictures: its other inputs: image, coarse, visible_mask, prompt, crop.
    """
    hidden = flow.add("FiguraInvisibleMask", phac=phac["phac"], **pictures)
    add_saved_mask(flow, "Save invisible mask", name, hidden["invisible_mask"])
    return hidden


def add_changes(flow: Flow, before: Output, after: Output, mask: Output) -> None:
    """A preview in the flow of what differs between two pictures, before and after, inside a mask."""
    compared = flow.add("FiguraCompare", image_a=before, image_b=after, mask=mask, new_column=True)
    flow.add("PreviewImage", "What changed", images=compared["difference"])


def add_stitched(flow: Flow, name: str, image: Output, **patch: Any) -> None:
    """What was drawn put back into a picture, and saved beside what changed.

    Args:
        flow: what the nodes are added to.
        name: of the saved files.
        image: the whole picture.
        patch: further inputs of Stitch: patch, crop, mask, within.
    """
    whole = flow.add("FiguraStitch", image=image, **patch)
    add_saved(flow, "Save picture", name, whole["image"])
    add_changes(flow, image, whole["image"], whole["changed_mask"])


def add_ksampler(flow: Flow, model: Output, said: dict[str, Any], latent: Output, **settings: Any) -> Node:
    """A stock sampler, DPM++ 2M on Karras' noise levels.

    Args:
        flow: what it is added to.
        model: what draws.
        said: its conditionings, positive and negative.
        latent: where it begins.
        settings: steps, cfg and further inputs of KSampler.
    """
    return flow.add(
        "KSampler", model=model, **said, latent_image=latent, sampler_name="dpmpp_2m", scheduler="karras",
        **settings,
    )  # fmt: skip
