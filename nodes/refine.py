"""Nodes of PHAC's stage C: an inpainting model makes the completed part fit. For any generator."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.diffusion.compose import said_of_empty
from ..models.diffusion.schedulers import DDIM
from ..models.phac.checkpoint import load_mini_refiner, load_refiner
from ..models.phac.networks import Inpainter
from ..models.phac.pipeline import refine_images
from ..people.crops import CropPlan
from ..people.naming import in_picture
from .common import (
    CATEGORY,
    find_stack,
    found,
    progress_of,
    same_batch,
    stack_options,
    tell_unused,
    working_memory,
)
from .inputs import (
    AUTOMATIC,
    AUTOMATIC_FEATHER,
    COARSE_CROP_INPUT,
    COARSE_INPUT,
    EXACT_MASK_INPUT,
    PERSON_IMAGE_INPUT,
    PERSON_TEXT_INPUT,
    VISIBLE_MASK_INPUT,
    feather_input,
    guidance_input,
    painting_model_input,
    scheduler_input,
    seed_input,
    steps_input,
    text_and_vae_input,
    vae_input,
)
from .tensors import alpha_of, b1hw_to_mask, bchw_to_image, with_alpha

logger = logging.getLogger(__name__)


class FiguraLoadRefiner:
    """Loads an inpainting model for the refinement."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        checkpoints = found("checkpoint")
        return {
            "required": {
                "model": painting_model_input(
                    checkpoints,
                    "For photographs choose an inpainting checkpoint of SDXL or Stable Diffusion 1.5 "
                    "(models/checkpoints).",
                ),
            },
            "optional": {
                "text_and_vae": text_and_vae_input(checkpoints),
                "vae": vae_input(found("vae")),
            },
        }

    RETURN_TYPES = ("FIGURA_REFINER",)
    RETURN_NAMES = ("refiner",)
    OUTPUT_TOOLTIPS = ("The networks, for Inpaint Refiner.",)
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["phac", "refine", "inpaint"]
    DESCRIPTION = (
        "Loads the inpainting model with which PHAC refines: mini, SD1.5 inpainting or SDXL inpainting."
    )

    def run(self, model: str, text_and_vae: str = AUTOMATIC, vae: str = AUTOMATIC) -> tuple[Inpainter]:
        """The refiner on the CPU; the host moves it when it is used."""
        host = get_host()
        if model == store.MINI:
            tell_unused(model, text_and_vae=text_and_vae, vae=vae)
            return (load_mini_refiner(host.find_model("refiner", store.MINI)),)
        checkpoint, parts = find_stack(model, text_and_vae)
        options = stack_options(vae)
        return (load_refiner(checkpoint, host.clip_tokenizer(), parts=parts, **options),)


