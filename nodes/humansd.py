"""Nodes of HumanSD: load it, draw people from skeletons with it, or put it into a graph of stock nodes."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.diffusion.sampling import TRAINING_STEPS
from ..models.humansd.checkpoint import load_humansd, load_mini_humansd
from ..models.humansd.networks import HumanSD
from ..models.humansd.pictures import (
    AUTOMATIC,
    Size,
    beside,
    draw_people,
    picture_size,
    skeleton_pictures,
    split_texts,
    with_suffix,
)
from ..models.humansd.sampling import NEGATIVE, SIDE_MULTIPLE, STEPS, SUFFIX, known_phrases
from ..people.keypoints import Pose, read_pose_keypoint, write_pose_keypoint
from .sampling import FULL_SIZE_PARAMETERS, found, progress_of, seed_input, working_memory
from .types import batch_length, bchw_to_image, broadcast_batches, image_to_bchw, repeat_batch

logger = logging.getLogger(__name__)

CATEGORY = "Figura/HumanSD"
LARGEST_SIDE = 4096
STANDARD_SIZE = 512
HUMANSD_CHANNELS, SD2_CONTEXT = 8, 1024
POSE_INPUT = (
    "POSE_KEYPOINT",
    {
        "tooltip": "Who stands where and how; any number of people in each picture. From Detect Pose, Point "
        "Prompt, Example Person, DWPose or OpenPose."
    },
)
STRENGTH_INPUT: tuple[str, dict[str, Any]] = (
    "FLOAT",
    {
        "default": 1.0, "min": 0.0, "max": 2.0, "step": 0.05,
        "tooltip": "How strictly the pose is followed: 0 ignores it, 1 is as trained.",
    },
)  # fmt: skip


def side_input(name: str, default: int, tooltip: str) -> tuple[str, dict[str, Any]]:
    """A width or height; anything is accepted and rounded."""
    limits = {"default": default, "min": 0, "max": LARGEST_SIDE, "step": SIDE_MULTIPLE}
    return "INT", {
        **limits,
        "tooltip": f"{name} of the picture in pixels, rounded to a multiple of 64. {tooltip}",
    }


class FiguraLoadHumanSD:
    """Loads HumanSD."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": (
                    [store.MINI, *found("humansd")],
                    {
                        "default": store.MINI,
                        "tooltip": "mini comes with Figura and works at once; it knows only Figura's drawn "
                        "people. For photographs choose humansd-v1.ckpt (models/checkpoints), which is "
                        "converted to safetensors beside it the first time.",
                    },
                ),
            },
        }

    RETURN_TYPES = ("FIGURA_HUMANSD",)
    RETURN_NAMES = ("humansd",)
    OUTPUT_TOOLTIPS = ("The networks, for HumanSD Sampler.",)
    FUNCTION = "run"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Loads HumanSD: a text-to-image model that gets the latents of a skeleton picture beside the noise, "
        "so that it draws people in given poses without a ControlNet."
    )

    def run(self, model: str) -> tuple[HumanSD]:
        """The model on the CPU; the host moves it when it is used."""
        host = get_host()
        path = host.find_model("humansd", model)
        if model == store.MINI:
            return (load_mini_humansd(path),)
        return (load_humansd(path, host.clip_tokenizer(), dtype=host.dtype(FULL_SIZE_PARAMETERS)),)


