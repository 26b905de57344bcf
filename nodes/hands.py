"""Nodes of Giving a Hand to Diffusion Models: load it, draw hands close up, paint bodies round them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..host import get_host
from ..models import store
from ..models.diffusion.mask_expansion import EXPANSIONS, SEQUENTIAL
from ..models.diffusion.schedulers import DDIM
from ..models.hands.checkpoint import load_hands, load_mini_hands
from ..models.hands.networks import DRAWINGS, MEDIAPIPE, HandsModel
from ..models.hands.pipeline import BOTH, CHOICES, draw_hands, hands_to_draw, outpaint_images
from ..models.perception.sam import attention_bytes
from ..people.hands import hand_pose
from ..people.keypoints import read_pose_keypoint, write_pose_keypoint
from ..people.naming import pictures_of
from . import inputs, tensors
from .common import (
    FULL_SIZE_PARAMETERS,
    find_stack,
    found,
    progress_of,
    tell_unused,
    warn_of_weak,
    working_memory,
)

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

logger = logging.getLogger(__name__)

CATEGORY = "Figura/hands"
STEPS_INPUT = inputs.steps_input(20, "Denoising steps.")
HANDS_INPUT = ("FIGURA_HANDS", {"tooltip": "The networks of Load Hands."})


class FiguraLoadHands:
    """Loads the hand generator and the body outpainter."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        checkpoints, controlnets = found("checkpoint"), found("controlnet")
        return {
            "required": {
                "model": inputs.painting_model_input(
                    checkpoints,
                    "For photographs choose a Stable Diffusion 1.5 checkpoint (models/checkpoints), not "
                    "an inpainting one.",
                ),
            },
            "optional": {
                "hand_controlnet": inputs.automatic_input(
                    [*controlnets, *found("hands")],
                    "What draws hands. automatic: that of mini. With a checkpoint choose a "
                    "ControlNet for SD1.5 that reads hand skeletons (models/controlnet, for example "
                    "controlnet_hands_sd15), or a hand generator trained with Figura (models/figura).",
                ),
                "body_controlnet": inputs.automatic_input(
                    [*controlnets, *found("body")],
                    "What reads the skeleton with its hands. automatic: that of mini. With a "
                    "checkpoint choose an OpenPose ControlNet for SD1.5 (models/controlnet), or a body "
                    "file trained with Figura on that checkpoint (models/figura).",
                ),
                "text_and_vae": inputs.text_and_vae_input(checkpoints),
                "hand_drawing": (
                    list(DRAWINGS),
                    {
                        "default": MEDIAPIPE,
                        "tooltip": "How hand_controlnet was taught hands, where it is a public one. "
                        "mediapipe: controlnet_hands_sd15 and controlnet-encoded-hands. openpose: an "
                        "OpenPose ControlNet. What Figura trained knows it by itself.",
                    },
                ),
            },
        }

    RETURN_TYPES = ("FIGURA_HANDS",)
    RETURN_NAMES = ("hands",)
    OUTPUT_TOOLTIPS = ("The networks, for Hand Sampler and Body Outpaint.",)
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["hand", "hands", "hand fix", "giving a hand"]
    DESCRIPTION = (
        "Loads Giving a Hand to Diffusion Models: a generator that draws a hand and its mask from a hand "
        "skeleton, and a model with a ControlNet that paints the body round the hand."
    )

    def run(
        self,
        model: str,
        hand_controlnet: str = inputs.AUTOMATIC,
        body_controlnet: str = inputs.AUTOMATIC,
        text_and_vae: str = inputs.AUTOMATIC,
        hand_drawing: str = MEDIAPIPE,
    ) -> tuple[HandsModel]:
        """The model on the CPU; the host moves it when it is used."""
        host = get_host()
        if model == store.MINI:
            others = {"hand_controlnet": hand_controlnet, "body_controlnet": body_controlnet}
            tell_unused(model, **others, text_and_vae=text_and_vae)
            return (load_mini_hands(host.find_model("hands", store.MINI)),)
        checkpoint, parts = find_stack(model, text_and_vae)
        loaded = load_hands(
            checkpoint,
            find_network(hand_controlnet, "hands"),
            find_network(body_controlnet, "body"),
            host.clip_tokenizer(),
            drawing=hand_drawing,
            parts=parts,
            dtype=host.dtype(FULL_SIZE_PARAMETERS),
        )
        return (loaded,)


