"""Nodes of PHAC's stages A and B: load the networks, complete the person, find what was invisible."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.diffusion.schedulers import DDIM
from ..models.phac.checkpoint import apply_change, is_change, load_mini_phac, load_phac
from ..models.phac.invisible import invisible_images
from ..models.phac.networks import PHACModel
from ..models.phac.pipeline import complete_images
from ..models.phac.plans import CoarseModel
from ..people.crops import CropPlan
from ..people.prompts import PointPrompt
from .common import (
    CATEGORY,
    find_stack,
    found,
    progress_of,
    prompted_batch,
    same_batch,
    stack_options,
    tell_unused,
    warn_of_other_shape,
    working_memory,
)
from .inputs import (
    AUTOMATIC,
    COARSE_CROP_INPUT,
    COARSE_INPUT,
    PERSON_IMAGE_INPUT,
    PERSON_TEXT_INPUT,
    VISIBLE_MASK_INPUT,
    automatic_input,
    count_input,
    guidance_input,
    painting_model_input,
    scheduler_input,
    seed_input,
    steps_input,
    strength_input,
    text_and_vae_input,
    threshold_input,
    vae_input,
)
from .tensors import b1hw_to_mask, bchw_to_image, broadcast_batches, repeat_batch

logger = logging.getLogger(__name__)

MASK_NET_FILE, AMODAL_NET_FILE = "invisible_mask.safetensors", "amodal_mask.safetensors"
AUTOMATIC_DILATION = -1


class FiguraLoadPHAC:
    """Loads the networks of PHAC's coarse stage and its invisible-mask network."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        checkpoints = found("checkpoint")
        return {
            "required": {
                "model": painting_model_input(
                    checkpoints,
                    "For photographs choose a Stable Diffusion 1.5 inpainting checkpoint "
                    "(models/checkpoints). pix2gestalt's checkpoint is taken, too (CC BY-NC 4.0: not for "
                    "commercial use); it completes what the visible mask shows without points or text.",
                ),
            },
            "optional": {
                "prompt_network": automatic_input(
                    [*found("controlnet"), *found("phac")],
                    "What reads the prompt picture. automatic: that of mini; none with pix2gestalt. With "
                    "another checkpoint choose an OpenPose ControlNet for SD1.5 (models/controlnet), or a "
                    "PHAC file trained with Figura on that checkpoint (models/figura).",
                ),
                "text_and_vae": text_and_vae_input(checkpoints),
                "vae": vae_input(found("vae")),
            },
        }

    RETURN_TYPES = ("FIGURA_PHAC",)
    RETURN_NAMES = ("phac",)
    OUTPUT_TOOLTIPS = ("The networks, for PHAC Sampler and Invisible Mask.",)
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["phac", "amodal", "amodal completion"]
    DESCRIPTION = (
        "Loads Promptable Human Amodal Completion: an inpainting U-Net, the ControlNets that read your "
        "points, one for each kind of prompt, and the network that finds the invisible part."
    )

    def run(
        self,
        model: str,
        prompt_network: str = AUTOMATIC,
        text_and_vae: str = AUTOMATIC,
        vae: str = AUTOMATIC,
    ) -> tuple[CoarseModel]:
        """The model on the CPU; the host moves it when it is used."""
        host = get_host()
        if model == store.MINI:
            tell_unused(model, text_and_vae=text_and_vae, vae=vae)
            return (load_mini_with(prompt_network),)
        checkpoint, parts = find_stack(model, text_and_vae)
        mini = host.find_model("phac", store.MINI)
        loaded = load_phac(
            checkpoint,
            find_prompt_network(prompt_network),
            mini / MASK_NET_FILE,
            host.clip_tokenizer(),
            amodal_net=mini / AMODAL_NET_FILE,
            parts=parts,
            operations=host.operations(),
            **stack_options(vae),
        )
        return (loaded,)


class FiguraPHACSampler:
    """Stage A: I_cc from I_ic, M_v, the prompt and a text, by denoising from pure noise."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "phac": ("FIGURA_PHAC", {"tooltip": "The networks of Load PHAC."}),
                "image": PERSON_IMAGE_INPUT,
                "visible_mask": VISIBLE_MASK_INPUT,
                "prompt": (
                    "FIGURA_PROMPT",
                    {
                        "tooltip": "Where the person is and goes on (Point Prompt). Each kind of prompt has "
                        "a ControlNet of its own; a box that the model has none for only limits where the "
                        "hidden part may be."
                    },
                ),
                "text": PERSON_TEXT_INPUT,
                "steps": steps_input(20, "Denoising steps."),
                "cfg": guidance_input(
                    2.0,
                    "How strongly text and points count (with a public ControlNet the text "
                    "alone); 1 is no guidance and twice as fast. "
                    "Full-size models: about 5.",
                ),
                "seed": seed_input("Picture number i of the output is made with seed + i."),
                "control_strength": strength_input("How strictly the points are followed; 0 ignores them."),
                "count": count_input("Candidates per picture, each with a seed of its own."),
            },
            "optional": {"scheduler": scheduler_input(DDIM)},
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("IMAGE", "LATENT")
    RETURN_NAMES = ("coarse", "latent")
    OUTPUT_TOOLTIPS = (
        "The whole person alone on white, in the place and at the size of the picture. Coarse: "
        "Inpaint Refiner puts it into the picture.",
        "The latents of the square crop round the person, in the model's own latent space.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = [
        "phac", "amodal", "amodal completion", "complete person", "inpaint person", "occluded",
        "deocclusion", "uncrop person",
    ]  # fmt: skip
    DESCRIPTION = (
        "Completes a partly hidden person in the pose that your points ask for (PHAC, stage A). The person "
        "is cropped, worked on at the model's size, and put back."
    )

    def run(
        self,
        phac: CoarseModel,
        image: Tensor,
        visible_mask: Tensor,
        prompt: Sequence[PointPrompt],
        text: str,
        steps: int,
        cfg: float,
        seed: int,
        control_strength: float,
        count: int = 1,
        scheduler: str = DDIM,
        unique_id: str | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Coarse pictures (B*count,H,W,3) and latents."""
        images, masks, prompts, _ = prompted_batch(image, visible_mask, prompt)
        images, masks = (
            repeat_batch(each, count) if len(each) == 1 else each.repeat(count, 1, 1, 1)
            for each in (images, masks)
        )
        prompts = list(prompts) * count
        warn_of_small(images, phac)
        host = get_host()
        with host.managed(phac, memory=working_memory(phac)) as model:
            coarse, latents = complete_images(
                model, images, masks, prompts, [text] * len(images), steps=steps, cfg=cfg, seed=seed,
                control_strength=control_strength, scheduler=scheduler, on_step=progress_of(model, unique_id),
            )  # fmt: skip
        return bchw_to_image(coarse), {"samples": latents / phac.vae.config.scaling_factor}


