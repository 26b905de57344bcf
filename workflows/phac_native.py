"""PHAC on photographs with anybody's models: ComfyUI's loaders and KSampler, Figura's points and masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..headless.native_nodes import SD15_INPAINTING, SD15_OPENPOSE, SDXL_INPAINTING, SDXL_OPENPOSE
from ..models.phac.networks import CUTOUT_SUFFIX
from ..models.phac.prepare import PICTURE
from .flow import Color, Flow, Node, Output
from .parts import add_invisible, add_ksampler, add_saved, add_saved_mask, add_stitched
from .phac import points_text
from .photo import GIVEN, IMAGE_NAME, ROI_BOX, SEEN, SIDE, TEXT

NEGATIVE = "deformed, extra limbs, text, frame, blurry"
REFINE_STRENGTH = 0.5
STEPS, CFG, REFINE_CFG = 20, 5.0, 4.0

WHAT_TO_CHANGE = """\
**What to set**

1. **Load Image**: your picture. (The one named here comes with Figura: NASA's portrait of Eileen Collins,
   public domain, with a board painted over her arm.)
2. **Point Prompt**: the joints. Import finds those that can be seen; place three or four where the hidden
   ones are.
3. **Text**: what the person wears.
4. {size}
"""
KEEPS = "Outside the mask every pixel of your picture stays bit for bit what it was."
ANYTHING = """\
LoRAs, IP-Adapters, other samplers, fp8 or GGUF loaders go where they always go: between the loader and
**KSampler**.
"""

NATIVE_NOTE = """\
A hidden arm completed with a stock inpainting model: no weights of Figura paint anything. It needs
{files}: ComfyUI offers to download what is missing when this workflow is opened.

**Coarse Prepare** cuts out the person, kept on white, and draws the points for an OpenPose ControlNet; the
model completes the person alone. **Invisible Mask** finds the hidden part of it, **Refine Prepare** pastes
that in, the same model draws it again at half strength, **Stitch** puts it back. {keeps}

{change}
{anything}"""
SIZE_IN_TWO = "**Size**: 0 follows the model; other sizes (512, 768, 1024 ...) go to both stages."

ONE_PASS_NOTE = """\
A hidden arm drawn straight into the picture: one pass, for models that inpaint well by themselves. It needs
{files}: ComfyUI offers to download what is missing when this workflow is opened.

**Amodal Mask** says where the hidden part is, from the visible one and your points, inside the box of
the prompt; **Coarse Prepare** with `ground` on picture gives the crop as it is, and that part to be drawn.
{keeps}

{change}
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
Other inpainting models do as well; `denoise` 0.5 is what PHAC's authors found best. {keeps}

