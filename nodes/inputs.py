"""Inputs that several nodes have, as ComfyUI declares them: (type or choices, options)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..models import store
from ..models.diffusion.schedulers import SCHEDULERS, TRAINING_STEPS

Choice = tuple[list[str], dict[str, Any]]
Typed = tuple[str, dict[str, Any]]
"""A type of ComfyUI, in place of choices."""

AUTOMATIC = "automatic"
MINI_PAINTS = (
    "mini comes with Figura and works at once; it learned from rendered people of 128 pixels, and "
    "paints like that."
)
AUTOMATIC_FEATHER = -1.0
LARGEST_SEED = 2**64 - 1
TEXT_TOOLTIP = (
    "What the person looks like, such as: a woman in a red striped shirt and blue trousers. Clothes that "
    "can be seen need no words; say what is hidden. Empty: no guidance by text."
)
SCHEDULER_TOOLTIP = (
    "How the noise is taken away; 20 steps mostly do. ddpm wants 50, lcm takes 4 to 8 with a model that was "
    "distilled for it."
)
PERSON_IMAGE_INPUT: Typed = ("IMAGE", {"tooltip": "The picture with the partly hidden person, of any size."})
PERSON_TEXT_INPUT: Typed = ("STRING", {"default": "a person", "multiline": True, "tooltip": TEXT_TOOLTIP})
EXACT_MASK_INPUT: Typed = (
    "MASK",
    {
        "tooltip": "The hidden part before dilation (Invisible Mask): what is taken from the coarse picture, "
        "as far as that is not plain ground. Without it: all of invisible_mask that is not."
    },
)
COARSE_INPUT: Typed = (
    "IMAGE",
    {"tooltip": "The completed person in the same place, from PHAC Sampler or any generator."},
)
COARSE_CROP_INPUT: Typed = (
    "FIGURA_CROP",
    {
        "tooltip": "The crop of Coarse Prepare, if coarse was made from it. Without it coarse shows the "
        "whole picture."
    },
)
VISIBLE_MASK_INPUT: Typed = (
    "MASK",
    {"tooltip": "1 on the visible part of the person (Visible Mask)."},
)


def model_input(names: Sequence[str], tooltip: str) -> Choice:
    """The shipped model, or one of the files found."""
    return [store.MINI, *names], {"default": store.MINI, "tooltip": tooltip}


def painting_model_input(names: Sequence[str], advice: str) -> Choice:
    """The shipped model that paints, or one of the files found; advice: which of them, for photographs."""
    return model_input(names, f"{MINI_PAINTS} {advice}")


def automatic_input(names: Sequence[str], tooltip: str) -> Choice:
    """One of the files found, or what goes with the model."""
    return [AUTOMATIC, *names], {"default": AUTOMATIC, "tooltip": tooltip}


def stock_model_input(tooltip: str) -> Typed:
    """A MODEL of ComfyUI's own loaders."""
    return "MODEL", {"tooltip": tooltip}


def text_and_vae_input(checkpoints: Sequence[str]) -> Choice:
    """Where the parts come from that a U-Net's file may lack; read by `common.find_stack`."""
    tooltip = "The checkpoint that text encoder and VAE come from. automatic: the model's own file."
    return automatic_input(checkpoints, tooltip)


def vae_input(files: Sequence[str]) -> Choice:
    """Another autoencoder than the model's; read by `common.stack_options`."""
    return automatic_input(files, "Another VAE (models/vae). automatic: the one of the model's own file.")


def scheduler_input(default: str, note: str = "") -> Choice:
    """The choice of a scheduler. note: what is to be said of the method's own."""
    return list(SCHEDULERS), {"default": default, "tooltip": " ".join([SCHEDULER_TOOLTIP, note]).strip()}


def procedure_input(names: Sequence[str], tooltip: str) -> Choice:
    """How a method's pictures are made: as released with released weights, or by name."""
    return automatic_input(names, tooltip)


def steps_input(default: int, tooltip: str) -> Typed:
    """Denoising steps."""
    return "INT", {"default": default, "min": 1, "max": TRAINING_STEPS, "tooltip": tooltip}


def seed_input(tooltip: str) -> Typed:
    """A seed that the page may change after every run."""
    limits = {"default": 0, "min": 0, "max": LARGEST_SEED, "control_after_generate": True}
    return "INT", {**limits, "tooltip": tooltip}


def count_input(tooltip: str) -> Typed:
    """How many of something per picture. tooltip: what they are."""
    order = "They follow each other as with Repeat Image Batch: all pictures once, then all again."
    return "INT", {"default": 1, "min": 1, "max": 64, "tooltip": f"{tooltip} {order}"}


def variety_input(tooltip: str) -> Typed:
    """How far proposals may differ, from the middle of what is plausible to all of it."""
    return "FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.05, "tooltip": tooltip}


def guidance_input(default: float, tooltip: str) -> Typed:
    """A weight of guidance; 1 is none."""
    return "FLOAT", {"default": default, "min": 0.0, "max": 20.0, "step": 0.1, "tooltip": tooltip}


def strength_input(tooltip: str) -> Typed:
    """How strictly a pose is followed: 0 not at all, 1 as trained."""
    return "FLOAT", {"default": 1.0, "min": 0.0, "max": 2.0, "step": 0.05, "tooltip": tooltip}


def threshold_input(tooltip: str) -> Typed:
    """Where a mask that knows grey begins."""
    return "FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": tooltip}


def feather_input(tooltip: str) -> Typed:
    """Width of a soft edge in pixels; -1 is the method's own."""
    limits = {"default": AUTOMATIC_FEATHER, "min": AUTOMATIC_FEATHER, "max": 64.0, "step": 0.5}
    return "FLOAT", {**limits, "tooltip": tooltip}
