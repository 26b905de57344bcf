"""Nodes of CFLD: load it, and give the person of a picture another pose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.cfld.checkpoint import load_cfld, load_mini_cfld
from ..models.cfld.networks import CFLDModel
from ..models.cfld.pipeline import Given, repose_images
from ..models.cfld.sampling import STEPS, WEIGHT, Weights
from ..models.diffusion.schedulers import DDPM
from ..people.keypoints import read_pose_keypoint
from . import inputs
from .common import FULL_SIZE_PARAMETERS, found, progress_of, tell_unused, working_memory
from .tensors import alpha_of, bchw_to_image, broadcast_batches, image_to_bchw, mask_to_b1hw, with_alpha

CATEGORY = "Figura/CFLD"
NO_MIX = -1.0
CFLD_INPUT = ("FIGURA_CFLD", {"tooltip": "The networks of Load CFLD."})
SOURCE_INPUT = (
    "IMAGE",
    {"tooltip": "The person whose looks are taken, filling the picture. Any size; crop first (Crop Person)."},
)
POSE_INPUT = (
    "POSE_KEYPOINT",
    {
        "tooltip": "The pose to draw, of one person (the one with the most joints). From Detect Pose, Point "
        "Prompt, Example Person or any other node that finds poses."
    },
)
SECOND_INPUT = ("IMAGE", {"tooltip": "A second person, to go between two people's looks by mix."})
MIX_INPUT: tuple[str, dict[str, Any]] = (
    "FLOAT",
    {
        "default": NO_MIX, "min": NO_MIX, "max": 1.0, "step": 0.05,
        "tooltip": "With second_source: its share of the looks, from 0 (source alone) to 1 (second_source "
        "alone). -1 without one.",
    },
)  # fmt: skip


class FiguraLoadCFLD:
    """Loads CFLD."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": inputs.painting_model_input(
                    found("cfld"),
                    "For photographs put the authors' pytorch_model.bin and pytorch_model_1.bin into "
                    "models/figura and choose the first: both become one small file beside them. Or "
                    "choose a file of your own training.",
                ),
            },
            "optional": {
                "checkpoint": inputs.automatic_input(
                    found("checkpoint"),
                    "Stable Diffusion 1.5 (models/checkpoints), needed for CFLD Sampler with "
                    "a full-size model. automatic: that of mini; with a full-size model none, which is "
                    "enough for Apply CFLD.",
                ),
                "vae": inputs.automatic_input(
                    found("vae"), "Another VAE. automatic: that of the checkpoint."
                ),
            },
        }

    RETURN_TYPES = ("FIGURA_CFLD",)
    RETURN_NAMES = ("cfld",)
    OUTPUT_TOOLTIPS = ("The networks, for CFLD Sampler and Apply CFLD.",)
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["cfld", "pose transfer", "repose", "coarse to fine latent diffusion"]
    DESCRIPTION = (
        "Loads CFLD (Coarse-to-Fine Latent Diffusion): networks that read a person's looks from a picture "
        "and have Stable Diffusion 1.5 draw that person in another pose."
    )

    @classmethod
    def VALIDATE_INPUTS(cls, model: str) -> bool:
        """Of a missing file, loading says its size, licence and source, which a list of choices does not."""
        return True

    def run(
        self, model: str, checkpoint: str = inputs.AUTOMATIC, vae: str = inputs.AUTOMATIC
    ) -> tuple[CFLDModel]:
        """The model on the CPU; the host moves it when it is used."""
        host = get_host()
        path = host.find_model("cfld", model)
        if model == store.MINI:
            tell_unused(model, checkpoint=checkpoint, vae=vae)
            return (load_mini_cfld(path),)
        files = _chosen("checkpoint", checkpoint), _chosen("vae", vae)
        return (load_cfld(path, files[0], vae=files[1], dtype=host.dtype(FULL_SIZE_PARAMETERS)),)


def _chosen(file_kind: str, name: str) -> Path | None:
    return None if name == inputs.AUTOMATIC else get_host().find_model(file_kind, name)


