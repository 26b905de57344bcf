"""PHAC by its other kinds of prompt: boxes, boxes with joints, and joints that a network proposes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..people.prompt_kinds import FULL_BOX, PROMPT_KINDS, ROI_BOX, PromptKind
from .flow import Color, Flow, Node
from .parts import MINI_SIZE, add_saved
from .phac import EXAMPLE_JOINTS, add_comparison, add_example, add_prompt, add_stages, points_text

# Of the example person's hidden part, and of all of them, drawn by hand.
EXAMPLE_BOXES = {ROI_BOX: (71, 69, 101, 124), FULL_BOX: (65, 12, 118, 124)}
BOX_NOTE = """\
Somebody stands behind something. {said}
Press **Run**: it works as it is, on the models that come with Figura, in about half a minute on a CPU.

**What to change**

- **Point Prompt**, {boxes}: another box gives another completion. `prompt_type` chooses the kind of
  prompt; each kind has a ControlNet of its own.
- **Example Person**: `seed` is another person (from 10000000 on the models have never seen them),
  `occlusion` how much is hidden. The box then has to move.
- **PHAC Sampler**, `seed`: another completion. `text`: what the person wears.

A box says less than joints do: use it when only the extent matters, or together with them.
"""

COMPLETE_NOTE = """\
Somebody stands behind something, and nobody places a single point: **Complete Pose** proposes the hidden
joints from those that can be seen. Press **Run**: it works as it is, on the models that come with Figura.

**What to change**

- **Complete Pose**, `seed`: another plausible pose. `variety`: how far proposals may differ; 0 is the one
  in the middle. To see several beside each other, raise `count` and look at `skeleton`.
- **Point Prompt**, `points`: what you place here replaces the proposal. That is the way to work: look at
  the proposal, correct a joint or two.
- **Example Person**, `seed`: another person. Nothing else has to change then.
"""


BOX_KINDS = tuple(kind for kind in PROMPT_KINDS.values() if kind.boxes)


def flow_name(kind: PromptKind) -> str:
    """Name of the workflow that shows a kind of prompt."""
    return f"phac_{kind.name}"


def phac_complete_pose(classes: Mapping[str, Any]) -> Flow:
    """By joints that a network proposes."""
    flow = Flow("phac_complete_pose", classes)
    flow.note("Complete a person, with proposed joints (PHAC)", COMPLETE_NOTE)
    example = add_example(flow)
    with flow.group("2  How the person might go on", Color.PROMPT):
        found = flow.add("FiguraDetectPose", image=example["occluded"])
        whole = flow.add("FiguraCompletePose", pose_keypoint=found["pose_keypoint"])
        prompt = flow.add(
            "FiguraPointPrompt", image=example["occluded"], pose_keypoint=whole["pose_keypoint"],
            new_column=True,
        )  # fmt: skip
        add_saved(flow, "Save prompt", "prompt", prompt["prompt_image"])
    _finish(flow, example, prompt)
    return flow


def phac_box(classes: Mapping[str, Any], kind: PromptKind) -> Flow:
    """By a prompt of a kind with a box."""
    flow = Flow(flow_name(kind), classes)
    names = " and ".join(f"`{name}`" for name in kind.boxes)
    flow.note("Complete a person by a box (PHAC)", BOX_NOTE.format(said=kind.note, boxes=names))
    example = add_example(flow)
    given = EXAMPLE_JOINTS if kind.joints else {}
    boxes: dict[str, Any] = {name: EXAMPLE_BOXES[name] for name in kind.boxes}
    text = points_text(MINI_SIZE, MINI_SIZE, given=given, **boxes)
    prompt = add_prompt(flow, example, prompt_type=kind.name, points=text)
    _finish(flow, example, prompt)
    return flow


def _finish(flow: Flow, example: Node, prompt: Node) -> None:
    prefix = f"figura/{flow.name.removeprefix('phac_')}_"
    refined, hidden = add_stages(flow, prefix, example["occluded"], prompt["prompt"], example["caption"])
    add_comparison(flow, example, refined, hidden)
