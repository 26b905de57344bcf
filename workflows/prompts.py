"""PHAC by its other kinds of prompt: boxes, boxes with joints, and joints that a network proposes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..people.prompt_kinds import FULL_BOX, PROMPT_KINDS, ROI_BOX, PromptKind
from .flow import Color, Flow, Node
from .parts import MINI_SIZE, add_shown
from .phac import EXAMPLE_JOINTS, add_example, add_prompt, add_result, add_stages, points_text

BOX_TOOLS = {ROI_BOX: "**R** (region of interest)", FULL_BOX: "**B** (whole person)"}
BOX_TITLES = {
    "roi_box": "Complete by box, hidden part",
    "full_box": "Complete by box, whole person",
    "pose_roi_box": "Complete by points, hidden box",
    "pose_full_box": "Complete by points, whole box",
}
# Of the example person's hidden part, and of all of them, drawn by hand.
EXAMPLE_BOXES = {ROI_BOX: (71, 69, 101, 124), FULL_BOX: (65, 12, 118, 124)}
BOX_NOTE = """\
Somebody stands behind something. {said}
Press **Run**: it works as it is, on the models that come with Figura, in about half a minute on a CPU.

**Then change how the person goes on**

1. Click into the picture of **Point Prompt**, press {tools} and draw another box, or drag a handle of the one
   that is there: another box gives another completion. Press **Run** again.
2. **PHAC Sampler**: another `seed` is another completion. `text` says what the person wears: here the
   example's `caption`; take that link away to write your own, in **Inpaint Refiner** as well.

**Further**

- **Point Prompt**, `prompt_type`: the kind of prompt; each kind has a ControlNet of its own.
- **Example Person**, `seed`: another person. The box then has to move.

A box says less than joints do: use it when only the extent matters, or together with them.
"""

COMPLETE_NOTE = """\
Somebody stands behind something, and nobody places a single point: **Complete Pose** proposes the hidden
joints from those that can be seen. Press **Run**: it works as it is, on the models that come with Figura.

**Then correct the proposal**

1. After the run the proposed joints are in the picture of **Point Prompt**, pale and dashed. Click into the
   picture and drag one: what you place replaces the proposal. Press **Run** again.
2. **Complete Pose**, `seed`: another plausible pose. `variety`: how far proposals may differ; 0 is the one
   in the middle. To see several beside each other, raise `count` and look at `skeleton`.
3. **Example Person**, `seed`: another person. Nothing else has to change then.
"""


BOX_KINDS = tuple(kind for kind in PROMPT_KINDS.values() if kind.boxes)


def flow_name(kind: PromptKind) -> str:
    """Name of the workflow that shows a kind of prompt."""
    return f"phac_{kind.name}"


def phac_complete_pose(classes: Mapping[str, Any]) -> Flow:
    """By joints that a network proposes."""
    flow = Flow("phac_complete_pose", classes, "Complete without any point")
    flow.note("Complete a person, with proposed joints (PHAC)", COMPLETE_NOTE)
    example = add_example(flow)
    with flow.group("2  How the person might go on", Color.PROMPT):
        found = flow.add("FiguraDetectPose", image=example["occluded"])
        whole = flow.add("FiguraCompletePose", pose_keypoint=found["pose_keypoint"])
        prompt = flow.add(
            "FiguraPointPrompt", image=example["occluded"], pose_keypoint=whole["pose_keypoint"],
        )  # fmt: skip
        add_shown(flow, "Input", example["occluded"])
        add_shown(flow, "Prompt", prompt["prompt_image"])
    _finish(flow, example, prompt)
    return flow


def phac_box(classes: Mapping[str, Any], kind: PromptKind) -> Flow:
    """By a prompt of a kind with a box."""
    title = BOX_TITLES.get(kind.name, f"Complete by {kind.name.replace('_', ' ')}")
    flow = Flow(flow_name(kind), classes, title)
    tools = " and ".join(BOX_TOOLS[name] for name in kind.boxes)
    flow.note("Complete a person by a box (PHAC)", BOX_NOTE.format(said=kind.note, tools=tools))
    example = add_example(flow)
    given = EXAMPLE_JOINTS if kind.joints else {}
    boxes: dict[str, Any] = {name: EXAMPLE_BOXES[name] for name in kind.boxes}
    text = points_text(MINI_SIZE, MINI_SIZE, given=given, **boxes)
    prompt = add_prompt(flow, example, prompt_type=kind.name, points=text)
    _finish(flow, example, prompt)
    return flow


def _finish(flow: Flow, example: Node, prompt: Node) -> None:
    name = f"{flow.name.removeprefix('phac_')}_refined"
    refined, hidden = add_stages(flow, example["occluded"], prompt["prompt"], example["caption"])
    add_result(flow, name, example, refined, hidden)
