"""An example to start with: a synthetic person, with everything that is known about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..host import get_host
from ..people.densepose import DensePose
from ..people.keypoints import write_pose_keypoint
from ..people.synthetic import BACKGROUNDS, HELD_OUT_FIRST_SEED, SCENE, VIEWS, WHOLE
from .tensors import b1hw_to_mask, bchw_to_image, poses_from_tensor

if TYPE_CHECKING:
    from ..people.synthetic import SyntheticPeople


class FiguraExamplePerson:
    """A synthetic person, partly hidden, with everything that is known about it."""

    DESCRIPTION = (
        "Draws a synthetic person who is partly hidden behind something, and gives everything there is "
        "to know: the "
        "complete picture, all joints, masks, DensePose labels, a caption, and the same person in "
        "another pose. "
        "Something to try every other Figura node on."
    )
    CATEGORY = "Figura/people"
    SEARCH_ALIASES = ["example", "synthetic person", "test image", "sample person", "demo"]
    FUNCTION = "run"
    RETURN_TYPES = (
        "IMAGE", "IMAGE", "POSE_KEYPOINT", "MASK", "MASK", "FIGURA_DENSEPOSE", "STRING",
        "IMAGE", "POSE_KEYPOINT", "FIGURA_DENSEPOSE",
    )  # fmt: skip
    RETURN_NAMES = (
        "occluded", "complete", "pose_keypoint", "visible_mask", "amodal_mask", "densepose", "caption",
        "other_pose", "other_pose_keypoint", "other_densepose",
    )  # fmt: skip
    OUTPUT_TOOLTIPS = (
        "The person partly hidden behind something.",
        "The same picture with the whole person in front of what hid it.",
        "All joints of the person and its hands, hidden ones too, in pixels.",
        "The part of the person that can be seen.",
        "The whole person, seen or hidden.",
        "Which part of the body each pixel of the whole person shows.",
        "The person in words.",
        "The same person in another pose, with nothing in front.",
        "The joints of the other pose.",
        "The DensePose labels of the other pose.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "seed": (
                    "INT",
                    {
                        "default": HELD_OUT_FIRST_SEED + 7,
                        "min": 0,
                        "max": 0xFFFFFFFF,
                        "tooltip": "Which person. The mini models have never seen seeds from 10000000 on.",
                    },
                ),
                "size": (
                    "INT",
                    {
                        "default": 128,
                        "min": 64,
                        "max": 1024,
                        "step": 8,
                        "tooltip": "Width and height in pixels; 128 is what the mini models work at.",
                    },
                ),
                "occlusion": (
                    "FLOAT",
                    {
                        "default": 0.35,
                        "min": 0.0,
                        "max": 0.6,
                        "step": 0.05,
                        "tooltip": "How much of the person is hidden, as a share of its area.",
                    },
                ),
            },
            "optional": {
                "view": (
                    list(VIEWS),
                    {
                        "default": WHOLE,
                        "tooltip": "whole person, or hands raised: from the head to the hips, showing one "
                        "hand or both, large enough for Hand Sampler.",
                    },
                ),
                "background": (
                    list(BACKGROUNDS),
                    {
                        "default": SCENE,
                        "tooltip": "scene, or white as in a studio, which is what the mini models of PoCoLD "
                        "and CFLD know.",
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def run(
        self,
        seed: int,
        size: int,
        occlusion: float,
        view: str = WHOLE,
        background: str = SCENE,
        unique_id: str | None = None,
    ) -> tuple[Any, ...]:
        from ..people.synthetic import PARTS, render_people

        step = _stepper(2 * PARTS, unique_id)
        person = render_people(
            [seed], size, occlusion=occlusion, view=view, background=background, on_part=step
        )
        other = render_people(
            [seed], size, pose_seeds=[_other_pose(seed)], occlusion=0.0, view=view, background=background,
            on_part=lambda done: step(PARTS + done),
        )  # fmt: skip
        return (
            bchw_to_image(person.occluded),
            bchw_to_image(person.complete),
            _pose_value(person),
            b1hw_to_mask(person.visible_mask),
            b1hw_to_mask(person.amodal_mask),
            DensePose(person.densepose_i, person.densepose_uv),
            person.captions[0],
            bchw_to_image(other.unoccluded),
            _pose_value(other),
            DensePose(other.densepose_i, other.densepose_uv),
        )


def _stepper(total: int, unique_id: str | None) -> Callable[[int], None]:
    """Moves the node's bar and stops when the user cancels; outside a graph, as for the editor, it does
    neither: whoever cancels means the graph that runs meanwhile.
    """
    if unique_id is None:
        return lambda done: None
    return get_host().progress(total, unique_id).step


def _other_pose(seed: int) -> int:
    """The seed of the other pose: the next one, which is held out whenever `seed` is."""
    return seed + 1


def _pose_value(people: SyntheticPeople) -> list[dict[str, Any]]:
    height, width = people.occluded.shape[2:]
    return write_pose_keypoint(poses_from_tensor(people.joints, height, width, people.hands))


NODE_CLASS_MAPPINGS = {"FiguraExamplePerson": FiguraExamplePerson}
NODE_DISPLAY_NAME_MAPPINGS = {"FiguraExamplePerson": "Example Person (Figura)"}