class FiguraInpaintRefiner:
    """Stage C: I_base, noise of strength s inside the dilated M_iv only, a few steps of inpainting."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "refiner": ("FIGURA_REFINER", {"tooltip": "The networks of Load Refiner."}),
                "image": PERSON_IMAGE_INPUT,
                "coarse": COARSE_INPUT,
                "visible_mask": VISIBLE_MASK_INPUT,
                "invisible_mask": (
                    "MASK",
                    {
                        "tooltip": "What may change (Invisible Mask). All pixels outside stay exactly "
                        "as they are."
                    },
                ),
                "text": PERSON_TEXT_INPUT,
                "strength": (
                    "FLOAT",
                    {
                        "default": 0.5,
                        "min": 0.01,
                        "max": 1.0,
                        "step": 0.01,
                        "tooltip": "Noise strength s: low leaves the seam, high forgets the coarse picture. "
                        "The paper found 0.5 best.",
                    },
                ),
                "steps": steps_input(20, "Exactly so many steps are executed, whatever the strength."),
                "cfg": guidance_input(
                    1.0,
                    "How strongly the text counts; 1 is no guidance and twice as fast, and "
                    "right for mini. Full-size models: 3 to 7.",
                ),
                "seed": seed_input("Picture number i of the batch is made with seed + i."),
            },
            "optional": {
                "exact_mask": EXACT_MASK_INPUT,
                "feather": feather_input(
                    "Width of the soft edge inside the mask, in pixels of the model. -1: 1.5 % of its size."
                ),
                "scheduler": scheduler_input(DDIM),
                "crop": COARSE_CROP_INPUT,
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("IMAGE", "IMAGE", "MASK", "IMAGE", "MASK")
    RETURN_NAMES = ("image", "composite", "changed_mask", "cutout", "amodal_mask")
    OUTPUT_TOOLTIPS = (
        "The picture with the completed person in front of what hid it; outside changed_mask it is the "
        "input exactly.",
        "The same before the refinement: the coarse person pasted in.",
        "What was changed.",
        "The whole person alone on white.",
        "The whole person, visible and completed part: the alpha of the cutout.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["phac", "refine", "inpaint", "inpaint person", "harmonize", "seam", "detailer"]
    DESCRIPTION = (
        "Makes a completed person fit the picture: pastes the hidden part in, adds a little noise there and "
        "nowhere else, and lets an inpainting model remove it (PHAC, stage C). Works behind any generator."
    )

    def run(
        self,
        refiner: Inpainter,
        image: Tensor,
        coarse: Tensor,
        visible_mask: Tensor,
        invisible_mask: Tensor,
        text: str,
        strength: float,
        steps: int,
        cfg: float,
        seed: int,
        exact_mask: Tensor | None = None,
        feather: float = AUTOMATIC_FEATHER,
        scheduler: str = DDIM,
        crop: Sequence[CropPlan] | None = None,
        unique_id: str | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Pictures (B,H,W,3), those with the input's alpha (B,H,W,4), and masks (B,H,W)."""
        masks = [visible_mask, invisible_mask] + ([] if exact_mask is None else [exact_mask])
        images, drawn, visible, invisible, *exact = same_batch(image, coarse, *masks, crop=crop)
        warn_of_empty(invisible)
        host = get_host()
        with host.managed(refiner, memory=working_memory(refiner)) as model:
            refined = refine_images(
                model, images, drawn, visible, invisible, [text] * len(images), strength=strength,
                steps=steps, cfg=cfg, seed=seed, scheduler=scheduler, exact_masks=exact[0] if exact else None,
                feather_px=None if feather < 0 else feather, on_step=progress_of(model, unique_id),
            )  # fmt: skip
        alpha = completed_alpha(image, refined.changed_mask, refined.amodal_mask)
        made, composite = (bchw_to_image(with_alpha(x, alpha)) for x in (refined.image, refined.composite))
        changed, amodal = b1hw_to_mask(refined.changed_mask), b1hw_to_mask(refined.amodal_mask)
        return made, composite, changed, bchw_to_image(refined.cutout), amodal


def completed_alpha(image: Tensor, changed_mask: Tensor, amodal_mask: Tensor) -> Tensor | None:
    """The alpha (B,1,H,W) of a picture whose person was completed; None for a picture without alpha.

    What was changed shows the person, also where the picture had been transparent; elsewhere alpha is the
    picture's own, bit for bit.

    Args:
        image: IMAGE (B,H,W,C).
        changed_mask, amodal_mask: (B,1,H,W), what was changed and the whole person.
    """
    alpha = alpha_of(image)
    if alpha is None:
        return None
    return torch.where(changed_mask > 0.5, torch.maximum(alpha, amodal_mask), alpha)


def warn_of_empty(masks: Tensor) -> None:
    """Log which pictures have nothing to change."""
    for index, mask in enumerate(masks):
        if not bool(torch.any(mask > 0.5)):
            which = in_picture("invisible_mask", index, len(masks))
            logger.warning("%s %s: the picture comes back as it was", which, said_of_empty(mask))


NODE_CLASS_MAPPINGS = {"FiguraLoadRefiner": FiguraLoadRefiner, "FiguraInpaintRefiner": FiguraInpaintRefiner}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraLoadRefiner": "Load Refiner (Figura)",
    "FiguraInpaintRefiner": "Inpaint Refiner (Figura)",
}
