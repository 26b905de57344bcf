"""PHAC on photographs with anybody's models: ComfyUI's loaders and KSampler, Figura's points and masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..headless.native_nodes import SD15_INPAINTING, SD15_OPENPOSE, SDXL_INPAINTING, SDXL_OPENPOSE
from ..models.phac.networks import CUTOUT_SUFFIX
from ..models.phac.prepare import PICTURE
from .flow import Color, Flow, Node, Output
from .parts import add_changes, add_ksampler, add_saved, add_shown, add_shown_mask
from .phac import points_text
from .photo import GIVEN, IMAGE_NAME, ROI_BOX, SEEN, SIDE, TEXT
from .subgraphs import NEGATIVE, refine_anything_part

STEPS, CFG = 20, 5.0

WHAT_TO_CHANGE = """\
**What to set**

1. **Load Image**: your picture. (The one named here comes with Figura: NASA's portrait of Eileen Collins,
   public domain, with a board painted over her arm.)
2. Click into the picture of **Point Prompt** and press the bin beside *Person 1*: it takes away the points of
   that picture. Then press the arrow button: joints that can be seen are imported. Press the figure button
   (or P) and click where the hidden ones should be: three or four.{box}
3. {text}: what the person wears.
4. {size}
"""
KEEPS = "Outside the mask every pixel of your picture stays bit for bit what it was."
ANYTHING = """\
LoRAs, IP-Adapters, other samplers, fp8 or GGUF loaders go where they always go: between the loader and
**{sampler}**.
"""

NATIVE_NOTE = """\
A hidden arm completed with a stock inpainting model: no weights of Figura paint anything. It needs
{files}: ComfyUI offers to download what is missing when this workflow is opened.

{change}
**Coarse Prepare** cuts out the person, kept on white, and draws the points for an OpenPose ControlNet; the
model completes the person alone. **Refine anything**, a subgraph, finds the hidden part of it, pastes that
in, lets the same model draw it again at half strength, and puts it back. {keeps}

{anything}"""
SIZE_IN_TWO = "**Size**: 0 follows the model; other sizes (512, 768, 1024 ...) go to both stages."

ONE_PASS_NOTE = """\
A hidden arm drawn straight into the picture: one pass, for models that inpaint well by themselves. It needs
{files}: ComfyUI offers to download what is missing when this workflow is opened.

{change}
**Amodal Mask** says where the hidden part is, from the visible one and your points, inside the box of
the prompt; **Coarse Prepare** with `ground` on picture gives the crop as it is, and that part to be drawn.
{keeps}

For Flux Fill, change the loaders and leave out **Apply ControlNet**. For an editing model that takes a
picture (Qwen-Image-Edit, Flux Kontext), give it `canvas`, and connect what it makes to **Stitch**: that keeps
the rest. A mask of the hidden part that you have goes to `draw_mask`; without one, all of the box is drawn.

{anything}"""

REFINE_NOTE = """\
The refinement of PHAC behind any generator. Whatever completes the person, in the same place, on a plain
ground or transparent: its hidden part is pasted into the picture and made to fit. Here mini's **PHAC
Sampler** stands for the generator: replace it by your own, or by **Load Image**. It needs {files}, which
ComfyUI offers to download when this workflow is opened.

{change}
Other inpainting models do as well; `denoise` 0.5 is what PHAC's authors found best. **Refine anything** is a
subgraph: its button at the upper right opens it. {keeps}

