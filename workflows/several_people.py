"""Several people of one picture, each completed, and all of them in one picture again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .flow import Color, Flow
from .parts import MINI_SIZE, add_changes, add_saved, add_shown, add_shown_mask
from .subgraphs import complete_person

SEEDS = (10_000_043, 10_000_029)
HIDDEN = 0.4

NOTE = """\
Two people stand behind something, in one picture. Press **Run**: it works as it is, on the models that come
with Figura.

**Then with your own picture**

1. **Load Image** in the place of **Image Stitch**: to **Split People**, **Stitch People**, **Compare** and a
   **Detect Pose** with `vitpose` or `dwpose`, which find several people. Its pose goes to **Split People** in
   the place of **Join Poses**.
2. **Split People**, `order`: who stands in front.
3. Click into the picture of **Point Prompt** after a run: it shows the joints that were proposed.
4. **Complete this person**, `text`: what the people wear; one text is for all of them. It is a subgraph and
   does everybody in turn; its button at the upper right opens it.
5. **Stitch People**, `colour_match`: brings the colours on both sides of a seam together.

What could be seen of somebody in front stays in front, and every pixel outside `changed_mask` is the input's.
"""


def phac_several_people(classes: Mapping[str, Any]) -> Flow:
    """Two example people beside each other."""
    flow = Flow("phac_several_people", classes, "Complete two people at once")
    flow.note("Complete several people (PHAC)", NOTE)
    with flow.group("1  Two people in one picture", Color.INPUT):
        people = [
            flow.add("FiguraExamplePerson", seed=seed, size=MINI_SIZE, occlusion=HIDDEN) for seed in SEEDS
        ]
        first, second = people
        found = [flow.add("FiguraDetectPose", image=person["occluded"]) for person in people]
        picture = flow.add("ImageStitch", image1=first["occluded"], image2=second["occluded"])
        pose = flow.add("FiguraJoinPoses", pose_a=found[0]["pose_keypoint"], pose_b=found[1]["pose_keypoint"])
        add_shown(flow, "Both", picture["IMAGE"])
    with flow.group("2  One after another, the front first", Color.PROMPT):
        split = flow.add("FiguraSplitPeople", image=picture["IMAGE"], pose_keypoint=pose["pose_keypoint"])
        whole = flow.add("FiguraCompletePose", pose_keypoint=split["pose_keypoint"])
        prompt = flow.add("FiguraPointPrompt", image=split["image"], pose_keypoint=whole["pose_keypoint"])
    with flow.group("3  Each completed", Color.STAGE):
        each = flow.add_part(complete_person(classes), image=split["image"], prompt=prompt["prompt"])
        add_shown(flow, "Prompts", prompt["prompt_image"])
        add_shown(flow, "Coarse people", each["coarse"])
        add_shown_mask(flow, "Visible masks", each["visible_mask"])
        add_shown_mask(flow, "Invisible masks", each["invisible_mask"])
    with flow.group("4  Together again", Color.RESULT):
        together = flow.add(
            "FiguraStitchPeople",
            image=picture["IMAGE"],
            completed=each["image"],
            changed_mask=each["changed_mask"],
            visible_mask=each["visible_in_picture"],
        )
        add_saved(flow, "Save picture", "several_people_refined", together["image"])
        add_changes(flow, picture["IMAGE"], together["image"], together["changed_mask"])
    return flow
