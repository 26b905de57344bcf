"""PHAC in a graph of stock nodes: what goes into anybody's inpainting model before stages A and C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..models.phac.prepare import (
    BOX_LIMITS,
    BOX_USES,
    CELL,
    GROUNDS,
    WHITE,
    prepare_coarse,
    prepare_refinement,
)
from ..people.crops import CropPlan
from ..people.prompts import PointPrompt
from .common import CATEGORY, prompted_batch, same_batch
from .inputs import (
    AUTOMATIC_FEATHER,
    COARSE_CROP_INPUT,
    COARSE_INPUT,
    EXACT_MASK_INPUT,
    PERSON_IMAGE_INPUT,
    VISIBLE_MASK_INPUT,
    feather_input,
    stock_model_input,
)
from .refine import completed_alpha, warn_of_empty
from .stock_model import check_sees_picture, is_sdxl, size_for
from .tensors import b1hw_to_mask, bchw_to_image, with_alpha

SIZE_INPUT = (
    "INT",
    {
        "default": 0,
        "min": 0,
        "max": 4096,
        "step": CELL,
        "tooltip": "Side of the square crop in pixels, a multiple of 8. 0: as the model that is connected "
        "(512 for Stable Diffusion 1.5, 1024 for SDXL, Flux and others); 512 without one.",
    },
)
CELLS_OUTPUT = "What the sampler draws: the same in whole latent cells, for InpaintModelConditioning."


class FiguraCoarsePrepare:
    """Stage A for stock nodes: canvas, mask and prompt picture."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": PERSON_IMAGE_INPUT,
                "visible_mask": VISIBLE_MASK_INPUT,
                "prompt": (
                    "FIGURA_PROMPT",
                    {"tooltip": "Where the person is and goes on (Point Prompt). The crop holds all of it."},
                ),
                "size": SIZE_INPUT,
                "ground": (
                    list(GROUNDS),
                    {
                        "default": WHITE,
                        "tooltip": "What is round the visible person. white (PHAC's), grey: the model draws "
                        "the person alone, and Invisible Mask and Refine Prepare follow. picture: the model "
                        "draws into the picture in a single pass, and Stitch follows.",
                    },
                ),
                "box": (
                    list(BOX_USES),
                    {
                        "default": BOX_LIMITS,
                        "tooltip": "What a box of the prompt is for. limits: only inside of it something is "
                        "drawn, and the prompt picture shows the joints alone, as public ControlNets know "
                        "them. drawn: it is drawn into the prompt picture, for a ControlNet that learned it.",
                    },
                ),
            },
            "optional": {
                "draw_mask": (
                    "MASK",
                    {
                        "tooltip": "What is to be drawn, of the picture's size, such as a hidden part "
                        "that is known. Without it: all that is not the visible person, inside the box if "
                        "there is one."
                    },
                ),
                "model": stock_model_input(
                    "The model that is to draw: it sets the size where that is 0 and, for SDXL, how thick "
                    "joints are drawn, and one that cannot see the person is refused."
                ),
            },
        }

    RETURN_TYPES = ("IMAGE", "MASK", "IMAGE", "FIGURA_CROP", "MASK")
    RETURN_NAMES = ("canvas", "noise_mask", "prompt_image", "crop", "mask")
    OUTPUT_TOOLTIPS = (
        "The crop round the person, who is kept, on the ground: the pixels of InpaintModelConditioning.",
        CELLS_OUTPUT,
        "The prompt drawn at that size, for Apply ControlNet (OpenPose).",
        "Where the crop came from, for Invisible Mask, Refine Prepare and Stitch.",
        "What is to be drawn, to the pixel, for Stitch.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = [
        "phac", "amodal", "inpaint person", "inpaint crop", "controlnet", "openpose", "complete person",
    ]  # fmt: skip
    DESCRIPTION = (
        "Prepares PHAC's coarse completion for stock nodes: any inpainting MODEL with LoRAs, ControlNets and "
        "samplers completes the person in the pose that your points ask for."
    )

    def run(
        self,
        image: Tensor,
        visible_mask: Tensor,
        prompt: Sequence[PointPrompt],
        size: int,
        ground: str,
        box: str,
        draw_mask: Tensor | None = None,
        model: Any = None,
    ) -> tuple[Tensor, Tensor, Tensor, list[CropPlan], Tensor]:
        """Pictures (B,S,S,3), masks (B,S,S), and the crops."""
        if model is not None:
            check_sees_picture(model)
        images, masks, prompts, drawn = prompted_batch(image, visible_mask, prompt, draw_mask)
        start = prepare_coarse(
            images, masks, prompts, size_for(size, model), ground=ground, box=box, draw_masks=drawn,
            bold=is_sdxl(model),
        )  # fmt: skip
        noise_mask, mask = b1hw_to_mask(start.noise_mask), b1hw_to_mask(start.mask)
        return bchw_to_image(start.canvas), noise_mask, bchw_to_image(start.prompt_image), start.plans, mask


