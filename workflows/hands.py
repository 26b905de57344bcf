"""Giving a Hand to Diffusion Models: the hands first, large, then a body round them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .flow import Color, Flow
from .parts import MINI_SIZE, add_saved, add_shown, add_shown_mask

EXAMPLE_SEED = 10_000_008
HAND_TEXT = "a hand with brown skin"

NOTE = """\
A person is drawn in two stages: first the hands alone, large, then the body round them. Press **Run**: it
works as it is, on the models that come with Figura.

**Then change it**

1. **Example Person**, `seed`: another pose and another text. Only its joints and its caption are used.
2. **Hand Sampler**, `seed`: other hands in the same pose. `text`: skin and sleeve. `which`: one side alone.
3. A pose of your own: put **Point Prompt** on a picture, click into it, add the hands at the end of its list,
   and connect its `pose_keypoint` in place of the example's, to all three.

**Further**

- **Body Outpaint**, `text`: the person; take the link of the example's `caption` away to write your own.
  `expansion`: how the hands are kept while the body is painted. `paste_hand`: off shows what the model itself
  made of the hands.

The hands of the canvas are in the result pixel for pixel, past a soft edge.
"""


def hands_two_stage(classes: Mapping[str, Any]) -> Flow:
    """From an example person's pose, so that it runs the moment it is opened."""
    flow = Flow("hands_two_stage", classes, "Draw hands first, then the body")
    flow.note("A person with good hands (Giving a Hand)", NOTE)
    with flow.group("1  A pose with hands", Color.INPUT):
        example = flow.add(
            "FiguraExamplePerson", seed=EXAMPLE_SEED, size=MINI_SIZE, occlusion=0.0, view="hands raised"
        )
        add_shown(flow, "Example", example["complete"])
    pose, caption = example["pose_keypoint"], example["caption"]
    with flow.group("2  The hands, close up", Color.PROMPT):
        loaded = flow.add("FiguraLoadHands")
        drawn = flow.add("FiguraHandSampler", hands=loaded["hands"], pose_keypoint=pose, text=HAND_TEXT)
        add_shown(flow, "Hand skeletons", drawn["skeleton"])
        add_shown(flow, "Hands", drawn["hand_image"])
        add_shown_mask(flow, "Hand masks", drawn["hand_mask"])
    with flow.group("3  In their places", Color.MASK):
        laid = flow.add(
            "FiguraHandCanvas", image=drawn["hand_image"], mask=drawn["hand_mask"],
            hand_pose=drawn["hand_pose"], pose_keypoint=pose,
        )  # fmt: skip
        add_shown(flow, "Canvas", laid["canvas"])
        add_shown_mask(flow, "Known mask", laid["known_mask"])
    with flow.group("4  The body round them", Color.STAGE):
        body = flow.add(
            "FiguraBodyOutpaint", hands=loaded["hands"], canvas=laid["canvas"],
            known_mask=laid["known_mask"], pose_keypoint=pose, text=caption,
        )  # fmt: skip
        add_shown(flow, "Before pasting", body["blended"])
    with flow.group("5  The person", Color.RESULT):
        add_saved(flow, "Save person", "hands_person", body["image"])
    return flow
