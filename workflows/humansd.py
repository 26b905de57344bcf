"""HumanSD: people drawn as skeletons stand; one, several, and with a stock model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .flow import Color, Flow, Node, Output
from .parts import MINI_SIZE, add_saved, add_shown

if TYPE_CHECKING:
    from PIL.Image import Image

HUMANSD_CHECKPOINT = "humansd-v1.safetensors"
EXAMPLE_SEED = 10_000_018
THREE_SEEDS = (10_000_018, 10_000_027, 10_000_049)
NATIVE_SIZE = 512
NATIVE_TEXT = (
    "a photo of a man in a blue jacket in a park, detailed background, best quality, extremely detailed"
)
NATIVE_NEGATIVE = (
    "longbody, lowres, bad anatomy, bad hands, missing fingers, extra digit, fewer digits, cropped, "
    "worst quality, low quality"
)
MINI_STEPS = 20

POSE_NOTE = """\
A person is drawn in a given pose, from a skeleton and a text. Press **Run**: it works as it is, on the models
that come with Figura.

**Then change it**

1. **Example Person**, `seed`: another pose and another text. Only its joints and its caption are used.
2. **HumanSD Sampler**, `seed`: another person in the same pose. `text`: one line per picture; take the link
   of the example's `caption` away to write your own.
   `pose_strength`: below 1 the pose binds less.
3. A pose of your own: put **Point Prompt** on a picture, click into it, press the button with two figures for
   one of ten poses, drag its joints, and connect its `pose_keypoint` in place of the example's.

**Further**

- **Load HumanSD**: `humansd-v1.ckpt` for photographs; then 50 steps.
"""

SEVERAL_NOTE = """\
Three people in one picture, each in a pose of its own. Press **Run**: it works as it is, on the models that
come with Figura.

**Join Poses** puts the poses beside each other; the picture becomes as wide as they need. A pose that holds
several people already (from **Detect Pose** with `vitpose` or `dwpose`, or several people in **Point
Prompt**) goes to the sampler directly.

The small model was trained on pictures of one person and one text each: the text describes all of them.
"""

NATIVE_NOTE = f"""\
The released HumanSD with ComfyUI's own KSampler and VAE. It needs `humansd-v1.ckpt` from
https://github.com/IDEA-Research/HumanSD in `models/checkpoints`, converted once:
in `custom_nodes`, with ComfyUI's Python, `python figura models convert humansd-v1.ckpt` (gives
`{HUMANSD_CHECKPOINT}`).

- **HumanSD Pose** draws the skeleton as the model knows it; its sides are rounded to multiples of 64.
- **Apply HumanSD** puts the skeleton into both texts and makes the model read it. All four of its outputs go
  to **KSampler**; any sampler and scheduler will do.
