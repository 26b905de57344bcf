"""What the descriptions of several methods put into their workflows."""

from __future__ import annotations

from typing import Any

from ..people.synthetic import WHITE
from .flow import Flow, Inlet, Node, Output

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


def add_saved(flow: Flow, title: str, name: str, image: Output) -> None:
    """A result: a Save Image node.

    Args:
        flow: what it is added to.
        title: of the node.
        name: of the files, in the folder figura.
        image: what is saved.
    """
    flow.add("SaveImage", title, images=image, filename_prefix=f"figura/{name}")


def add_shown(flow: Flow, title: str, image: Output) -> None:
    """A stage: a picture that is looked at and not kept."""
    flow.add("PreviewImage", title, images=image)


def add_shown_mask(flow: Flow, title: str, mask: Output) -> None:
    """The same of a mask."""
    flow.add("MaskPreview", title, mask=mask)


def add_changes(flow: Flow, before: Output, after: Output, mask: Output) -> None:
    """A preview in the flow of what differs between two pictures, before and after, inside a mask."""
    compared = flow.add("FiguraCompare", image_a=before, image_b=after, mask=mask)
    add_shown(flow, "What changed", compared["difference"])


def add_ksampler(
    flow: Flow, model: Output | Inlet, said: dict[str, Any], latent: Output, **settings: Any
) -> Node:
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