class FiguraInvisibleMask:
    """Stage B: M_iv = U_iv(I_ic, I_cc, M_v), thresholded and dilated."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "phac": ("FIGURA_PHAC", {"tooltip": "The networks of Load PHAC."}),
                "image": ("IMAGE", {"tooltip": "The picture with the partly hidden person."}),
                "coarse": COARSE_INPUT,
                "visible_mask": VISIBLE_MASK_INPUT,
                "threshold": threshold_input(
                    "Pixels more probable than this belong to the mask; lower takes more."
                ),
                "dilation": (
                    "INT",
                    {
                        "default": AUTOMATIC_DILATION,
                        "min": AUTOMATIC_DILATION,
                        "max": 1024,
                        "tooltip": "How far the mask grows, in pixels of the picture, so that the seam lies "
                        "inside it. -1: 3 % of the crop round the person.",
                    },
                ),
            },
            "optional": {
                "prompt": (
                    "FIGURA_PROMPT",
                    {
                        "tooltip": "The prompt that the coarse picture was made by. Mini's network sees its "
                        "joints and boxes, and what Amodal Mask makes of them, and it looks round the "
                        "visible part and all of them. If the model has no ControlNet for its box, the mask "
                        "stays inside the box."
                    },
                ),
                "crop": COARSE_CROP_INPUT,
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("MASK", "MASK")
    RETURN_NAMES = ("invisible_mask", "exact_mask")
    OUTPUT_TOOLTIPS = (
        "What may change: the hidden part of the person, dilated.",
        "The hidden part of the person before dilation.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["phac", "amodal", "occluded", "hidden part", "inpaint mask"]
    DESCRIPTION = "Finds the part of the person that is hidden in the picture (PHAC, stage B)."

    def run(
        self,
        phac: CoarseModel,
        image: Tensor,
        coarse: Tensor,
        visible_mask: Tensor,
        threshold: float,
        dilation: int,
        prompt: Sequence[PointPrompt] | None = None,
        crop: Sequence[CropPlan] | None = None,
        unique_id: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Two masks (B,H,W), 0 or 1."""
        images, drawn, masks = same_batch(image, coarse, visible_mask, crop=crop)
        warn_of_other_shape(prompt, (images.shape[-2], images.shape[-1]))
        images, drawn, masks, prompts, plans = broadcast_batches(
            image=images, coarse=drawn, visible_mask=masks, prompt=prompt or None, crop=crop
        )
        host = get_host()
        radius = None if dilation < 0 else float(dilation)
        with host.managed(phac) as model:
            dilated, exact = invisible_images(
                model, images, drawn, masks, threshold=threshold, dilation_px=radius, prompts=prompts,
                plans=plans, on_part=host.progress(len(images), unique_id).step,
            )  # fmt: skip
        return b1hw_to_mask(dilated), b1hw_to_mask(exact)


def warn_of_small(images: Tensor, phac: CoarseModel) -> None:
    """Log that pictures are smaller than what the model works at, as after a crop made for another one."""
    height, width = images.shape[-2:]
    if max(height, width) < phac.size:
        logger.warning(
            "the picture has %d x %d pixels and is enlarged to the %d of %s: if it is a crop, connect Load "
            "PHAC to Crop Person and set width and height to 0",
            width, height, phac.size, phac.name,
        )  # fmt: skip


def load_mini_with(prompt_network: str) -> PHACModel:
    """Mini, with a PHAC file that was trained on it in the place of its own for that kind of prompt."""
    host = get_host()
    mini = load_mini_phac(host.find_model("phac", store.MINI), host.operations())
    own = find_prompt_network(prompt_network)
    if own is not None and is_change(own):
        apply_change(mini, own)
    else:
        tell_unused(store.MINI, prompt_network=prompt_network)
    return mini


def find_prompt_network(name: str) -> Path | None:
    """Path of a ControlNet or of a trained PHAC file; None when none was chosen."""
    if name == AUTOMATIC:
        return None
    return get_host().find_model("controlnet" if name in found("controlnet") else "phac", name)


NODE_CLASS_MAPPINGS = {
    "FiguraLoadPHAC": FiguraLoadPHAC,
    "FiguraPHACSampler": FiguraPHACSampler,
    "FiguraInvisibleMask": FiguraInvisibleMask,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraLoadPHAC": "Load PHAC (Figura)",
    "FiguraPHACSampler": "PHAC Sampler (Figura)",
    "FiguraInvisibleMask": "Invisible Mask (Figura)",
}
