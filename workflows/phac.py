"""PHAC: a partly hidden person completed to the pose that a few points ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .flow import Color, Flow, Node, Output
from .parts import MINI_SIZE, add_changes, add_saved, add_shown, add_shown_mask
from .scene import HEIGHT as SCENE_HEIGHT
from .scene import IMAGE_NAME
from .scene import WIDTH as SCENE_WIDTH
from .subgraphs import complete_person

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
Somebody stands behind something. Press **Run**: it works as it is, on the models that come with Figura, in
about half a minute on a CPU.

**Then change how the person goes on**

1. Click into the picture of **Point Prompt**. The four joints of the legs were set by hand: drag one, and
   press **Run** again.
2. Press the figure button (or P) and click to place a missing joint; Delete takes one away. Joints that
   Detect Pose finds come by themselves, pale.
3. **PHAC Sampler**: another `seed` is another person in the same pose. `text` says what is worn: here the
   example's `caption`; take that link away to write your own, in **Inpaint Refiner** as well.

**Further**

- **Example Person**, `seed`: another person. The joints then have to move.

Only pixels inside the invisible mask change. All others are bit for bit those of the input.
"""

PHOTO_NOTE = """\
A hidden person in a picture of your own. Press **Run** to see it with the picture that comes with Figura,
then

1. **Load Image**: choose your picture, or drop one on the node.
2. Click into the picture of **Point Prompt** and press the bin beside *Person 1*: it takes away the points
   that came with Figura. Then press the arrow button: joints that can be seen are imported. Drag what is
   wrong.
3. Press the figure button (or P) and click where the hidden joints should be. Three or four are enough.
4. **Complete this person**, `text`: what the person wears. `seed`: another try.

If the result is wrong, look at the masks first: points on the person (G) and beside it (N) correct them.

**Complete this person** is a subgraph: its button at the upper right opens it. It crops the person at the
size of its models, completes, refines and stitches back. Mini learned from rendered
people, 128 by 128, and paints like that. For photographs choose other models in it, or open
*Complete a photo with SD 1.5*.

Outside the invisible mask the picture stays as it was, bit for bit.
"""


def phac_pose(classes: Mapping[str, Any]) -> Flow:
    """From an example person, so that it runs the moment it is opened."""
    flow = Flow("phac_pose", classes, "Complete a person by points")
    flow.note("Complete a person (PHAC)", POSE_NOTE)
    example = add_example(flow)
    prompt = add_prompt(flow, example, points=points_text(MINI_SIZE, MINI_SIZE, given=EXAMPLE_JOINTS))
    refined, hidden = add_stages(flow, example["occluded"], prompt["prompt"], example["caption"])
    add_result(flow, "refined", example, refined, hidden)
    return flow


def add_prompt(flow: Flow, example: Node, **given: Any) -> Node:
    """What is given of the example person in Point Prompt, with the joints that are found."""
    with flow.group("2  How the person goes on", Color.PROMPT):
        found = flow.add("FiguraDetectPose", image=example["occluded"])
        prompt = flow.add(
            "FiguraPointPrompt", image=example["occluded"], **given, pose_keypoint=found["pose_keypoint"]
        )
        add_shown(flow, "Input", example["occluded"])
        add_shown(flow, "Prompt", prompt["prompt_image"])
    return prompt


def phac_photo(classes: Mapping[str, Any]) -> Flow:
    """From a picture file, cropped to the model's size and stitched back."""
    flow = Flow("phac_photo", classes, "Complete a person in a photo")
    flow.note("Complete a person in your picture (PHAC)", PHOTO_NOTE)
    with flow.group("1  Your picture, and how the person goes on", Color.INPUT):
        photo = flow.add("LoadImage", image=IMAGE_NAME)
        text = points_text(SCENE_WIDTH, SCENE_HEIGHT, seen=SCENE_SEEN, given=SCENE_GIVEN)
        prompt = flow.add("FiguraPointPrompt", image=photo["IMAGE"], points=text)
    with flow.group("2  Completed", Color.STAGE):
        whole = flow.add_part(
            complete_person(classes), image=photo["IMAGE"], prompt=prompt["prompt"], text=SCENE_TEXT
        )
        add_shown(flow, "Prompt", prompt["prompt_image"])
        add_shown(flow, "Coarse person", whole["coarse"])
        add_shown_mask(flow, "Visible mask", whole["visible_mask"])
        add_shown_mask(flow, "Invisible mask", whole["invisible_mask"])
    with flow.group("3  In your picture", Color.RESULT):
        add_saved(flow, "Save picture", "photo_refined", whole["image"])
        add_changes(flow, photo["IMAGE"], whole["image"], whole["changed_mask"])
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
    return example


def add_result(flow: Flow, name: str, example: Node, refined: Node, hidden: Node) -> None:
    """The result, saved and against the truth, as the last group.

    Args:
        flow: what it is added to.
        name: of the saved picture.
        example: Example Person.
        refined: Inpaint Refiner.
        hidden: Invisible Mask.
    """
    with flow.group("6  The result, and the truth", Color.RESULT):
        add_saved(flow, "Save refined", name, refined["image"])
        compared = flow.add(
            "FiguraCompare",
            image_a=refined["image"],
            image_b=example["complete"],
            mask=hidden["invisible_mask"],
        )
        add_shown(flow, "Difference", compared["difference"])
        add_shown(flow, "Truth", example["complete"])


def add_stages(flow: Flow, image: Output, prompt: Output, text: Output) -> tuple[Node, Node]:
    """The four stages, each with its preview; gives the refiner's node and the invisible mask's.

    Args:
        flow: what they are added to.
        image: the picture, of the models' size.
        prompt: how the person goes on.
        text: what the person looks like.
    """
    with flow.group("3  What can be seen", Color.MASK):
        sam = flow.add("FiguraLoadSAM")
        seen = flow.add("FiguraVisibleMask", sam=sam["sam"], image=image, prompt=prompt)
        add_shown_mask(flow, "Visible mask", seen["visible_mask"])
    with flow.group("4  The whole person", Color.STAGE):
        phac = flow.add("FiguraLoadPHAC")
        coarse = flow.add(
            "FiguraPHACSampler",
            phac=phac["phac"],
            image=image,
            visible_mask=seen["visible_mask"],
            prompt=prompt,
            text=text,
        )
        add_shown(flow, "Coarse person", coarse["coarse"])
    with flow.group("5  What is hidden, refined in place", Color.MASK):
        hidden = flow.add(
            "FiguraInvisibleMask",
            phac=phac["phac"],
            image=image,
            coarse=coarse["coarse"],
            visible_mask=seen["visible_mask"],
            prompt=prompt,
        )
        add_shown_mask(flow, "Invisible mask", hidden["invisible_mask"])
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
        add_shown(flow, "Composite", refined["composite"])
    return refined, hidden