{anything}"""


def phac_native_sd15(classes: Mapping[str, Any]) -> Flow:
    """Both stages with Stable Diffusion 1.5."""
    return _two_stages(Flow("phac_native_sd15", classes), SD15_INPAINTING, SD15_OPENPOSE)


def phac_native_sdxl(classes: Mapping[str, Any]) -> Flow:
    """Both stages with SDXL."""
    return _two_stages(Flow("phac_native_sdxl", classes), SDXL_INPAINTING, SDXL_OPENPOSE)


def _two_stages(flow: Flow, checkpoint: str, controlnet: str) -> Flow:
    change = WHAT_TO_CHANGE.format(size=SIZE_IN_TWO)
    files = f"`{checkpoint}` and `{controlnet}`"
    flow.note(
        "Complete a person with your own models (PHAC)",
        NATIVE_NOTE.format(files=files, keeps=KEEPS, change=change, anything=ANYTHING),
    )
    photo, prompt = add_photo(flow)
    seen = add_visible(flow, photo, prompt)
    with flow.group("3  Your model, and the size", Color.INPUT):
        loaded, control = add_own_model(flow, checkpoint, controlnet)
        size = flow.add("PrimitiveInt", "Size (0: the model's)", value=0)
    with flow.group("4  The whole person, coarsely", Color.STAGE):
        start = flow.add(
            "FiguraCoarsePrepare",
            image=photo["IMAGE"],
            visible_mask=seen,
            prompt=prompt["prompt"],
            size=size["INT"],
            model=loaded["MODEL"],
        )
        add_saved(flow, "Save canvas", f"{flow.name}_canvas", start["canvas"])
        add_saved(flow, "Save prompt", f"{flow.name}_prompt", start["prompt_image"])
        coarse = add_sampled(flow, loaded, start["canvas"], start["noise_mask"], TEXT + CUTOUT_SUFFIX, CFG,
                             pose=(control, start["prompt_image"]))  # fmt: skip
        add_saved(flow, "Save coarse completion", f"{flow.name}_coarse", coarse)
    with flow.group("5  What is hidden", Color.MASK):
        masks = flow.add("FiguraLoadPHAC")
        hidden = add_invisible(
            flow,
            f"{flow.name}_invisible",
            masks,
            image=photo["IMAGE"],
            coarse=coarse,
            visible_mask=seen,
            prompt=prompt["prompt"],
            crop=start["crop"],
        )
    add_refined(flow, loaded, photo, coarse, seen, hidden, size=size["INT"], crop=start["crop"])
    return flow


def phac_native_one_pass(classes: Mapping[str, Any]) -> Flow:
    """The hidden part drawn into the picture at once."""
    flow = Flow("phac_native_one_pass", classes)
    change = WHAT_TO_CHANGE.format(size="**Coarse Prepare**, `size`: 0 follows the model.")
    files = f"`{SDXL_INPAINTING}` and `{SDXL_OPENPOSE}`"
    flow.note(
        "Complete a person in one pass, with your own model",
        ONE_PASS_NOTE.format(files=files, keeps=KEEPS, change=change, anything=ANYTHING),
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
        add_saved(flow, "Save prompt", f"{flow.name}_prompt", start["prompt_image"])
        add_saved_mask(flow, "Save mask", f"{flow.name}_mask", start["mask"])
        drawn = add_sampled(
            flow,
            loaded,
            start["canvas"],
            start["noise_mask"],
            TEXT,
            CFG,
            pose=(control, start["prompt_image"]),
        )
    with flow.group("5  Back into the picture", Color.RESULT):
        add_stitched(flow, flow.name, photo["IMAGE"], patch=drawn, crop=start["crop"], mask=start["mask"])
    return flow


def refine_anything(classes: Mapping[str, Any]) -> Flow:
    """The refinement behind any generator."""
    flow = Flow("refine_anything", classes)
    change = WHAT_TO_CHANGE.format(size="**Refine Prepare**, `size`: 0 follows the model.")
    flow.note(
        "Make any completed person fit (PHAC's refinement)",
        REFINE_NOTE.format(files=f"`{SDXL_INPAINTING}`", keeps=KEEPS, change=change, anything=ANYTHING),
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
        add_saved(flow, "Save coarse completion", f"{flow.name}_coarse", coarse["coarse"], new_column=True)
    with flow.group("4  What is hidden", Color.MASK):
        hidden = add_invisible(
            flow,
            f"{flow.name}_invisible",
            masks,
            image=photo["IMAGE"],
            coarse=coarse["coarse"],
            visible_mask=seen,
            prompt=prompt["prompt"],
        )
    with flow.group("5  Your model", Color.INPUT):
        loaded = flow.add("CheckpointLoaderSimple", ckpt_name=SDXL_INPAINTING)
    add_refined(flow, loaded, photo, coarse["coarse"], seen, hidden)
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
        add_saved_mask(flow, "Save visible mask", f"{flow.name}_visible", seen["visible_mask"])
    return seen["visible_mask"]


def add_sampled(
    flow: Flow,
    loaded: Node,
    pixels: Output,
    mask: Output,
    text: str,
    cfg: float,
    denoise: float = 1.0,
    pose: tuple[Node, Output] | None = None,
) -> Output:
    """What a stock inpainting model makes of pixels inside a mask.

    Args:
        flow: what the nodes are added to.
        loaded: the checkpoint's loader.
        pixels, mask: as InpaintModelConditioning takes them.
        text: what is to be seen.
        cfg, denoise: of KSampler.
        pose: the loader of a ControlNet, and its picture.
    """
    positive = flow.add("CLIPTextEncode", "Text", clip=loaded["CLIP"], text=text, new_column=True)
    negative = flow.add("CLIPTextEncode", "Not wanted", clip=loaded["CLIP"], text=NEGATIVE)
    said: dict[str, Any] = {"positive": positive["CONDITIONING"], "negative": negative["CONDITIONING"]}
    if pose is not None:
        control, image = pose
        posed = flow.add(
            "ControlNetApplyAdvanced",
            **said,
            control_net=control["CONTROL_NET"],
            image=image,
            vae=loaded["VAE"],
        )
        said = {name: posed[name] for name in said}
    known = flow.add("InpaintModelConditioning", **said, vae=loaded["VAE"], pixels=pixels, mask=mask)
    said = {name: known[name] for name in said}
    made = add_ksampler(
        flow, loaded["MODEL"], said, known["latent"], steps=STEPS, cfg=cfg, denoise=denoise, new_column=True
    )
    return flow.add("VAEDecode", samples=made["LATENT"], vae=loaded["VAE"])["IMAGE"]


def add_refined(
    flow: Flow, loaded: Node, photo: Node, coarse: Output, seen: Output, hidden: Node, **more: Any
) -> None:
    """The refinement, and the result put back.

    Args:
        flow: what the nodes are added to.
        loaded: the checkpoint's loader.
        photo: the picture's loader.
        coarse: the completed person.
        seen: the visible mask.
        hidden: the node of the invisible mask.
        more: further inputs of Refine Prepare.
    """
    with flow.group("6  Refined in place", Color.STAGE):
        start = flow.add(
            "FiguraRefinePrepare",
            image=photo["IMAGE"],
            coarse=coarse,
            visible_mask=seen,
            invisible_mask=hidden["invisible_mask"],
            exact_mask=hidden["exact_mask"],
            model=loaded["MODEL"],
            **more,
        )
        add_saved(flow, "Save composite", f"{flow.name}_composite", start["composite"])
        refined = add_sampled(
            flow, loaded, start["base"], start["noise_mask"], TEXT, REFINE_CFG, denoise=REFINE_STRENGTH
        )
    with flow.group("7  Back into the picture", Color.RESULT):
        add_stitched(
            flow,
            flow.name,
            photo["IMAGE"],
            patch=refined,
            crop=start["crop"],
            mask=start["alpha"],
            within=hidden["invisible_mask"],
        )