class FiguraRefinePrepare:
    """Stage C for stock nodes: I_base and what of it is drawn again."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": PERSON_IMAGE_INPUT,
                "coarse": (
                    COARSE_INPUT[0],
                    {
                        "tooltip": "The completed person in the same place, from any generator: on white or "
                        "another plain ground, or transparent round the person."
                    },
                ),
                "visible_mask": VISIBLE_MASK_INPUT,
                "invisible_mask": (
                    "MASK",
                    {"tooltip": "What may change (Invisible Mask). All other pixels stay as they are."},
                ),
                "size": SIZE_INPUT,
            },
            "optional": {
                "exact_mask": EXACT_MASK_INPUT,
                "crop": COARSE_CROP_INPUT,
                "feather": feather_input(
                    "Width of the soft edge inside the mask, in pixels of the crop. -1: 1.5 % of its size."
                ),
                "model": stock_model_input("The model that is to refine: it sets the size where that is 0."),
            },
        }

    RETURN_TYPES = ("IMAGE", "MASK", "FIGURA_CROP", "MASK", "IMAGE", "MASK")
    RETURN_NAMES = ("base", "noise_mask", "crop", "alpha", "composite", "amodal_mask")
    OUTPUT_TOOLTIPS = (
        "A close crop of the picture with the coarse person pasted in, for InpaintModelConditioning.",
        CELLS_OUTPUT,
        "Where the crop came from, for Stitch.",
        "How far the result counts, soft towards the edge: the mask of Stitch.",
        "The whole picture with the coarse person pasted in.",
        "The whole person, visible and completed part.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["phac", "refine", "inpaint", "inpaint person", "harmonize", "fit into picture"]
    DESCRIPTION = (
        "Prepares PHAC's refinement for stock nodes: pastes the hidden part of a completed person, from any "
        "generator, into the picture, for an inpainting MODEL and a KSampler with denoise 0.5. Stitch puts "
        "the result back."
    )

    def run(
        self,
        image: Tensor,
        coarse: Tensor,
        visible_mask: Tensor,
        invisible_mask: Tensor,
        size: int,
        exact_mask: Tensor | None = None,
        crop: Sequence[CropPlan] | None = None,
        feather: float = AUTOMATIC_FEATHER,
        model: Any = None,
    ) -> tuple[Tensor, Tensor, list[CropPlan], Tensor, Tensor, Tensor]:
        """Pictures (B,S,S,3) and (B,H,W,C), masks of the same sizes, and the crops."""
        masks = [visible_mask, invisible_mask] + ([] if exact_mask is None else [exact_mask])
        images, drawn, visible, invisible, *exact = same_batch(image, coarse, *masks, crop=crop)
        warn_of_empty(invisible)
        start = prepare_refinement(
            images, drawn, visible, invisible, size_for(size, model),
            exact_masks=exact[0] if exact else None, feather_px=None if feather < 0 else feather,
        )  # fmt: skip
        alpha = completed_alpha(image, invisible, start.amodal_mask)
        return (
            bchw_to_image(start.base),
            b1hw_to_mask(start.noise_mask),
            start.plans,
            b1hw_to_mask(start.alpha),
            bchw_to_image(with_alpha(start.composite, alpha)),
            b1hw_to_mask(start.amodal_mask),
        )


NODE_CLASS_MAPPINGS = {
    "FiguraCoarsePrepare": FiguraCoarsePrepare,
    "FiguraRefinePrepare": FiguraRefinePrepare,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraCoarsePrepare": "Coarse Prepare (Figura)",
    "FiguraRefinePrepare": "Refine Prepare (Figura)",
}
