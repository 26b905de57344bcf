"""Nodes of PoCoLD: load it, and give a person another pose under DensePose control."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.diffusion.schedulers import PNDM
from ..models.pocold.checkpoint import load_mini_pocold, load_pocold, load_vae_file
from ..models.pocold.networks import PoCoLDModel
from ..models.pocold.pipeline import Given, repose_images
from ..models.pocold.sampling import PROCEDURES, STEPS, WEIGHT, Weights
from ..people.densepose import DensePose, paint_labels, read_densepose
from .common import found, progress_of, tell_unused
from .inputs import (
    AUTOMATIC,
    automatic_input,
    guidance_input,
    painting_model_input,
    procedure_input,
    scheduler_input,
    seed_input,
    steps_input,
)
from .tensors import alpha_of, bchw_to_image, broadcast_batches, image_to_bchw, mask_to_b1hw, with_alpha

CATEGORY = "Figura/PoCoLD"
PARAMETERS = 124_000_000
BYTES_PER_PIXEL = 2 * 8 * 4 * 256 // 4


class FiguraLoadPoCoLD:
    """Loads the U-Net, the source encoder, the label mapper and the VAE."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": painting_model_input(
                    found("pocold"),
                    "Nobody publishes weights of PoCoLD: for photographs train it, as its help page says, "
                    "and put the file into models/figura.",
                ),
            },
            "optional": {
                "vae": automatic_input(
                    [*found("vae"), *found("checkpoint")],
                    "The VAE that the model was trained with, such as sd-vae-ft-mse "
                    "(models/vae) or that of a Stable Diffusion 1.5 checkpoint. automatic: that of mini.",
                ),
            },
        }

    RETURN_TYPES = ("FIGURA_POCOLD",)
    RETURN_NAMES = ("pocold",)
    OUTPUT_TOOLTIPS = ("The networks, for PoCoLD Sampler.",)
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["pocold", "pose transfer", "repose", "densepose"]
    DESCRIPTION = (
        "Loads PoCoLD (Pose-Constrained Latent Diffusion): a U-Net that draws a person as DensePose labels "
        "ask and takes the looks from a source picture."
    )

    def run(self, model: str, vae: str = AUTOMATIC) -> tuple[PoCoLDModel]:
        """The model on the CPU; the host moves it when it is used."""
        host = get_host()
        path = host.find_model("pocold", model)
        if model == store.MINI:
            tell_unused(model, vae=vae)
            return (load_mini_pocold(path),)
        dtype = host.dtype(PARAMETERS)
        return (load_pocold(path, load_vae_file(find_vae(vae), dtype), dtype),)