class FiguraCFLDSampler:
    """The person of a picture in another pose."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "cfld": CFLD_INPUT,
                "source": SOURCE_INPUT,
                "pose_keypoint": POSE_INPUT,
                "w_pose": inputs.guidance_input(WEIGHT, "Guidance by the pose. 1 is none."),
                "w_app": inputs.guidance_input(
                    WEIGHT,
                    "Guidance by the source's looks. 1 is none. Equal to w_pose it costs a third less time.",
                ),
                "steps": inputs.steps_input(STEPS, "Denoising steps. ddpm wants 50, the others do with 20."),
                "scheduler": inputs.scheduler_input(DDPM, "ddpm is the authors'."),
                "seed": inputs.seed_input("Picture number i of the batch is made with seed + i."),
            },
            "optional": {
                "second_source": SECOND_INPUT,
                "mix": MIX_INPUT,
                "reference": (
                    "IMAGE",
                    {
                        "tooltip": "Editing: the picture of which only the mask changes; pose_keypoint is "
                        "the pose of the person in it."
                    },
                ),
                "mask": (
                    "MASK",
                    {
                        "tooltip": "Editing: 1 on what takes the source's looks, such as a shirt. All else "
                        "of the reference stays bit for bit."
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("IMAGE", "IMAGE")
    RETURN_NAMES = ("image", "skeleton")
    OUTPUT_TOOLTIPS = (
        "The person in the pose, in the size of the pose's picture.",
        "The skeleton as the model was shown it, squashed to a square.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = [
        "cfld", "pose transfer", "repose", "re-pose", "change pose", "virtual try on", "try on",
        "appearance transfer",
    ]  # fmt: skip
    DESCRIPTION = (
        "Draws the person of a source picture in another pose (CFLD). With a second source it goes between "
        "two people's looks; with a reference and a mask it dresses the person there like the source."
    )

    def run(
        self,
        cfld: CFLDModel,
        source: Tensor,
        pose_keypoint: Any,
        w_pose: float,
        w_app: float,
        steps: int,
        scheduler: str,
        seed: int,
        second_source: Tensor | None = None,
        mix: float = NO_MIX,
        reference: Tensor | None = None,
        mask: Tensor | None = None,
        unique_id: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Pictures (B,H,W,3), with the reference's alpha if it has any, and skeletons (B,P,P,3)."""
        if cfld.unet is None:
            raise ValueError(
                f"{cfld.name} was loaded without a U-Net: choose Stable Diffusion 1.5 as checkpoint in Load "
                "CFLD, or use Apply CFLD with a stock model"
            )
        given = read_inputs(source, pose_keypoint, second_source, mix, reference, mask)
        with get_host().managed(cfld, memory=working_memory(cfld)):
            made, drawn = repose_images(
                cfld, given, weights=Weights(w_pose, w_app), scheduler=scheduler, steps=steps, seed=seed,
                on_step=progress_of(cfld, unique_id),
            )  # fmt: skip
        kept = None if reference is None else alpha_of(reference, "reference")
        return bchw_to_image(with_alpha(made, kept)), bchw_to_image(drawn[:, :3])


def read_inputs(
    source: Tensor,
    pose_keypoint: Any,
    second_source: Tensor | None = None,
    mix: float = NO_MIX,
    reference: Tensor | None = None,
    mask: Tensor | None = None,
) -> Given:
    """The inputs checked one by one, and repeated to one batch length.

    Args:
        source: IMAGE (B,H,W,3) in 0..1, whose looks are taken.
        pose_keypoint: POSE_KEYPOINT, the poses to draw.
        second_source: IMAGE (B,H,W,3), whose looks are mixed in.
        mix: share of the second, 0..1; below 0 none.
        reference: IMAGE (B,H,W,3) of which only the mask changes.
        mask: MASK (B,H,W), 1 on what may change.

    Raises:
        ValueError, TypeError: naming the input and what it takes.
    """
    poses, source, second, reference, mask = broadcast_batches(
        pose_keypoint=read_pose_keypoint(pose_keypoint),
        source=image_to_bchw(source, "source"),
        second_source=None if second_source is None else image_to_bchw(second_source, "second_source"),
        reference=None if reference is None else image_to_bchw(reference, "reference"),
        mask=None if mask is None else mask_to_b1hw(mask),
    )
    return Given(poses, source, second, None if mix < 0 else mix, reference, mask)


NODE_CLASS_MAPPINGS = {"FiguraLoadCFLD": FiguraLoadCFLD, "FiguraCFLDSampler": FiguraCFLDSampler}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraLoadCFLD": "Load CFLD (Figura)",
    "FiguraCFLDSampler": "CFLD Sampler (Figura)",
}
