"""CFLD: the person of a picture in another pose; between two people; dressed anew; and with a stock model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..headless.native_nodes import SD15_CHECKPOINT
from ..people.synthetic import WHITE
from .flow import Color, Flow, Node
from .parts import add_changes, add_saved, add_shown, add_shown_mask, add_studio_person
from .subgraphs import MINI_SCHEDULER, MINI_STEPS, repose_person

if TYPE_CHECKING:
    from PIL.Image import Image

EXAMPLE_SEED, SECOND_SEED = 10_000_018, 10_000_017
REFERENCE_SEED, DRESSED_SEED = 10_000_033, 10_000_026
MIXES = (0.25, 0.5, 0.75)
GROWN = 3
RELEASED_FILE = "pytorch_model.bin"
NATIVE_SIZE, NATIVE_STEPS, NATIVE_CFG = 512, 50, 2.0
ASPECT_SIZE = (352, 512)

REPOSE_NOTE = """\
The person of a picture is drawn in another pose. Press **Run**: it works as it is, on the models that
come with Figura.

**Then change it**

1. **Example Person**, `seed`: another person. *Truth* is the same person in the other pose; only its joints
   are shown to the model.
2. **Re-pose this person**, `seed`: another try. `w_pose` and `w_app`: how strongly pose and looks are
   followed.
3. A pose of your own: put **Point Prompt** on a picture, click into it, press the button with two figures for
   one of ten poses, drag its joints, and connect its `pose_keypoint`. Your picture goes through
   **Load Image** (and **Crop Person**) to `source`.

**Further**

**Re-pose this person** is a subgraph: its button at the upper right opens it. Mini learned from
rendered people of 128 pixels, and paints like that; before white as in a studio, like the paper's
photographs.

- In it, **Load CFLD**: the authors' `pytorch_model.bin` for photographs, with Stable Diffusion 1.5 as
  `checkpoint`; then 50 steps of `ddpm`.
"""

INTERPOLATE_NOTE = """\
One pose, and looks on the way from one person to another. Press **Run**: it works as it is, on the
models that come with Figura.

Both people become a coarse prompt and biases of the attention; `mix` is the second one's share of both.
The seed of the three samplers is the same, so that nothing but the looks changes. A mix of 0 or 1 is
what one person alone would give, bit for bit.

**Then change it**

- **Example Person**, `seed`: other people. The pose is the first one's other pose; connect any other to
  `pose_keypoint`.
- **CFLD Sampler**, `mix`: other shares. For more of them copy the node.
"""

EDIT_NOTE = """\
A person is dressed like another one. Press **Run**: it works as it is, on the models that come with
Figura.

The **reference** is the picture that is edited: only what the mask covers changes, every other pixel
stays bit for bit what it was. `pose_keypoint` is the pose of the person in the reference, `source` the
person whose looks are taken.

**Then change it**

- **DensePose**, `parts`: what is dressed anew; `grow`: room round it, for wider clothes. In place of it,
  any mask will do: **Visible Mask**, or one painted in the mask editor of **Load Image**.
- **Reference** and **Source**, `seed`: other people. A picture of your own as reference goes to `reference`,
  to **DensePose** and, through **Detect Pose**, to `pose_keypoint`.
- **CFLD Sampler**, `w_app`: how strongly the source's looks are followed.
"""

NATIVE_NOTE = f"""\
The released CFLD with ComfyUI's own KSampler and VAE. It needs

- `pytorch_model.bin` and `pytorch_model_1.bin` from https://github.com/YanzuoLu/CFLD, both in
  `models/figura`. The first time they become `cfld_released.safetensors` beside them; choose that in
  **Load CFLD** afterwards.
- Stable Diffusion 1.5 (`{SD15_CHECKPOINT}`, 2.1 GB): ComfyUI offers to download it when this workflow is
  opened.

The released model was trained on photographs of people. Connect **Load Image** to **Crop Person**, and
**Detect Pose** (with `vitpose` or `dwpose`) of another photograph to `pose_keypoint`; the example
person is there to show how.

- **Apply CFLD** puts looks and pose into the model and into three conditionings. With **KSampler**,
  `cfg` weighs both alike. To weigh them apart, take **Dual CFG Guider** with SamplerCustomAdvanced:
  `positive` is its cond1, `pose_only` its cond2.
- The model draws people squashed to a square, so the latent is {NATIVE_SIZE} x {NATIVE_SIZE} and the
  picture is brought back to 11 x 16 at the end.
