"""HumanSD in a graph of stock nodes: its skeleton pictures, and its checkpoint on ComfyUI's own samplers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..models.diffusion.layouts import SCALING, SD2, SDXL
from ..models.humansd.pipeline import skeleton_images
from ..models.humansd.sampling import SIDE_MULTIPLE
from ..people.keypoints import read_pose_keypoint
from ..people.skeleton_coco import THICKNESS
from .humansd import CATEGORY, POSE_INPUT, STRENGTH_INPUT, chosen_size, side_input
from .inputs import stock_model_input
from .stock_model import SD2_CONTEXT, likely, unet_config
from .tensors import batch_length, bchw_to_image, image_to_bchw, repeat_batch

STANDARD_SIZE = 512
HUMANSD_CHANNELS = 8
LATENT_CHANNELS, CELL = 4, 8
"""Of Stable Diffusion's VAE: channels of its latents, and pixels of a cell on either side."""
UNSAID, SCALE_TOLERANCE = 1.0, 1e-3
"""What ComfyUI's TAESD has where no scale of the latents is known, and how exact half precision has them."""


class FiguraHumanSDPose:
    """The skeleton picture as HumanSD knows it, for stock graphs."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        follows = "0: it follows from the other side and the shape of the pose."
        return {
            "required": {
                "pose_keypoint": POSE_INPUT,
                "width": side_input("Width", STANDARD_SIZE, follows),
                "height": side_input("Height", STANDARD_SIZE, follows),
            }
        }

    RETURN_TYPES = ("IMAGE", "INT", "INT")
    RETURN_NAMES = ("skeleton", "width", "height")
    OUTPUT_TOOLTIPS = (
        "Skeletons on black in the limbs and colours of HumanSD's training.",
        "Width of the picture after rounding.",
        "Height of the picture after rounding.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["humansd", "skeleton", "draw skeleton", "openpose", "coco skeleton"]
    DESCRIPTION = (
        "Draws poses in the limbs, colours and thickness that HumanSD was trained with, for Apply HumanSD. "
        "The pose is fitted into the picture, its shape kept."
    )

    def run(self, pose_keypoint: Any, width: int, height: int) -> tuple[Tensor, int, int]:
        """Pictures (B,H,W,3), width and height."""
        poses = read_pose_keypoint(pose_keypoint)
        batch_length(pose_keypoint=poses)
        size = chosen_size(width, height, poses[0], STANDARD_SIZE)
        return bchw_to_image(skeleton_images(poses, size, THICKNESS)), size.width, size.height


class FiguraApplyHumanSD:
    """HumanSD in a graph of stock nodes."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": stock_model_input("A HumanSD checkpoint (humansd-v1) from Load Checkpoint."),
                "positive": ("CONDITIONING", {"tooltip": "What is to be seen."}),
                "negative": ("CONDITIONING", {"tooltip": "What is not to be seen. It sees the same pose."}),
                "vae": (
                    "VAE",
                    {
                        "tooltip": "The VAE of the same checkpoint, or another of Stable Diffusion 1 or 2; "
                        "not SDXL's."
                    },
                ),
                "skeleton": (
                    "IMAGE",
                    {"tooltip": "The skeleton picture of HumanSD Pose, of the size of the picture."},
                ),
                "pose_strength": STRENGTH_INPUT,
            }
        }

    RETURN_TYPES = ("MODEL", "CONDITIONING", "CONDITIONING", "LATENT")
    RETURN_NAMES = ("model", "positive", "negative", "latent")
    OUTPUT_TOOLTIPS = (
        "The model, which now takes the pose, for any sampler.",
        "The text with the pose.",
        "The negative text with the same pose.",
        "Empty latents of the skeleton's size, one for each skeleton.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["humansd", "human sd", "pose guided", "skeleton", "patch model"]
    DESCRIPTION = (
        "Makes a HumanSD checkpoint work in stock graphs: the latents of the skeleton go into both texts, "
        "and the model reads them beside the noise. Connect all four outputs to KSampler."
    )

    def run(
        self,
        model: Any,
        positive: list[Any],
        negative: list[Any],
        vae: Any,
        skeleton: Tensor,
        pose_strength: float = 1.0,
    ) -> tuple[Any, list[Any], list[Any], dict[str, Tensor]]:
        """The inputs are left as they are; what comes back are changed copies."""
        check_is_humansd(model)
        pose = encoded_pose(vae, skeleton, pose_strength)
        patched = model.clone()
        # ComfyUI takes any U-Net of more than 4 channels for an inpainting one, with a mask.
        patched.add_object_patch("concat_keys", ("concat_image",))
        return (
            patched,
            with_pose(positive, pose),
            with_pose(negative, pose),
            {"samples": torch.zeros_like(pose)},
        )


def check_is_humansd(model: Any) -> None:
    """TypeError for what is no MODEL of ComfyUI, ValueError for another model than HumanSD, saying what."""
    config = unet_config(model)
    channels, width = config.get("in_channels"), config.get("context_dim")
    if (channels, width) != (HUMANSD_CHANNELS, SD2_CONTEXT):
        raise ValueError(
            f"model is a {channels}-channel U-Net for texts of width {width} ({likely(channels, width)}); "
            f"HumanSD has {HUMANSD_CHANNELS} channels and texts of width {SD2_CONTEXT}. Choose humansd-v1 in "
            "Load Checkpoint."
        )


def encoded_pose(vae: Any, skeleton: Tensor, strength: float) -> Tensor:
    """Unscaled latents of the skeletons, (B,4,h,w), by ComfyUI's VAE; ComfyUI scales them itself, as HumanSD
    was trained. Strengths other than 1 lie on the line from a black picture.

    Raises ValueError for sides that the model cannot take, and for a VAE of another family.
    """
    check_scale(vae)
    images = image_to_bchw(skeleton, "skeleton")
    height, width = images.shape[-2:]
    if height % SIDE_MULTIPLE or width % SIDE_MULTIPLE:
        raise ValueError(
            f"skeleton has {width} x {height} pixels; both sides must be multiples of {SIDE_MULTIPLE}. Use "
            "HumanSD Pose, which rounds, or resize the picture."
        )
    pose = vae.encode(bchw_to_image(images))
    check_latents(pose, (len(images), LATENT_CHANNELS, height // CELL, width // CELL))
    if strength == 1.0:
        return pose
    black = vae.encode(torch.zeros(1, height, width, 3))
    return torch.lerp(repeat_batch(black, len(pose)), pose, strength)


def check_scale(vae: Any) -> None:
    """ValueError for a VAE that says its latents are scaled otherwise, as SDXL's small one (TAESD) does.

    SDXL's own says nothing, and is of the same shapes: nobody can tell it from Stable Diffusion's.
    """
    said = float(getattr(getattr(vae, "first_stage_model", None), "vae_scale", UNSAID))
    wanted = SCALING[SD2]
    if said != UNSAID and abs(said - wanted) > SCALE_TOLERANCE:
        raise ValueError(
            f"vae scales its latents by {said:g} ({SDXL} by {SCALING[SDXL]}); HumanSD was trained with "
            f"{wanted}. Connect the VAE of the HumanSD checkpoint to 'vae'"
        )


def check_latents(latents: Tensor, wanted: tuple[int, ...]) -> None:
    """ValueError for latents of another shape than Stable Diffusion's VAE makes.

    Those of Flux and SD3 have 16 channels, those of video models a dimension more; without this only the
    sampler would stumble over them.
    """
    if tuple(latents.shape) != wanted:
        raise ValueError(
            f"vae gives latents of shape {tuple(latents.shape)} and HumanSD needs {wanted}: a VAE of Stable "
            f"Diffusion, of {LATENT_CHANNELS} channels and {CELL} pixels a cell. Connect the VAE of the "
            "HumanSD checkpoint to 'vae'"
        )


def with_pose(conditioning: list[Any], pose: Tensor) -> list[Any]:
    """The same texts, each with the pose's latents."""
    return [[text, {**options, "concat_latent_image": pose}] for text, options in conditioning]


NODE_CLASS_MAPPINGS = {
    "FiguraHumanSDPose": FiguraHumanSDPose,
    "FiguraApplyHumanSD": FiguraApplyHumanSD,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraHumanSDPose": "HumanSD Pose (Figura)",
    "FiguraApplyHumanSD": "Apply HumanSD (Figura)",
}