class FiguraHumanSDSampler:
    """People from skeletons and text."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        follows = "0: from the shape of the pose and the model's own size (mini 128, humansd-v1 512)."
        return {
            "required": {
                "humansd": ("FIGURA_HUMANSD", {"tooltip": "The networks of Load HumanSD."}),
                "text": (
                    "STRING",
                    {
                        "default": "a woman in a red shirt and blue trousers",
                        "multiline": True,
                        "tooltip": "What is to be seen. One text per line, each line a picture of its own. "
                        "One line serves all poses, one pose all lines; otherwise give as many of both.",
                    },
                ),
                "pose_keypoint": POSE_INPUT,
                "width": side_input("Width", AUTOMATIC, follows),
                "height": side_input("Height", AUTOMATIC, follows),
                "steps": (
                    "INT",
                    {
                        "default": STEPS, "min": 1, "max": TRAINING_STEPS,
                        "tooltip": "Denoising steps (DDIM); the released demo takes 50. For mini 20 are "
                        "enough.",
                    },
                ),
                "cfg": (
                    "FLOAT",
                    {
                        "default": 0.0, "min": 0.0, "max": 30.0, "step": 0.1,
                        "tooltip": "How strongly the text counts; 1 is no guidance and twice as fast. 0: the "
                        "model's own, 2 for mini and 10 for humansd-v1, as in its demo.",
                    },
                ),
                "seed": seed_input("Picture number i is made with seed + i."),
                "suffix": (
                    "STRING",
                    {
                        "default": SUFFIX, "multiline": True,
                        "tooltip": "Put behind every text, as the released demo does. Phrases with words "
                        "that the model has never seen are left out, with mini all of these.",
                    },
                ),
                "negative": (
                    "STRING",
                    {
                        "default": NEGATIVE, "multiline": True,
                        "tooltip": "What is not to be seen; the default is the released demo's. Phrases with "
                        "words that the model has never seen are left out, with mini all of these.",
                    },
                ),
                "pose_strength": STRENGTH_INPUT,
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }  # fmt: skip

    RETURN_TYPES = ("IMAGE", "IMAGE")
    RETURN_NAMES = ("image", "skeleton")
    OUTPUT_TOOLTIPS = ("The people.", "The skeletons that the model was shown, of the same size.")
    FUNCTION = "run"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Draws people who stand as skeletons do, several in one picture if you like, by text and pose "
        "(HumanSD). One network does it, as fast as the model without a pose."
    )

    def run(
        self,
        humansd: HumanSD,
        text: str,
        pose_keypoint: Any,
        width: int,
        height: int,
        steps: int,
        cfg: float,
        seed: int,
        suffix: str,
        negative: str,
        pose_strength: float,
        unique_id: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Two batches of pictures (N,H,W,3)."""
        texts, poses = broadcast_batches(
            text=split_texts(text), pose_keypoint=read_pose_keypoint(pose_keypoint)
        )
        size = chosen_size(width, height, poses[0], humansd.size)
        skeletons = skeleton_pictures(poses, size)
        texts = with_suffix(texts, known_phrases(humansd, suffix))
        share = size.width * size.height / humansd.size**2
        host = get_host()
        with host.managed(humansd, memory=int(working_memory(humansd) * share)):
            made = draw_people(
                humansd, skeletons, texts, negative=known_phrases(humansd, negative), steps=steps,
                cfg=cfg or None, pose_strength=pose_strength, seed=seed,
                on_step=progress_of(humansd, unique_id),
            )  # fmt: skip
        return bchw_to_image(made), bchw_to_image(skeletons)


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
    DESCRIPTION = (
        "Draws poses in the limbs, colours and thickness that HumanSD was trained with, for Apply HumanSD. "
        "The pose is fitted into the picture, its shape kept."
    )

    def run(self, pose_keypoint: Any, width: int, height: int) -> tuple[Tensor, int, int]:
        """Pictures (B,H,W,3), width and height."""
        poses = read_pose_keypoint(pose_keypoint)
        batch_length(pose_keypoint=poses)
        size = chosen_size(width, height, poses[0], STANDARD_SIZE)
        return bchw_to_image(skeleton_pictures(poses, size)), size.width, size.height