- There is no text prompt: the looks are the prompt.
"""


def cfld_repose(classes: Mapping[str, Any]) -> Flow:
    """An example person in another pose, beside the truth."""
    flow = Flow("cfld_repose", classes, "Re-pose this person by joints")
    flow.note("A person in another pose (CFLD)", REPOSE_NOTE)
    with flow.group("1  A person, and a pose", Color.INPUT):
        example = add_studio_person(flow, EXAMPLE_SEED)
        add_shown(flow, "Source", example["complete"])
    with flow.group("2  Drawn in that pose", Color.STAGE):
        drawn = flow.add_part(
            repose_person(classes), source=example["complete"], pose_keypoint=example["other_pose_keypoint"],
        )  # fmt: skip
    with flow.group("3  The person, and the truth", Color.RESULT):
        add_shown(flow, "Pose", drawn["skeleton"])
        add_saved(flow, "Save person", "cfld_person", drawn["image"])
        add_shown(flow, "Truth", example["other_pose"])
    return flow


def cfld_interpolate(classes: Mapping[str, Any]) -> Flow:
    """From one example person's looks to another's, in one pose."""
    flow = Flow("cfld_interpolate", classes, "Mix the looks of two people")
    flow.note("Between two people's looks (CFLD)", INTERPOLATE_NOTE)
    with flow.group("1  Two people, and a pose", Color.INPUT):
        first, second = (add_studio_person(flow, seed) for seed in (EXAMPLE_SEED, SECOND_SEED))
        add_shown(flow, "First", first["complete"])
        add_shown(flow, "Second", second["complete"])
    with flow.group("2  Drawn at several mixes", Color.STAGE):
        loaded = flow.add("FiguraLoadCFLD")
        drawn = {
            mix: _add_sampler(
                flow, loaded, first, f"CFLD Sampler, {100 * mix:.0f} %",
                pose_keypoint=first["other_pose_keypoint"], second_source=second["complete"], mix=mix,
            )
            for mix in MIXES
        }  # fmt: skip
    with flow.group("3  From one to the other", Color.RESULT):
        for mix, each in drawn.items():
            percent = f"{100 * mix:.0f}"
            add_saved(flow, f"Save {percent} %", f"cfld_mix_{percent}", each["image"])
    return flow


def cfld_edit(classes: Mapping[str, Any]) -> Flow:
    """An example person in the shirt of another one."""
    flow = Flow("cfld_edit", classes, "Give a person another shirt")
    flow.note("A person dressed like another (CFLD)", EDIT_NOTE)
    with flow.group("1  A reference, and whom to dress it like", Color.INPUT):
        reference = add_studio_person(flow, REFERENCE_SEED, "Reference")
        other = add_studio_person(flow, DRESSED_SEED, "Source")
        add_shown(flow, "Reference, before", reference["complete"])
        add_shown(flow, "Source, worn", other["complete"])
    with flow.group("2  What changes", Color.MASK):
        parts = flow.add("FiguraDensePose", image=reference["complete"], parts="upper body", grow=GROWN)
        add_shown_mask(flow, "Mask", parts["mask"])
    with flow.group("3  Dressed anew", Color.STAGE):
        loaded = flow.add("FiguraLoadCFLD")
        drawn = _add_sampler(
            flow, loaded, other, pose_keypoint=reference["pose_keypoint"], reference=reference["complete"],
            mask=parts["mask"],
        )  # fmt: skip
    with flow.group("4  The person, and what changed", Color.RESULT):
        add_saved(flow, "Save person", "cfld_edited", drawn["image"])
        add_changes(flow, reference["complete"], drawn["image"], parts["mask"])
    return flow


def cfld_native(classes: Mapping[str, Any]) -> Flow:
    """The released weights on a stock model, with stock nodes."""
    flow = Flow("cfld_native", classes, "Re-pose with CFLD and SD 1.5")
    width, height = ASPECT_SIZE
    flow.note("CFLD with stock nodes", NATIVE_NOTE)
    with flow.group("1  A person, and a pose", Color.INPUT):
        example = add_studio_person(flow, EXAMPLE_SEED, size=NATIVE_SIZE)
        source = flow.add(
            "FiguraCropPerson", image=example["complete"], width=width, height=height,
            pose_keypoint=example["pose_keypoint"],
        )  # fmt: skip
        add_shown(flow, "Source", source["image"])
        add_shown(flow, "Has this pose", example["other_pose"])
    with flow.group("2  The stock model, and CFLD", Color.STAGE):
        stock = flow.add("CheckpointLoaderSimple", ckpt_name=SD15_CHECKPOINT)
        loaded = flow.add("FiguraLoadCFLD", model=RELEASED_FILE)
        applied = flow.add(
            "FiguraApplyCFLD", model=stock["MODEL"], cfld=loaded["cfld"], source=source["image"],
            pose_keypoint=example["other_pose_keypoint"],
        )  # fmt: skip
    with flow.group("3  Drawn", Color.STAGE):
        empty = flow.add("EmptyLatentImage", width=NATIVE_SIZE, height=NATIVE_SIZE)
        drawn = flow.add(
            "KSampler", model=applied["model"], positive=applied["positive"], negative=applied["negative"],
            latent_image=empty["LATENT"], steps=NATIVE_STEPS, cfg=NATIVE_CFG, sampler_name="ddpm",
            scheduler="ddim_uniform",
        )  # fmt: skip
    with flow.group("4  The person", Color.RESULT):
        decoded = flow.add("VAEDecode", samples=drawn["LATENT"], vae=stock["VAE"])
        shaped = flow.add(
            "ImageScale", image=decoded["IMAGE"], upscale_method="bicubic", width=width, height=height
        )
        add_saved(flow, "Save person", "cfld_native", shaped["IMAGE"])
    return flow


def _add_sampler(flow: Flow, loaded: Node, person: Node, title: str = "", **values: Any) -> Node:
    """The person's whole picture as source; steps and scheduler for mini."""
    return flow.add(
        "FiguraCFLDSampler", title, cfld=loaded["cfld"], source=person["complete"], steps=MINI_STEPS,
        scheduler=MINI_SCHEDULER, **values,
    )  # fmt: skip


def example_and_pose() -> list[Image]:
    """Whom cfld_native starts from, and the pose that the person is asked for, as the model sees it."""
    from ..models.cfld.pipeline import pose_image
    from ..people.synthetic import render_people
    from ..training.reports.sheets import to_pil

    seeds, size = [EXAMPLE_SEED], NATIVE_SIZE
    person = render_people(seeds, size, occlusion=0.0, background=WHITE)
    other = render_people(seeds, size, pose_seeds=[EXAMPLE_SEED + 1], occlusion=0.0)
    images = (person.complete[0], pose_image(other.joints, size)[0, :3])
    return [to_pil(each) for each in images]
