"""The subgraphs: what a whole chain of nodes does, as one node. They ship as blueprints, too (subgraphs/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .flow import Color, Subgraph
from .parts import add_ksampler

MINI_STEPS, MINI_SCHEDULER = 20, "ddim"
NEGATIVE = "deformed, extra limbs, text, frame, blurry"
REFINE_STEPS, REFINE_CFG, REFINE_STRENGTH = 20, 4.0, 0.5


def complete_person(classes: Mapping[str, Any]) -> Subgraph:
    """PHAC from a picture of any size and a prompt to the picture with the whole person."""
    part = Subgraph(
        "complete_person", classes, "Complete this person",
        "Completes a partly hidden person where the points of Point Prompt say, and leaves every other pixel "
        "as it was.",
    )  # fmt: skip
    image, prompt = part.takes("image", "FiguraCropPerson"), part.takes("prompt", "FiguraPHACSampler")
    text, seed = part.takes("text", "FiguraPHACSampler"), part.takes("seed", "FiguraPHACSampler")
    with part.group("1  The part round the person", Color.PROMPT):
        phac = part.add("FiguraLoadPHAC")
        crop = part.add("FiguraCropPerson", image=image, width=0, height=0, prompt=prompt, phac=phac["phac"])
    with part.group("2  What can be seen", Color.MASK):
        sam = part.add("FiguraLoadSAM")
        seen = part.add("FiguraVisibleMask", sam=sam["sam"], image=crop["image"], prompt=crop["prompt"])
    with part.group("3  The whole person, coarsely", Color.STAGE):
        coarse = part.add(
            "FiguraPHACSampler", phac=phac["phac"], image=crop["image"], visible_mask=seen["visible_mask"],
            prompt=crop["prompt"], text=text, seed=seed,
        )  # fmt: skip
    with part.group("4  What is hidden", Color.MASK):
        hidden = part.add(
            "FiguraInvisibleMask", phac=phac["phac"], image=crop["image"], coarse=coarse["coarse"],
            visible_mask=seen["visible_mask"], prompt=crop["prompt"],
        )  # fmt: skip
    with part.group("5  Refined, and back into the picture", Color.RESULT):
        loaded = part.add("FiguraLoadRefiner")
        refined = part.add(
            "FiguraInpaintRefiner", refiner=loaded["refiner"], image=crop["image"], coarse=coarse["coarse"],
            visible_mask=seen["visible_mask"], invisible_mask=hidden["invisible_mask"],
            exact_mask=hidden["exact_mask"], text=text,
        )  # fmt: skip
        whole = part.add(
            "FiguraStitch", image=image, patch=refined["image"], crop=crop["crop"],
            mask=refined["changed_mask"],
        )  # fmt: skip
        placed = part.add(
            "FiguraStitch", "Visible mask in the picture", image=image, patch=crop["image"],
            crop=crop["crop"], mask=seen["visible_mask"],
        )  # fmt: skip
    part.gives(
        image=whole["image"], changed_mask=whole["changed_mask"], coarse=coarse["coarse"],
        visible_mask=seen["visible_mask"], invisible_mask=hidden["invisible_mask"],
        visible_in_picture=placed["changed_mask"],
    )  # fmt: skip
    return part


def repose_person(classes: Mapping[str, Any]) -> Subgraph:
    """CFLD with its loader."""
    part = Subgraph(
        "repose_person", classes, "Re-pose this person",
        "Draws the person of a picture in the pose of the joints you give (CFLD).",
    )  # fmt: skip
    source = part.takes("source", "FiguraCFLDSampler")
    pose = part.takes("pose_keypoint", "FiguraCFLDSampler")
    names = ("w_pose", "w_app", "seed")
    fields: dict[str, Any] = {name: part.takes(name, "FiguraCFLDSampler") for name in names}
    with part.group("Drawn in that pose", Color.STAGE):
        loaded = part.add("FiguraLoadCFLD")
        drawn = part.add(
            "FiguraCFLDSampler", cfld=loaded["cfld"], source=source, pose_keypoint=pose, steps=MINI_STEPS,
            scheduler=MINI_SCHEDULER, **fields,
        )  # fmt: skip
    part.gives(image=drawn["image"], skeleton=drawn["skeleton"])
    return part


def refine_anything_part(classes: Mapping[str, Any]) -> Subgraph:
    """PHAC's refinement with any inpainting model of ComfyUI."""
    part = Subgraph(
        "refine_anything", classes, "Refine anything",
        "Fits a person that any generator completed into the picture: finds the hidden part, pastes it, and "
        "draws it again with your inpainting model. Every other pixel stays as it was.",
    )  # fmt: skip
    image, coarse = part.takes("image", "FiguraRefinePrepare"), part.takes("coarse", "FiguraRefinePrepare")
    seen = part.takes("visible_mask", "FiguraRefinePrepare")
    model, clip = part.takes("model", "KSampler"), part.takes("clip", "CLIPTextEncode")
    vae, prompt = part.takes("vae", "VAEDecode"), part.takes("prompt", "FiguraInvisibleMask")
    crop = part.takes("crop", "FiguraRefinePrepare")
    text, seed = part.takes("text", "CLIPTextEncode"), part.takes("seed", "KSampler")
    denoise = part.takes("denoise", "KSampler", default=REFINE_STRENGTH)
    size = part.takes("size", "FiguraRefinePrepare")
    with part.group("1  What is hidden", Color.MASK):
        phac = part.add("FiguraLoadPHAC")
        hidden = part.add(
            "FiguraInvisibleMask", phac=phac["phac"], image=image, coarse=coarse, visible_mask=seen,
            prompt=prompt, crop=crop,
        )  # fmt: skip
    with part.group("2  Pasted in", Color.STAGE):
        start = part.add(
            "FiguraRefinePrepare", image=image, coarse=coarse, visible_mask=seen,
            invisible_mask=hidden["invisible_mask"], exact_mask=hidden["exact_mask"], model=model,
            size=size, crop=crop,
        )  # fmt: skip
    with part.group("3  Drawn again", Color.STAGE):
        positive = part.add("CLIPTextEncode", "Text", clip=clip, text=text)
        negative = part.add("CLIPTextEncode", "Not wanted", clip=clip, text=NEGATIVE)
        known = part.add(
            "InpaintModelConditioning", positive=positive["CONDITIONING"], negative=negative["CONDITIONING"],
            vae=vae, pixels=start["base"], mask=start["noise_mask"],
        )  # fmt: skip
        said = {name: known[name] for name in ("positive", "negative")}
        settings: dict[str, Any] = {
            "seed": seed,
            "steps": REFINE_STEPS,
            "cfg": REFINE_CFG,
            "denoise": denoise,
        }
        drawn = add_ksampler(part, model, said, known["latent"], **settings)
        decoded = part.add("VAEDecode", samples=drawn["LATENT"], vae=vae)
    with part.group("4  Back into the picture", Color.RESULT):
        whole = part.add(
            "FiguraStitch", image=image, patch=decoded["IMAGE"], crop=start["crop"], mask=start["alpha"],
            within=hidden["invisible_mask"],
        )  # fmt: skip
    part.gives(
        image=whole["image"], changed_mask=whole["changed_mask"], composite=start["composite"],
        invisible_mask=hidden["invisible_mask"],
    )  # fmt: skip
    return part


SUBGRAPHS: tuple[Callable[[Mapping[str, Any]], Subgraph], ...] = (
    complete_person,
    repose_person,
    refine_anything_part,
)
