"""PHAC: a partly hidden person completed to the pose that a few points ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .flow import Color, Flow, Node, Output
from .parts import MINI_SIZE, add_invisible, add_saved, add_saved_mask, add_stitched
from .scene import HEIGHT as SCENE_HEIGHT
from .scene import IMAGE_NAME
from .scene import WIDTH as SCENE_WIDTH

EXAMPLE_SEED = 10_000_043
EXAMPLE_HIDDEN = 0.4
EXAMPLE_JOINTS = {
    "right_knee": (79, 91), "right_ankle": (80, 113), "left_knee": (93, 89), "left_ankle": (91, 111),
}  # fmt: skip

SCENE_SEEN = {
    "nose": (245, 127), "neck": (249, 168), "right_shoulder": (220, 169), "right_elbow": (192, 140),
    "right_wrist": (175, 100), "left_shoulder": (278, 167), "left_elbow": (325, 143),
    "left_wrist": (344, 100), "right_hip": (233, 268), "left_hip": (271, 267), "right_eye": (240, 123),
    "left_eye": (252, 123), "right_ear": (233, 132), "left_ear": (261, 131),
}  # fmt: skip
SCENE_GIVEN = {
    "right_knee": (222, 344), "right_ankle": (212, 424), "left_knee": (285, 344), "left_ankle": (298, 426),
}  # fmt: skip
SCENE_TEXT = "a woman with long brown hair in a purple shirt and a navy skirt, cheering"

POSE_NOTE = """\
Somebody stands behind something, and four points say where the hidden joints are. Press **Run**: it works
as it is, on the models that come with Figura, in about half a minute on a CPU.

**What to change**

- **Example Person**: `seed` is another person (from 10000000 on the models have never seen them),
  `occlusion` how much is hidden. The points below then have to move.
- **Point Prompt**, `points`: the hidden joints, in pixels of the picture. Other places give another pose.
  Joints that Detect Pose finds need no point.
- **PHAC Sampler**, `seed`: another completion of the same pose. `text`: what the person wears.
- **Inpaint Refiner**, `strength`: how much of the completed part is painted again.

Only pixels inside the invisible mask change. All others are bit for bit those of the input.
"""

PHOTO_NOTE = """\
The same as `phac_pose` from a picture of your own, at its own size.

**What to change**

1. **Load Image**: your picture. (The one named here comes with Figura.)
2. **Point Prompt**, `points`: joints of the person in pixels of your picture, `width` and `height` are
   its size. `"state": "detected"` is a joint one can see, `"given"` one that is hidden: three or four of
   those are enough.
   To have the visible ones found, connect **Detect Pose** with `vitpose` or `dwpose` to `pose_keypoint`.
3. **PHAC Sampler**, `text`: the person in words.

**Crop Person** cuts out the part round the points at the size of the model in **Load PHAC** (128 for mini,
512 for Stable Diffusion 1.5), **Stitch** puts the result back: outside the invisible mask the picture stays
as it was, bit for bit.

The mini models know only Figura's drawn people. On a photograph every stage runs, but what they paint is
not a photograph: choose other models in **Load PHAC** and **Load Refiner**, or open `phac_native_sd15`.
"""


def phac_pose(classes: Mapping[str, Any]) -> Flow:
    """From an example person, so that it runs the moment it is opened."""
    flow = Flow("phac_pose", classes)
    flow.note("Complete a person (PHAC)", POSE_NOTE)
    example = add_example(flow)
    prompt = add_prompt(flow, example, points=points_text(MINI_SIZE, MINI_SIZE, given=EXAMPLE_JOINTS))
    refined, hidden = add_stages(flow, "figura/", example["occluded"], prompt["prompt"], example["caption"])
    add_comparison(flow, example, refined, hidden)
    return flow


def add_prompt(flow: Flow, example: Node, **given: Any) -> Node:
    """What is given of the example person in Point Prompt, with the joints that are found."""
    with flow.group("2  How the person goes on", Color.PROMPT):
        found = flow.add("FiguraDetectPose", image=example["occluded"])
        prompt = flow.add(
            "FiguraPointPrompt", image=example["occluded"], **given, pose_keypoint=found["pose_keypoint"]
        )
        add_saved(flow, "Save prompt", "prompt", prompt["prompt_image"], new_column=True)
    return prompt


def phac_photo(classes: Mapping[str, Any]) -> Flow:
    """From a picture file, cropped to the model's size and stitched back."""
    flow = Flow("phac_photo", classes)
    flow.note("Complete a person in your picture (PHAC)", PHOTO_NOTE)
    with flow.group("1  Your picture, and how the person goes on", Color.INPUT):
        photo = flow.add("LoadImage", image=IMAGE_NAME)
        text = points_text(SCENE_WIDTH, SCENE_HEIGHT, seen=SCENE_SEEN, given=SCENE_GIVEN)
        prompt = flow.add("FiguraPointPrompt", image=photo["IMAGE"], points=text)
        add_saved(flow, "Save prompt", "photo_prompt", prompt["prompt_image"], new_column=True)
    with flow.group("2  The part round the person", Color.PROMPT):
        phac = flow.add("FiguraLoadPHAC")
        part = flow.add(
            "FiguraCropPerson",
            image=photo["IMAGE"],
            width=0,
            height=0,
            prompt=prompt["prompt"],
            phac=phac["phac"],
        )
        flow.add("PreviewImage", "Crop", images=part["image"])
    refined, _ = add_stages(flow, "figura/photo_", part["image"], part["prompt"], SCENE_TEXT, phac)
    with flow.group("7  Back into the picture", Color.RESULT):
        add_stitched(
            flow, "photo_refined", photo["IMAGE"], patch=refined["image"], crop=part["crop"],
            mask=refined["changed_mask"],
        )  # fmt: skip
    return flow