"""


def humansd_pose(classes: Mapping[str, Any]) -> Flow:
    """One person in the pose of an example."""
    flow = Flow("humansd_pose", classes, "Draw a person in a given pose")
    flow.note("A person in a given pose (HumanSD)", POSE_NOTE)
    with flow.group("1  A pose and a text", Color.INPUT):
        example = flow.add("FiguraExamplePerson", seed=EXAMPLE_SEED, size=MINI_SIZE, occlusion=0.0)
        add_shown(flow, "Example", example["complete"])
    with flow.group("2  Drawn from the skeleton", Color.STAGE):
        drawn = _add_sampler(flow, example["caption"], example["pose_keypoint"])
    with flow.group("3  The person", Color.RESULT):
        add_shown(flow, "Skeleton", drawn["skeleton"])
        add_saved(flow, "Save person", "humansd_person", drawn["image"])
    return flow


def humansd_multi_person(classes: Mapping[str, Any]) -> Flow:
    """Three people beside each other."""
    flow = Flow("humansd_multi_person", classes, "Draw three people in poses")
    flow.note("Three people in one picture (HumanSD)", SEVERAL_NOTE)
    with flow.group("1  Three poses", Color.INPUT):
        examples = [
            flow.add("FiguraExamplePerson", seed=seed, size=MINI_SIZE, occlusion=0.0) for seed in THREE_SEEDS
        ]
    with flow.group("2  Beside each other", Color.PROMPT):
        poses = [example["pose_keypoint"] for example in examples]
        joined = flow.add("FiguraJoinPoses", pose_a=poses[0], pose_b=poses[1], pose_c=poses[2])
    with flow.group("3  Drawn from the skeletons", Color.STAGE):
        drawn = _add_sampler(flow, examples[0]["caption"], joined["pose_keypoint"])
    with flow.group("4  The people", Color.RESULT):
        add_shown(flow, "Skeletons", drawn["skeleton"])
        add_saved(flow, "Save people", "humansd_people", drawn["image"])
    return flow


def _add_sampler(flow: Flow, text: Output, poses: Output) -> Node:
    """Mini with its loader."""
    loaded = flow.add("FiguraLoadHumanSD")
    return flow.add(
        "FiguraHumanSDSampler", humansd=loaded["humansd"], text=text, pose_keypoint=poses, steps=MINI_STEPS,
    )  # fmt: skip


def humansd_native(classes: Mapping[str, Any]) -> Flow:
    """The released checkpoint with stock nodes."""
    flow = Flow("humansd_native", classes, "Draw a pose with HumanSD v1")
    flow.note("HumanSD with stock nodes", NATIVE_NOTE)
    with flow.group("1  A pose, and the checkpoint", Color.INPUT):
        example = flow.add("FiguraExamplePerson", seed=EXAMPLE_SEED, size=NATIVE_SIZE, occlusion=0.0)
        loaded = flow.add("CheckpointLoaderSimple", ckpt_name=HUMANSD_CHECKPOINT)
    with flow.group("2  What to draw", Color.PROMPT):
        skeleton = flow.add(
            "FiguraHumanSDPose", pose_keypoint=example["pose_keypoint"], width=NATIVE_SIZE, height=NATIVE_SIZE
        )
        positive = flow.add("CLIPTextEncode", "Text", clip=loaded["CLIP"], text=NATIVE_TEXT)
        negative = flow.add("CLIPTextEncode", "Not wanted", clip=loaded["CLIP"], text=NATIVE_NEGATIVE)
    with flow.group("3  The pose goes in", Color.STAGE):
        applied = flow.add(
            "FiguraApplyHumanSD", model=loaded["MODEL"], positive=positive["CONDITIONING"],
            negative=negative["CONDITIONING"], vae=loaded["VAE"], skeleton=skeleton["skeleton"],
        )  # fmt: skip
        drawn = flow.add(
            "KSampler", model=applied["model"], positive=applied["positive"], negative=applied["negative"],
            latent_image=applied["latent"], steps=50, cfg=10.0, sampler_name="ddim",
            scheduler="ddim_uniform",
        )  # fmt: skip
    with flow.group("4  The person", Color.RESULT):
        decoded = flow.add("VAEDecode", samples=drawn["LATENT"], vae=loaded["VAE"])
        add_shown(flow, "Skeleton", skeleton["skeleton"])
        add_saved(flow, "Save person", "humansd_native", decoded["IMAGE"])
    return flow


def example_and_skeleton() -> list[Image]:
    """Whose pose humansd_native starts from, and the skeleton that the model is shown."""
    from ..people.skeleton_coco import draw_coco_bodies
    from ..people.synthetic import render_people
    from ..training.reports.sheets import to_pil

    people = render_people([EXAMPLE_SEED], NATIVE_SIZE, occlusion=0.0)
    skeleton = draw_coco_bodies(people.joints, NATIVE_SIZE, NATIVE_SIZE)
    images = (people.unoccluded[0], skeleton[0])
    return [to_pil(each) for each in images]