class FiguraHandSampler:
    """Stage 1: every hand of the poses close up, with its mask."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "hands": HANDS_INPUT,
                "pose_keypoint": (
                    "POSE_KEYPOINT",
                    {
                        "tooltip": "People with hand joints, 21 for each hand. Of each picture the hands of "
                        "the first person who has any are drawn, right before left."
                    },
                ),
                "text": (
                    "STRING",
                    {
                        "default": "a hand with light skin",
                        "multiline": True,
                        "tooltip": "What the hand looks like, such as: a hand with brown skin, blue sleeve. "
                        "The side is put in front of the word hand. Empty: no guidance by text.",
                    },
                ),
                "steps": STEPS_INPUT,
                "cfg": inputs.guidance_input(
                    2.0,
                    "How strongly the text counts; 1 is no guidance and twice as fast. "
                    "Full-size models: about 5.",
                ),
                "seed": inputs.seed_input("Hand number i of the output is made with seed + i."),
                "which": (
                    list(CHOICES),
                    {"default": BOTH, "tooltip": "Both hands, or those of one side alone."},
                ),
            },
            "optional": {
                "sam": (
                    "FIGURA_SAM",
                    {
                        "tooltip": "A model of Load SAM finds the masks, in place of the generator. For "
                        "public ControlNets, which predict no mask: without it the mask is what stands out "
                        "from a plain background."
                    },
                ),
                "scheduler": inputs.scheduler_input(DDIM),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("IMAGE", "MASK", "POSE_KEYPOINT", "IMAGE")
    RETURN_NAMES = ("hand_image", "hand_mask", "hand_pose", "skeleton")
    OUTPUT_TOOLTIPS = (
        "One picture per hand, close up, at the model's size.",
        "Where the hand is, as the generator sees it; for Hand Canvas.",
        "The hand's joints in its close-up, one entry per hand; for Hand Canvas.",
        "What the generator was shown.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = [
        "hand", "hands", "hand fix", "fix hands", "hand pose", "hand refiner", "fingers", "giving a hand",
    ]  # fmt: skip
    DESCRIPTION = (
        "Draws each hand of a pose large, where models draw hands well, and its mask with it (Giving a Hand "
        "to Diffusion Models, stage 1). Hand Canvas lays it into the picture."
    )

    def run(
        self,
        hands: HandsModel,
        pose_keypoint: Any,
        text: str,
        steps: int,
        cfg: float,
        seed: int,
        which: str = BOTH,
        sam: Sam | None = None,
        scheduler: str = DDIM,
        unique_id: str | None = None,
    ) -> tuple[Tensor, Tensor, list[dict[str, Any]], Tensor]:
        """Pictures (N,S,S,3), masks (N,S,S), poses of the close-ups, skeleton pictures (N,S,S,3)."""
        asked = hands_to_draw(read_pose_keypoint(pose_keypoint), which)
        host, memory = get_host(), working_memory(hands.generator)
        modules = (hands,) if sam is None else (hands, sam)
        memory += 0 if sam is None else attention_bytes(sam)
        with host.managed(*modules, memory=memory):
            drawn = draw_hands(
                hands.generator, asked, text, sam=sam, steps=steps, cfg=cfg, scheduler=scheduler, seed=seed,
                on_step=progress_of(hands.generator, unique_id),
            )  # fmt: skip
        warn_of_empty(drawn.masks)
        size = drawn.images.shape[-1]
        poses = write_pose_keypoint([hand_pose(hand, size) for hand in drawn.hands])
        images, skeletons = tensors.bchw_to_image(drawn.images), tensors.bchw_to_image(drawn.skeletons)
        return images, tensors.b1hw_to_mask(drawn.masks), poses, skeletons


class FiguraBodyOutpaint:
    """Stage 2: a body round the hands, by blended latents with sequential mask expansion."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "hands": HANDS_INPUT,
                "canvas": (
                    "IMAGE",
                    {"tooltip": "The hands in their places on a plain background (Hand Canvas). Any size."},
                ),
                "known_mask": ("MASK", {"tooltip": "1 on the hands (Hand Canvas). All else is painted."}),
                "pose_keypoint": (
                    "POSE_KEYPOINT",
                    {"tooltip": "The bodies with their hands: the pose that the canvas was made with."},
                ),
                "text": (
                    "STRING",
                    {
                        "default": "a person",
                        "multiline": True,
                        "tooltip": "What the person looks like, such as: a woman in a red striped shirt and "
                        "blue trousers. Empty: no guidance by text.",
                    },
                ),
                "steps": STEPS_INPUT,
                "cfg": inputs.guidance_input(
                    2.0,
                    "How strongly text and pose count (with a public ControlNet the text "
                    "alone); 1 is no guidance and twice as fast. Full-size models: about 5.",
                ),
                "seed": inputs.seed_input("Picture number i of the batch is made with seed + i."),
                "expansion": (
                    list(EXPANSIONS),
                    {
                        "default": SEQUENTIAL,
                        "tooltip": "sequential: a ring of background round the hands is kept at first and "
                        "shrinks to nothing, which smooths the seam. constant: the hands alone are kept at "
                        "every step. off: nothing is kept while painting; the hands are only pasted at the "
                        "end.",
                    },
                ),
                "control_strength": inputs.strength_input("How strictly the pose is followed; 0 ignores it."),
                "paste_hand": (
                    "BOOLEAN",
                    {
                        "default": True,
                        "tooltip": "Paste the hands of the canvas over the result, pixel for pixel: latents "
                        "blur small hands.",
                    },
                ),
                "feather": inputs.feather_input(
                    "Width of the pasted hands' soft edge, in pixels of the canvas, inside "
                    "the mask. -1: 0.6 % of the shorter side."
                ),
            },
            "optional": {"scheduler": inputs.scheduler_input(DDIM)},
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("IMAGE", "IMAGE")
    RETURN_NAMES = ("image", "blended")
    OUTPUT_TOOLTIPS = (
        "The person with the hands of the canvas. Inside known_mask, past the soft edge, it is the canvas "
        "exactly.",
        "The same before pasting: all that the model made.",
    )
    FUNCTION = "run"
    CATEGORY = CATEGORY
    SEARCH_ALIASES = ["outpaint", "body", "hands", "giving a hand", "draw body", "inpaint person"]
    DESCRIPTION = (
        "Paints a person round hands that are already there, in the pose of a skeleton (Giving a Hand to "
        "Diffusion Models, stage 2): latents of the hands are blended in at every step, with sequential mask "
        "expansion."
    )

    def run(
        self,
        hands: HandsModel,
        canvas: Tensor,
        known_mask: Tensor,
        pose_keypoint: Any,
        text: str,
        steps: int,
        cfg: float,
        seed: int,
        expansion: str = SEQUENTIAL,
        control_strength: float = 1.0,
        paste_hand: bool = True,
        feather: float = inputs.AUTOMATIC_FEATHER,
        scheduler: str = DDIM,
        unique_id: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Two batches of pictures (B,H,W,3)."""
        images, masks = (
            tensors.image_to_bchw(canvas, "canvas"),
            tensors.mask_to_b1hw(known_mask, "known_mask"),
        )
        tensors.check_same_size(canvas=images, known_mask=masks)
        warn_of_weak(known_mask=masks)
        size = (images.shape[-2], images.shape[-1])
        poses = read_pose_keypoint(pose_keypoint, size)
        images, masks, poses = tensors.broadcast_batches(canvas=images, known_mask=masks, pose_keypoint=poses)
        host = get_host()
        with host.managed(hands, memory=working_memory(hands.body)):
            made = outpaint_images(
                hands.body, images, masks, poses, [text] * len(images), paste=paste_hand, seed=seed,
                steps=steps, cfg=cfg, expansion=expansion, control_strength=control_strength,
                scheduler=scheduler,
                feather_px=None if feather < 0 else feather, on_step=progress_of(hands.body, unique_id),
            )  # fmt: skip
        return tensors.bchw_to_image(made.image), tensors.bchw_to_image(made.blended)


def find_network(name: str, file_kind: str) -> Path:
    """Path of a ControlNet or of a trained file of that kind; ValueError when none was chosen."""
    if name == inputs.AUTOMATIC:
        which, example = {
            "hands": ("hand_controlnet", "controlnet_hands_sd15"),
            "body": ("body_controlnet", "control_v11p_sd15_openpose"),
        }[file_kind]
        raise ValueError(
            f"{which}: choose a ControlNet for SD1.5 ({example}, in models/controlnet) or a trained Figura "
            "file (in models/figura); automatic goes with the model mini only"
        )
    return get_host().find_model("controlnet" if name in found("controlnet") else file_kind, name)


def warn_of_empty(masks: Tensor) -> None:
    """Log which hands were not found in their pictures."""
    empty = [index for index, mask in enumerate(masks) if not bool(torch.any(mask > 0.5))]
    if empty:
        which = pictures_of(empty, len(masks), "hand")
        logger.warning("the mask of %s is empty: try another seed, or connect a model of Load SAM", which)


NODE_CLASS_MAPPINGS = {
    "FiguraLoadHands": FiguraLoadHands,
    "FiguraHandSampler": FiguraHandSampler,
    "FiguraBodyOutpaint": FiguraBodyOutpaint,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "FiguraLoadHands": "Load Hands (Figura)",
    "FiguraHandSampler": "Hand Sampler (Figura)",
    "FiguraBodyOutpaint": "Body Outpaint (Figura)",
}
