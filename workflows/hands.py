"""Giving a Hand to Diffusion Models: the hands first, large, then a body round them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .flow import Color, Flow
from .parts import MINI_SIZE, add_saved, add_saved_mask

EXAMPLE_SEED = 10_000_008
HAND_TEXT = "a hand with brown skin"

NOTE = """\
A person is drawn in two stages: first the hands alone, large, then the body round them. Press **Run**: it
works as it is, on the models that come with Figura.

**What to change**

- **Example Person**, `seed`: another pose and another text. Only its joints and its caption are used, the
  picture is there to compare with. For a pose of your own connect **Point Prompt** or **Detect Pose** (one
  that finds hands) to `pose_keypoint` of all three.
- **Hand Sampler**, `text`: skin and sleeve. `seed`: other hands in the same pose. `which`: one side alone.
- **Body Outpaint**, `text`: the person. `expansion`: how the hands are kept while the body is painted.
  `paste_hand`: off shows what the model itself made of the hands.

The hands of the canvas are in the result pixel for pixel, past a soft edge.
"""


def hands_two_stage(classes: Mapping[str, Any]) -> Flow:
    """From an example person's pose, so that it runs the moment it is opened."""
    flow = Flow("hands_two_stage", classes)
    flow.note("A person with good hands (Giving a Hand)", NOTE)
    with flow.group("1  A pose with hands", Color.INPUT):
        example = flow.add(
            "FiguraExamplePerson", seed=EXAMPLE_SEED, size=MINI_SIZE, occlusion=0.0, view="hands raised"
        )
        flow.add("PreviewImage", "Example", images=example["complete"])
    pose, caption = example["pose_keypoint"], example["caption"]
    with flow.group("2  The hands, close up", Color.PROMPT):
        loaded = flow.add("FiguraLoadHands")
        drawn = flow.add(
            "FiguraHandSampler", hands=loaded["hands"], pose_keypoint=pose, text=HAND_TEXT, new_column=True
        )
        add_saved(flow, "Save hand skeletons", "hands_skeleton", drawn["skeleton"], new_column=True)
        add_saved(flow, "Save hands", "hands_close_up", drawn["hand_image"])
        add_saved_mask(flow, "Save hand masks", "hands_mask", drawn["hand_mask"])
    with flow.group("3  In their places", Color.MASK):
        laid = flow.add(
            "FiguraHandCanvas", image=drawn["hand_image"], mask=drawn["hand_mask"],
            hand_pose=drawn["hand_pose"], pose_keypoint=pose,
        )  # fmt: skip
        add_saved(flow, "Save canvas", "hands_canvas", laid["canvas"], new_column=True)
        add_saved_mask(flow, "Save known mask", "hands_known_mask", laid["known_mask"])
    with flow.group("4  The body round them", Color.STAGE):
        body = flow.add(
            "FiguraBodyOutpaint", hands=loaded["hands"], canvas=laid["canvas"],
            known_mask=laid["known_mask"], pose_keypoint=pose, text=caption,
        )  # fmt: skip
        flow.add("PreviewImage", "Before pasting", images=body["blended"], new_column=True)
    with flow.group("5  The person", Color.RESULT):
        add_saved(flow, "Save person", "hands_person", body["image"])
    return flow