def points_text(
    width: int,
    height: int,
    seen: Mapping[str, tuple[int, int]] | None = None,
    given: Mapping[str, tuple[int, int]] | None = None,
    **boxes: tuple[int, int, int, int],
) -> str:
    """Points JSON of one person, one joint a line.

    Args:
        width: of the picture in pixels.
        height: the same.
        seen: joints by name, (x, y) in pixels, as "detected".
        given: the same as "given": placed by the user.
        boxes: roi_box and full_box, (x0, y0, x1, y1) in pixels.
    """
    joints = [(name, place, "detected") for name, place in (seen or {}).items()]
    joints += [(name, place, "given") for name, place in (given or {}).items()]
    lines = [
        f"  {json.dumps(name)}: {json.dumps({'x': x, 'y': y, 'state': state})}"
        for name, (x, y), state in joints
    ]
    head = f'{{"version": 1, "width": {width}, "height": {height}, "people": [{{"joints": {{\n'
    tail = "".join(f',\n "{name}": {json.dumps(box)}' for name, box in boxes.items())
    return head + ",\n".join(lines) + "\n}}]" + tail + "}"


def add_example(flow: Flow) -> Node:
    """The example person, as the first group."""
    with flow.group("1  A person behind something", Color.INPUT):
        example = flow.add("FiguraExamplePerson", seed=EXAMPLE_SEED, size=MINI_SIZE, occlusion=EXAMPLE_HIDDEN)
        add_saved(flow, "Save input", "occluded", example["occluded"])
    return example


def add_comparison(flow: Flow, example: Node, refined: Node, hidden: Node) -> None:
    """The result against the truth, as the last group.

    Args:
        flow: what it is added to.
        example: Example Person.
        refined: Inpaint Refiner.
        hidden: Invisible Mask.
    """
    with flow.group("7  Against the truth", Color.RESULT):
        compared = flow.add(
            "FiguraCompare",
            image_a=refined["image"],
            image_b=example["complete"],
            mask=hidden["invisible_mask"],
        )
        flow.add("PreviewImage", "Difference", images=compared["difference"])
        flow.add("PreviewImage", "Truth", images=example["complete"])


def add_stages(
    flow: Flow, prefix: str, image: Output, prompt: Output, text: Output | str, phac: Node | None = None
) -> tuple[Node, Node]:
    """The four stages with every intermediate saved; gives the refiner's node and the invisible mask's.

    Args:
        flow: what they are added to.
        prefix: of the names of saved pictures, such as "figura/photo_".
        image: the picture, of the models' size.
        prompt: how the person goes on.
        text: what the person looks like.
        phac: the loader, where the flow has it already.
    """
    with flow.group("3  What can be seen", Color.MASK):
        sam = flow.add("FiguraLoadSAM")
        seen = flow.add("FiguraVisibleMask", sam=sam["sam"], image=image, prompt=prompt)
        add_saved_mask(flow, "Save visible mask", f"{prefix}visible_mask", seen["visible_mask"])
    with flow.group("4  The whole person, coarsely", Color.STAGE):
        phac = phac or flow.add("FiguraLoadPHAC")
        coarse = flow.add(
            "FiguraPHACSampler",
            phac=phac["phac"],
            image=image,
            visible_mask=seen["visible_mask"],
            prompt=prompt,
            text=text,
        )
        add_saved(flow, "Save coarse completion", f"{prefix}coarse", coarse["coarse"], new_column=True)
    with flow.group("5  What is hidden", Color.MASK):
        hidden = add_invisible(
            flow,
            f"{prefix}invisible_mask",
            phac,
            image=image,
            coarse=coarse["coarse"],
            visible_mask=seen["visible_mask"],
            prompt=prompt,
        )
    with flow.group("6  Refined in place", Color.STAGE):
        loaded = flow.add("FiguraLoadRefiner")
        refined = flow.add(
            "FiguraInpaintRefiner",
            refiner=loaded["refiner"],
            image=image,
            coarse=coarse["coarse"],
            visible_mask=seen["visible_mask"],
            invisible_mask=hidden["invisible_mask"],
            exact_mask=hidden["exact_mask"],
            text=text,
        )
        add_saved(flow, "Save composite", f"{prefix}composite", refined["composite"], new_column=True)
        add_saved(flow, "Save refined", f"{prefix}refined", refined["image"])
        add_saved(flow, "Save cutout", f"{prefix}cutout", refined["cutout"], new_column=True)
        add_saved_mask(flow, "Save amodal mask", f"{prefix}amodal_mask", refined["amodal_mask"])
    return refined, hidden