{anything}"""


def phac_native_sd15(classes: Mapping[str, Any]) -> Flow:
    """Both stages with Stable Diffusion 1.5."""
    return _two_stages(
        Flow("phac_native_sd15", classes, "Complete a photo with SD 1.5"),
        SD15_INPAINTING,
        SD15_OPENPOSE,
    )


def phac_native_sdxl(classes: Mapping[str, Any]) -> Flow:
    """Both stages with SDXL."""
    return _two_stages(
        Flow("phac_native_sdxl", classes, "Complete a photo with SDXL"), SDXL_INPAINTING, SDXL_OPENPOSE
    )


def _two_stages(flow: Flow, checkpoint: str, controlnet: str) -> Flow:
    texts = "**Text**, before its white background, and `text` of **Refine anything**"
    change = WHAT_TO_CHANGE.format(size=SIZE_IN_TWO, text=texts, box="")
    files = f"`{checkpoint}` and `{controlnet}`"
    flow.note(
        "Complete a person with your own models (PHAC)",
        NATIVE_NOTE.format(
            files=files, keeps=KEEPS, change=change, anything=ANYTHING.format(sampler="KSampler")
        ),
    )
    photo, prompt = add_photo(flow)
    seen = add_visible(flow, photo, prompt)
    with flow.group("3  Your model, and the size", Color.INPUT):
        loaded, control = add_own_model(flow, checkpoint, controlnet)
        size = flow.add("PrimitiveInt", "Size (0: the model's)", value=0)
    with flow.group("4  The whole person", Color.STAGE):
        start = flow.add(
            "FiguraCoarsePrepare",
            image=photo["IMAGE"],
            visible_mask=seen,
            prompt=prompt["prompt"],
            size=size["INT"],
            model=loaded["MODEL"],
        )
        add_shown(flow, "Canvas", start["canvas"])
        add_shown(flow, "Prompt", start["prompt_image"])
        coarse = add_sampled(flow, loaded, start["canvas"], start["noise_mask"], TEXT + CUTOUT_SUFFIX,
                             pose=(control, start["prompt_image"]))  # fmt: skip
    more = {"size": size["INT"], "crop": start["crop"]}
    add_refined(
        flow, loaded, image=photo["IMAGE"], coarse=coarse, visible_mask=seen, prompt=prompt["prompt"], **more
    )
    return flow


def phac_native_one_pass(classes: Mapping[str, Any]) -> Flow:
    """The hidden part drawn into the picture at once."""
    flow = Flow("phac_native_one_pass", classes, "Complete in one pass with SDXL")
    change = WHAT_TO_CHANGE.format(
        size="**Coarse Prepare**, `size`: 0 follows the model.", text="**Text**",
        box=" Press R and\n   draw a box round the hidden part.",
    )  # fmt: skip
    files = f"`{SDXL_INPAINTING}` and `{SDXL_OPENPOSE}`"
    flow.note(
        "Complete a person in one pass, with your own model",
        ONE_PASS_NOTE.format(
            files=files, keeps=KEEPS, change=change, anything=ANYTHING.format(sampler="KSampler")
        ),
    )
    photo, prompt = add_photo(flow, "pose_roi_box", roi_box=ROI_BOX)
    seen = add_visible(flow, photo, prompt)
    with flow.group("3  Your model", Color.INPUT):
        loaded, control = add_own_model(flow, SDXL_INPAINTING, SDXL_OPENPOSE)
    with flow.group("4  Drawn into the picture", Color.STAGE):
        hidden = flow.add("FiguraAmodalMask", visible_mask=seen, prompt=prompt["prompt"], variety=0.0)
        start = flow.add(
            "FiguraCoarsePrepare",
            image=photo["IMAGE"],
            visible_mask=seen,
            prompt=prompt["prompt"],
            draw_mask=hidden["invisible_mask"],
            ground=PICTURE,
            model=loaded["MODEL"],
        )
        add_shown(flow, "Prompt", start["prompt_image"])
        add_shown_mask(flow, "Mask", start["mask"])
        drawn = add_sampled(
            flow, loaded, start["canvas"], start["noise_mask"], TEXT, pose=(control, start["prompt_image"])
        )
        whole = flow.add(
            "FiguraStitch", image=photo["IMAGE"], patch=drawn, crop=start["crop"], mask=start["mask"]
        )
    _add_result(flow, photo["IMAGE"], whole)
    return flow


def refine_anything(classes: Mapping[str, Any]) -> Flow:
    """The refinement behind any generator."""
    flow = Flow("refine_anything", classes, "Refine anything with SDXL")
    change = WHAT_TO_CHANGE.format(
        size="**Refine anything**, `size`: 0 follows the model.",
        text="`text` of the generator and of **Refine anything**", box="",
    )  # fmt: skip
    anything = ANYTHING.format(sampler="Refine anything")
    flow.note(
        "Make any completed person fit (PHAC's refinement)",
        REFINE_NOTE.format(files=f"`{SDXL_INPAINTING}`", keeps=KEEPS, change=change, anything=anything),
    )
    photo, prompt = add_photo(flow)
    seen = add_visible(flow, photo, prompt)
    with flow.group("3  Any generator", Color.STAGE):
        masks = flow.add("FiguraLoadPHAC")
        coarse = flow.add(
            "FiguraPHACSampler",
            "Any generator: here mini",
            phac=masks["phac"],
            image=photo["IMAGE"],
            visible_mask=seen,
            prompt=prompt["prompt"],
            text=TEXT,
        )
    with flow.group("4  Your model", Color.INPUT):
        loaded = flow.add("CheckpointLoaderSimple", ckpt_name=SDXL_INPAINTING)
    add_refined(
        flow, loaded, image=photo["IMAGE"], coarse=coarse["coarse"], visible_mask=seen,
        prompt=prompt["prompt"],
    )  # fmt: skip
    return flow


def add_photo(flow: Flow, kind: str = "pose", **boxes: tuple[int, int, int, int]) -> tuple[Node, Node]:
    """The photograph and its points."""
    with flow.group("1  Your picture, and how the person goes on", Color.INPUT):
        photo = flow.add("LoadImage", image=IMAGE_NAME)
        text = points_text(SIDE, SIDE, seen=SEEN, given=GIVEN, **boxes)
        prompt = flow.add("FiguraPointPrompt", image=photo["IMAGE"], prompt_type=kind, points=text)
    return photo, prompt


def add_own_model(flow: Flow, checkpoint: str, controlnet: str) -> tuple[Node, Node]:
    """The stock loaders of an inpainting model and of the ControlNet that goes with it."""
    loaded = flow.add("CheckpointLoaderSimple", ckpt_name=checkpoint)
    return loaded, flow.add("ControlNetLoader", control_net_name=controlnet)


def add_visible(flow: Flow, photo: Node, prompt: Node) -> Output:
    """The mask of what can be seen of the person."""
    with flow.group("2  What can be seen", Color.MASK):
        sam = flow.add("FiguraLoadSAM")
        seen = flow.add("FiguraVisibleMask", sam=sam["sam"], image=photo["IMAGE"], prompt=prompt["prompt"])
        add_shown_mask(flow, "Visible mask", seen["visible_mask"])
    return seen["visible_mask"]


def add_sampled(
    flow: Flow, loaded: Node, pixels: Output, mask: Output, text: str, pose: tuple[Node, Output]
) -> Output:
    """What a stock inpainting model makes of pixels inside a mask.

    Args:
        flow: what the nodes are added to.
        loaded: the checkpoint's loader.
        pixels: as InpaintModelConditioning takes them.
        mask: the same.
        text: what is to be seen.
        pose: the loader of a ControlNet, and its picture.
    """
    positive = flow.add("CLIPTextEncode", "Text", clip=loaded["CLIP"], text=text)
    negative = flow.add("CLIPTextEncode", "Not wanted", clip=loaded["CLIP"], text=NEGATIVE)
    control, image = pose
    posed = flow.add(
        "ControlNetApplyAdvanced", positive=positive["CONDITIONING"], negative=negative["CONDITIONING"],
        control_net=control["CONTROL_NET"], image=image, vae=loaded["VAE"],
    )  # fmt: skip
    known = flow.add(
        "InpaintModelConditioning", positive=posed["positive"], negative=posed["negative"], vae=loaded["VAE"],
        pixels=pixels, mask=mask,
    )  # fmt: skip
    said = {name: known[name] for name in ("positive", "negative")}
    made = add_ksampler(flow, loaded["MODEL"], said, known["latent"], steps=STEPS, cfg=CFG)
    return flow.add("VAEDecode", samples=made["LATENT"], vae=loaded["VAE"])["IMAGE"]


def add_refined(flow: Flow, loaded: Node, image: Output, coarse: Output, **more: Output) -> None:
    """The refinement, and the result put back.

    Args:
        flow: what the nodes are added to.
        loaded: the checkpoint's loader.
        image: the picture.
        coarse: the completed person.
        more: further inputs of Refine anything.
    """
    with flow.group(f"{len(flow.groups) + 1}  Refined in place", Color.STAGE):
        models = {"model": loaded["MODEL"], "clip": loaded["CLIP"], "vae": loaded["VAE"]}
        given = {"image": image, "coarse": coarse, **models, **more}
        whole = flow.add_part(refine_anything_part(flow.classes), text=TEXT, **given)
        add_shown(flow, "Coarse person", coarse)
        add_shown_mask(flow, "Invisible mask", whole["invisible_mask"])
    _add_result(flow, image, whole, whole["composite"])


def _add_result(flow: Flow, image: Output, whole: Node, composite: Output | None = None) -> None:
    """The picture saved, what changed in it, and what it was refined from."""
    with flow.group(f"{len(flow.groups) + 1}  In your picture", Color.RESULT):
        if composite:
            add_shown(flow, "Composite", composite)
        add_saved(flow, "Save picture", flow.name, whole["image"])
        add_changes(flow, image, whole["image"], whole["changed_mask"])
