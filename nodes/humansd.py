"""Nodes of HumanSD: load it, and draw people from skeletons with it."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.diffusion.schedulers import DDIM
from ..models.humansd.checkpoint import load_humansd, load_mini_humansd
from ..models.humansd.networks import HumanSD
from ..models.humansd.pipeline import (
    AUTOMATIC,
    Size,
    beside,
    draw_people,
    image_size,
    skeleton_images,
    split_texts,
    with_suffix,
)
from ..models.humansd.sampling import (
    NEGATIVE,
    PROCEDURES,
    SIDE_MULTIPLE,
    STEPS,
    SUFFIX,
    is_released,
    known_phrases,
)
from ..people.keypoints import Pose, read_pose_keypoint, write_pose_keypoint
from ..people.skeleton_coco import THICKNESS
from .common import FULL_SIZE_PARAMETERS, found, progress_of, working_memory
from .inputs import AUTOMATIC as CHOSEN_BY_MODEL
from .inputs import (
    painting_model_input,
    procedure_input,
    scheduler_input,
    seed_input,
    steps_input,
    strength_input,
)
from .tensors import bchw_to_image, broadcast_batches

logger = logging.getLogger(__name__)

CATEGORY = "Figura/HumanSD"
LARGEST_SIDE = 4096
POSE_INPUT = (
    "POSE_KEYPOINT",
    {
        "tooltip": "Who stands where and how; any number of people in each picture. From Detect Pose "
        "(several people: vitpose, keypoint_rcnn, dwpose, openpose), Point Prompt, Example Person or any "
        "other node that finds poses."
    },
)
STRENGTH_INPUT: tuple[str, dict[str, Any]] = strength_input(
    "How strictly the pose is followed: 0 ignores it, 1 is as trained."
)


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
                "model": painting_model_input(
                    found("humansd"),
                    "For photographs choose humansd-v1.ckpt (models/checkpoints), which is converted to "
                    "safetensors beside it the first time.",
                ),
            },
        }

    RETURN_TYPES = ("FIGURA_HUMANSD",)
    RETURN_NAMES = ("humansd",)
    OUTPUT_TOOLTIPS = ("The networks, for HumanSD Sampler.",)
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["humansd", "human sd", "pose to image"]
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
                "steps": steps_input(
                    STEPS, "Denoising steps; the released demo takes 50. For mini 20 are enough."
                ),
                "cfg": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 30.0,
                        "step": 0.1,
                        "tooltip": "How strongly the text counts; 1 is no guidance and twice as fast. 0: the "
                        "model's own, 3 for mini and 10 for humansd-v1, as in its demo.",
                    },
                ),
                "seed": seed_input("Picture number i is made with seed + i."),
                "suffix": (
                    "STRING",
                    {
                        "default": SUFFIX,
                        "multiline": True,
                        "tooltip": "Put behind every text, as the released demo does. Phrases with words "
                        "that the model has never seen are left out, with mini all of these.",
                    },
                ),
                "negative": (
                    "STRING",
                    {
                        "default": NEGATIVE,
                        "multiline": True,
                        "tooltip": "What is not to be seen; the default is the released demo's. Phrases with "
                        "words that the model has never seen are left out, with mini all of these.",
                    },
                ),
                "pose_strength": STRENGTH_INPUT,
            },
            "optional": {
                "scheduler": scheduler_input(DDIM, "With humansd-v1 ddim walks the time steps of its demo."),
                "procedure": procedure_input(
                    PROCEDURES,
                    "released: as the authors' demo, with ddim 49 of 50 time steps from 961 on, pose latents "
                    "drawn from what the VAE allows, lines of 10 px. figura: time steps from 999 on, the "
                    "mean of the latents, thinner lines below 512 px. automatic: released with "
                    "humansd-v1, figura with mini.",
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("IMAGE", "IMAGE")
    RETURN_NAMES = ("image", "skeleton")
    OUTPUT_TOOLTIPS = ("The people.", "The skeletons that the model was shown, of the same size.")
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = [
        "humansd", "human sd", "pose to image", "skeleton", "openpose", "generate person", "text to person",
    ]  # fmt: skip
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
        scheduler: str = DDIM,
        procedure: str = CHOSEN_BY_MODEL,
        unique_id: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Two batches of pictures (N,H,W,3)."""
        texts, poses = broadcast_batches(
            text=split_texts(text), pose_keypoint=read_pose_keypoint(pose_keypoint)
        )
        size = chosen_size(width, height, poses[0], humansd.size)
        chosen = None if procedure == CHOSEN_BY_MODEL else procedure
        skeletons = skeleton_images(poses, size, THICKNESS if is_released(humansd, chosen) else None)
        texts = with_suffix(texts, known_phrases(humansd, suffix))
        share = size.width * size.height / humansd.size**2
        host = get_host()
        with host.managed(humansd, memory=int(working_memory(humansd) * share)):
            made = draw_people(
                humansd, skeletons, texts, negative=known_phrases(humansd, negative), steps=steps,
                cfg=cfg or None, pose_strength=pose_strength, scheduler=scheduler,
                procedure=chosen, seed=seed, on_step=progress_of(humansd, unique_id),
            )  # fmt: skip
        return bchw_to_image(made), bchw_to_image(skeletons)


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
    SEARCH_ALIASES = [
        "combine poses", "merge poses", "several people", "multi person", "openpose", "keypoints",
    ]  # fmt: skip
    DESCRIPTION = (
        "Puts the people of two to four poses beside each other into one picture, for HumanSD Sampler. "
        "Batches are joined picture by picture."
    )

    def run(
        self, pose_a: Any, pose_b: Any, pose_c: Any | None = None, pose_d: Any | None = None
    ) -> tuple[list[dict[str, Any]]]:
        """One pose per picture of the batch."""
        given = {"pose_a": pose_a, "pose_b": pose_b, "pose_c": pose_c, "pose_d": pose_d}
        read = {
            name: read_pose_keypoint(value, name=name) for name, value in given.items() if value is not None
        }
        return (write_pose_keypoint([beside(row) for row in zip(*broadcast_batches(**read), strict=True)]),)


def chosen_size(width: int, height: int, pose: Pose, side: int) -> Size:
    """The picture's size; a side that had to be rounded, or would be larger than any that can be asked for,
    is logged.

    Args:
        width: in pixels; 0 follows from the height and the shape of the pose.
        height: the same of the width.
        pose: the pose to draw.
        side: what the shorter side has when both are 0, in pixels.
    """
    size = image_size(width, height, pose, side)
    for name, asked, got in (("width", width, size.width), ("height", height, size.height)):
        if asked not in (AUTOMATIC, got):
            logger.warning("%s %d was rounded to %d, a multiple of %d", name, asked, got, SIDE_MULTIPLE)
    within = Size(min(size.width, LARGEST_SIDE), min(size.height, LARGEST_SIDE))
    if within != size:
        logger.warning(
            "the shape of the pose, %d x %d, asks for a picture of %d x %d pixels: %d x %d are drawn",
            pose.width, pose.height, *size, *within,
        )  # fmt: skip
    return within


NODE_CLASS_MAPPINGS = {
    "FiguraLoadHumanSD": FiguraLoadHumanSD,
    "FiguraHumanSDSampler": FiguraHumanSDSampler,
    "FiguraJoinPoses": FiguraJoinPoses,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraLoadHumanSD": "Load HumanSD (Figura)",
    "FiguraHumanSDSampler": "HumanSD Sampler (Figura)",
    "FiguraJoinPoses": "Join Poses (Figura)",
}