class FiguraPoCoLDSampler:
    """A person in another pose, from a pose alone, or in another one's clothes."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "pocold": ("FIGURA_POCOLD", {"tooltip": "The networks of Load PoCoLD."}),
                "target_densepose": (
                    "FIGURA_DENSEPOSE",
                    {"tooltip": "The pose to draw. The result has its size."},
                ),
                "steps": steps_input(STEPS, "Denoising steps. 20 are enough for a look."),
                "w_pose": guidance_input(WEIGHT, "Guidance by the pose, w_p. 1 is none."),
                "w_source": guidance_input(
                    WEIGHT,
                    "Guidance by the source, w_s. 1 is none. Equal to w_pose it costs a third less time.",
                ),
                "seed": seed_input("Picture number i of the batch is made with seed + i."),
            },
            "optional": {
                "source": (
                    "IMAGE",
                    {
                        "tooltip": "The person whose looks are taken. Without it people are drawn from the "
                        "pose alone.",
                    },
                ),
                "source_densepose": (
                    "FIGURA_DENSEPOSE",
                    {
                        "tooltip": "Labels of the source, to measure how much of the attention goes to the "
                        "same body parts. The result does not depend on them.",
                    },
                ),
                "reference": (
                    "IMAGE",
                    {
                        "tooltip": "Appearance transfer: the picture in which only the mask changes. "
                        "target_densepose are its labels.",
                    },
                ),
                "mask": (
                    "MASK",
                    {
                        "tooltip": "Appearance transfer: 1 on what takes the source's looks. All else of the "
                        "reference stays bit for bit.",
                    },
                ),
                "decay": (
                    "BOOLEAN",
                    {
                        "default": False,
                        "tooltip": "Have both weights fall with the noise, down to 3, without a source "
                        "to 2. Counts for the procedure figura; released always does, paper never.",
                    },
                ),
                "scheduler": scheduler_input(PNDM, "pndm is the authors'."),
                "procedure": procedure_input(
                    PROCEDURES,
                    "released: as the authors' code, pndm along the time steps 981, 961, ..., 1, both "
                    "weights falling with the noise down to 3, of a pose without a source to 2, latents of "
                    "pictures drawn from what the VAE allows. paper: the same with constant weights. "
                    "figura: time steps from 999 on, weights as decay says. automatic: released with "
                    "weights of full size, figura with mini.",
                ),
                "show_attention": (
                    "BOOLEAN",
                    {
                        "default": True,
                        "tooltip": "Off, attention is black and matched 0, which saves one pass of the "
                        "network: about 7 % of the time.",
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("IMAGE", "IMAGE", "FLOAT", "IMAGE")
    RETURN_NAMES = ("image", "attention", "matched", "labels")
    OUTPUT_TOOLTIPS = (
        "The person in the target pose.",
        "The source's colours as the attention of the finest level carries them to the target; black without "
        "a source, or with show_attention off.",
        "Share of the body's attention that goes to the same body part, 0 to 1, of all pictures; 0 without "
        "source_densepose, or with show_attention off.",
        "The pose as the model is told it: the target's labels in the colours of the viridis map.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = [
        "pocold", "pose transfer", "repose", "re-pose", "change pose", "densepose", "virtual try on",
        "try on",
    ]  # fmt: skip
    DESCRIPTION = (
        "Draws the person of a source picture in the pose of DensePose labels (PoCoLD). Without a source it "
        "draws somebody in that pose; with a reference and a mask it dresses the person there like the "
        "source."
    )

    def run(
        self,
        pocold: PoCoLDModel,
        target_densepose: DensePose,
        steps: int,
        w_pose: float,
        w_source: float,
        seed: int,
        source: Tensor | None = None,
        source_densepose: DensePose | None = None,
        reference: Tensor | None = None,
        mask: Tensor | None = None,
        decay: bool = False,
        scheduler: str = PNDM,
        procedure: str = AUTOMATIC,
        show_attention: bool = True,
        unique_id: str | None = None,
    ) -> tuple[Tensor, Tensor, float, Tensor]:
        """Pictures, what the attention carries, the mean share, and the labels; pictures are (B,H,W,3)."""
        given = read_inputs(target_densepose, source, source_densepose, reference, mask)
        memory = BYTES_PER_PIXEL * given.target.shape[-2] * given.target.shape[-1]
        with get_host().managed(pocold, memory=memory):
            made = repose_images(
                pocold, given, weights=Weights(w_pose, w_source, decay), scheduler=scheduler, steps=steps,
                procedure=None if procedure == AUTOMATIC else procedure, seed=seed, trace=show_attention,
                on_step=progress_of(pocold, unique_id),
            )  # fmt: skip
        matched = float(made.matched.nanmean())
        kept = None if reference is None else alpha_of(reference, "reference")
        shown = (with_alpha(made.image, kept), made.carried, paint_labels(given.target))
        images = [bchw_to_image(each) for each in shown]
        return images[0], images[1], 0.0 if math.isnan(matched) else matched, images[2]


def read_inputs(
    target_densepose: DensePose,
    source: Tensor | None,
    source_densepose: DensePose | None,
    reference: Tensor | None,
    mask: Tensor | None,
) -> Given:
    """The inputs checked one by one, and repeated to one batch length.

    Args:
        target_densepose: labels (B,H,W), 0..24, of the pose to draw.
        source: IMAGE (B,H,W,3) in 0..1, whose looks are taken.
        source_densepose: labels of the source.
        reference: IMAGE (B,H,W,3) of which only the mask changes.
        mask: MASK (B,H,W), 1 on what may change.

    Raises:
        ValueError, TypeError: naming the input and what it takes.
    """
    values = broadcast_batches(
        target_densepose=read_densepose(target_densepose, "target_densepose"),
        source=None if source is None else image_to_bchw(source, "source"),
        source_densepose=None
        if source_densepose is None
        else read_densepose(source_densepose, "source_densepose"),
        reference=None if reference is None else image_to_bchw(reference, "reference"),
        mask=None if mask is None else mask_to_b1hw(mask),
    )
    return Given(*values)


def find_vae(name: str) -> Any:
    """Path of a chosen VAE; ValueError when none was chosen."""
    if name == AUTOMATIC:
        raise ValueError(
            "vae: choose the VAE that the model was trained with, such as sd-vae-ft-mse (models/vae); "
            "automatic goes with the model mini only"
        )
    return get_host().find_model("vae" if name in found("vae") else "checkpoint", name)


NODE_CLASS_MAPPINGS = {"FiguraLoadPoCoLD": FiguraLoadPoCoLD, "FiguraPoCoLDSampler": FiguraPoCoLDSampler}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraLoadPoCoLD": "Load PoCoLD (Figura)",
    "FiguraPoCoLDSampler": "PoCoLD Sampler (Figura)",
}