class FiguraJoinPoses:
    """The people of several poses in one picture."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        tooltip = "Stands right of the one before; their pictures are put beside each other, equally high."
        return {
            "required": {
                "pose_a": ("POSE_KEYPOINT", {"tooltip": "Stands on the left."}),
                "pose_b": ("POSE_KEYPOINT", {"tooltip": tooltip}),
            },
            "optional": {
                "pose_c": ("POSE_KEYPOINT", {"tooltip": tooltip}),
                "pose_d": ("POSE_KEYPOINT", {"tooltip": tooltip}),
            },
        }

    RETURN_TYPES = ("POSE_KEYPOINT",)
    RETURN_NAMES = ("pose_keypoint",)
    OUTPUT_TOOLTIPS = ("All people in one wide picture; their bodies, without hands and faces.",)
    FUNCTION = "run"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Puts the people of two to four poses beside each other into one picture, for HumanSD Sampler. "
        "Batches are joined picture by picture."
    )

    def run(
        self, pose_a: Any, pose_b: Any, pose_c: Any | None = None, pose_d: Any | None = None
    ) -> tuple[list[dict[str, Any]]]:
        """One pose per picture of the batch."""
        given = {"pose_a": pose_a, "pose_b": pose_b, "pose_c": pose_c, "pose_d": pose_d}
        read = {name: read_pose_keypoint(value) for name, value in given.items() if value is not None}
        return (write_pose_keypoint([beside(row) for row in zip(*broadcast_batches(**read), strict=True)]),)


class FiguraApplyHumanSD:
    """HumanSD in a graph of stock nodes."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": (
                    "MODEL",
                    {"tooltip": "A HumanSD checkpoint (humansd-v1) from Load Checkpoint."},
                ),
                "positive": ("CONDITIONING", {"tooltip": "What is to be seen."}),
                "negative": ("CONDITIONING", {"tooltip": "What is not to be seen. It sees the same pose."}),
                "vae": (
                    "VAE",
                    {"tooltip": "The VAE of the same checkpoint, or another of Stable Diffusion."},
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


def chosen_size(width: int, height: int, pose: Pose, side: int) -> Size:
    """The picture's size; a side that had to be rounded is logged."""
    size = picture_size(width, height, pose, side)
    for name, asked, got in (("width", width, size.width), ("height", height, size.height)):
        if asked not in (AUTOMATIC, got):
            logger.warning("%s %d was rounded to %d, a multiple of %d", name, asked, got, SIDE_MULTIPLE)
    return size


def check_is_humansd(model: Any) -> None:
    """TypeError for what is no MODEL of ComfyUI, ValueError for another model than HumanSD, saying what."""
    config = getattr(getattr(getattr(model, "model", None), "model_config", None), "unet_config", None)
    if config is None or not hasattr(model, "add_object_patch"):
        raise TypeError(
            f"model must be a MODEL of ComfyUI; got {type(model).__name__}. Connect "
            "Load Checkpoint to 'model'."
        )
    channels, width = config.get("in_channels"), config.get("context_dim")
    if (channels, width) != (HUMANSD_CHANNELS, SD2_CONTEXT):
        raise ValueError(
            f"model is a {channels}-channel U-Net for texts of width {width} ({_likely(channels, width)}); "
            f"HumanSD has {HUMANSD_CHANNELS} channels and texts of width {SD2_CONTEXT}. Choose humansd-v1 in "
            "Load Checkpoint."
        )


def _likely(channels: Any, context: Any) -> str:
    """What such a model usually is."""
    use = {4: "text to image", 8: "instruct-pix2pix", 9: "inpainting"}.get(channels, "of another kind")
    family = {768: "Stable Diffusion 1.5", SD2_CONTEXT: "Stable Diffusion 2", 2048: "SDXL"}.get(context)
    return f"{family}, {use}" if family else use


def encoded_pose(vae: Any, skeleton: Tensor, strength: float) -> Tensor:
    """Unscaled latents of the skeletons, (B,4,h,w), by ComfyUI's VAE; ComfyUI scales them itself, as HumanSD
    was trained. Strengths other than 1 lie on the line from a black picture.
    """
    pictures = image_to_bchw(skeleton, "skeleton")
    height, width = pictures.shape[-2:]
    if height % SIDE_MULTIPLE or width % SIDE_MULTIPLE:
        raise ValueError(
            f"skeleton has {width} x {height} pixels; both sides must be multiples of {SIDE_MULTIPLE}. Use "
            "HumanSD Pose, which rounds, or resize the picture."
        )
    pose = vae.encode(bchw_to_image(pictures))
    if strength == 1.0:
        return pose
    black = vae.encode(torch.zeros(1, height, width, 3))
    return torch.lerp(repeat_batch(black, len(pose)), pose, strength)


def with_pose(conditioning: list[Any], pose: Tensor) -> list[Any]:
    """The same texts, each with the pose's latents."""
    return [[text, {**options, "concat_latent_image": pose}] for text, options in conditioning]


NODE_CLASS_MAPPINGS = {
    "FiguraLoadHumanSD": FiguraLoadHumanSD,
    "FiguraHumanSDSampler": FiguraHumanSDSampler,
    "FiguraHumanSDPose": FiguraHumanSDPose,
    "FiguraJoinPoses": FiguraJoinPoses,
    "FiguraApplyHumanSD": FiguraApplyHumanSD,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraLoadHumanSD": "Load HumanSD (Figura)",
    "FiguraHumanSDSampler": "HumanSD Sampler (Figura)",
    "FiguraHumanSDPose": "HumanSD Pose (Figura)",
    "FiguraJoinPoses": "Join Poses (Figura)",
    "FiguraApplyHumanSD": "Apply HumanSD (Figura)",
}
