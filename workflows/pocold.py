"""PoCoLD: a person in another pose, somebody in a given pose, and one person's clothes on another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .flow import Color, Flow
from .parts import MINI_SIZE, add_changes, add_saved, add_shown, add_shown_mask, add_studio_person

SOURCE_SEED, POSE_SEED, REFERENCE_SEED = 10_000_045, 10_000_017, 10_000_033
MINI_STEPS, MINI_WEIGHT = 20, 2.0
MASK_GROWTH_PX = 2

REPOSE_NOTE = """\
The person of a picture in another pose: clothes and hair stay, the pose is given by DensePose
labels. Press **Run**: it works as it is, on the models that come with Figura.

**Then change it**

- **Example Person**, `seed`: another person, who takes the pose of the next seed.
- For pictures of your own connect **Load Image** to `source`, and a picture that shows the pose, through
  **DensePose**, to `target_densepose`. Mini learned from rendered people of 128 pixels, and paints
  like that; before white as in a studio, like the papers' photographs.
- **PoCoLD Sampler**, `w_pose` and `w_source`: how much the pose and the source bind. 2 suits mini; the paper
  has 5, for its own size and photographs. Equal weights cost a third less time. `seed`: another draw.

*Attention* shows which colours of the source arrive where. `matched` is the share of the attention that
goes to the same part of the body: it needs `source_densepose`, the result does not.
"""

POSE_NOTE = """\
Somebody in a given pose: without `source` the sampler draws a person of its own, another one with every seed.
Press **Run**: it works as it is, on the models that come with Figura.

**DensePose** reads the pose from a picture. Look at its labels first: what is labelled wrongly is drawn
wrongly.

**Then change it**

- **Example Person**, `seed`: another pose. Only its labels are used.
- **DensePose**, `source`: for photographs `model_final_0ed407.pkl`; `colour map` when the picture
  was drawn by a DensePose preprocessor. `mirror`: the pose seen in a mirror.
- **PoCoLD Sampler**, `seed`: another person. `w_pose`: how much the pose binds (2 suits mini, 5 is the
  paper's); `w_source` counts nothing here.
"""

TRANSFER_NOTE = f"""\
One person's clothes on another. The reference stays bit for bit outside the mask; inside it is drawn in the
looks of the source. Press **Run**: it works as it is, on the models that come with Figura.

**DensePose** labels the reference, and gives the mask of the parts you choose.

**Then change it**

- **Source** and **Reference**, `seed`: other people. For pictures of your own connect **Load Image**: the
  reference goes to **DensePose** and to `reference`, the other one to `source`.
- **DensePose**, `parts`: what is dressed anew: `upper body`, `lower body`, `torso`, ... `grow`: pixels round
  them that may change, too: {MASK_GROWTH_PX} hides the edge of the old clothes at {MINI_SIZE} pixels, wide
  clothes in a photograph need more. For any other mask paint one on the reference in **Load Image**, and
  connect that to `mask`.
- **PoCoLD Sampler**, `seed`: another draw. `w_source`: how much the source binds.
"""


def pocold_repose(classes: Mapping[str, Any]) -> Flow:
    """An example person in the pose of another one, beside the truth."""
    flow = Flow("pocold_repose", classes, "Re-pose a person by DensePose")
    flow.note("A person in another pose (PoCoLD)", REPOSE_NOTE)
    with flow.group("1  A person, and the labels of another pose", Color.INPUT):
        example = add_studio_person(flow, SOURCE_SEED)
        add_shown(flow, "Source", example["complete"])
    with flow.group("2  Drawn in that pose", Color.STAGE):
        loaded = flow.add("FiguraLoadPoCoLD")
        made = flow.add(
            "FiguraPoCoLDSampler", pocold=loaded["pocold"], target_densepose=example["other_densepose"],
            source=example["complete"], source_densepose=example["densepose"], steps=MINI_STEPS,
            w_pose=MINI_WEIGHT, w_source=MINI_WEIGHT,
        )  # fmt: skip
    with flow.group("3  The person", Color.RESULT):
        add_shown(flow, "Labels", made["labels"])
        add_shown(flow, "Attention", made["attention"])
        add_saved(flow, "Save person", "pocold_person", made["image"])
        add_shown(flow, "Truth", example["other_pose"])
    with flow.group("4  Against the truth", Color.RESULT):
        compared = flow.add("FiguraCompare", image_a=made["image"], image_b=example["other_pose"])
        add_shown(flow, "Difference", compared["difference"])
    return flow


def pocold_pose_only(classes: Mapping[str, Any]) -> Flow:
    """Somebody in the pose that mini finds in a picture."""
    flow = Flow("pocold_pose_only", classes, "Draw somebody in that pose")
    flow.note("Somebody in a given pose (PoCoLD)", POSE_NOTE)
    with flow.group("1  A picture that shows the pose", Color.INPUT):
        example = add_studio_person(flow, POSE_SEED)
        add_shown(flow, "Pose", example["complete"])
    with flow.group("2  Its labels", Color.PROMPT):
        labelled = flow.add("FiguraDensePose", image=example["complete"])
        add_shown(flow, "Labels", labelled["preview"])
    with flow.group("3  Drawn from the labels alone", Color.STAGE):
        loaded = flow.add("FiguraLoadPoCoLD")
        made = flow.add(
            "FiguraPoCoLDSampler", pocold=loaded["pocold"], target_densepose=labelled["densepose"],
            steps=MINI_STEPS, w_pose=MINI_WEIGHT, w_source=MINI_WEIGHT,
        )  # fmt: skip
    with flow.group("4  Somebody", Color.RESULT):
        add_saved(flow, "Save person", "pocold_somebody", made["image"])
    return flow


def pocold_appearance_transfer(classes: Mapping[str, Any]) -> Flow:
    """The clothes of one example person on another, who stays as he is otherwise."""
    flow = Flow("pocold_appearance_transfer", classes, "Put clothes on another person")
    flow.note("One person's clothes on another (PoCoLD)", TRANSFER_NOTE)
    with flow.group("1  Who wears the clothes, and who shall", Color.INPUT):
        source, reference = (
            add_studio_person(flow, seed, title)
            for title, seed in (("Source", SOURCE_SEED), ("Reference", REFERENCE_SEED))
        )
        add_shown(flow, "Source, worn", source["complete"])
        add_shown(flow, "Reference, before", reference["complete"])
    with flow.group("2  The reference's labels, and what changes", Color.MASK):
        labelled = flow.add(
            "FiguraDensePose", image=reference["complete"], parts="clothes", grow=MASK_GROWTH_PX
        )
        add_shown(flow, "Labels", labelled["preview"])
        add_shown_mask(flow, "Mask", labelled["mask"])
    with flow.group("3  Drawn inside the mask", Color.STAGE):
        loaded = flow.add("FiguraLoadPoCoLD")
        made = flow.add(
            "FiguraPoCoLDSampler", pocold=loaded["pocold"], target_densepose=labelled["densepose"],
            source=source["complete"], source_densepose=source["densepose"],
            reference=reference["complete"], mask=labelled["mask"], steps=MINI_STEPS, w_pose=MINI_WEIGHT,
            w_source=MINI_WEIGHT,
        )  # fmt: skip
    with flow.group("4  The reference in the source's clothes", Color.RESULT):
        add_saved(flow, "Save person", "pocold_dressed", made["image"])
        add_shown(flow, "Attention", made["attention"])
        add_changes(flow, reference["complete"], made["image"], labelled["mask"])
    return flow
