"""One file for each network; its variants stand in its table `RECIPES`: recipe name -> what makes it.

latent.py, controlled.py and perception.py hold what several of them share.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ...people.prompt_kinds import PROMPT_KINDS

if TYPE_CHECKING:
    from ..run.recipe import Recipe

FILES: dict[str, tuple[str, ...]] = {
    "amodal_mask": ("amodal_mask",),
    "base": ("base",),
    "body": ("body",),
    "cfld": ("cfld", "cfld_no_appearance", "cfld_clip", "cfld_swin"),
    "cfld_prompt": ("cfld_prompt", "cfld_clip_prompt"),
    "complete_pose": ("complete_pose",),
    "densepose": ("densepose",),
    "hand_detector": ("hand_detector",),
    "hands": ("hands", "hands_without_mask"),
    "humansd": (
        "humansd", "humansd_fine", "humansd_attention", "humansd_plain", "humansd_paper", "humansd_official",
    ),
    "humansd_controlnet": ("humansd_controlnet", "humansd_controlnet_attention"),
    "inpaint": ("inpaint",),
    "invisible_mask": ("invisible_mask",),
    "pocold": ("pocold", "pocold_strong", "pocold_mass", "pocold_sparse", "pocold_vanilla"),
    "pose_detector": ("pose_detector",),
    "refiner": ("refiner",),
    "sam": ("sam",),
    "text": ("text",),
    "vae": ("vae",),
    "vae_decoder": ("vae_decoder",),
    "phac": tuple(kind.recipe for kind in PROMPT_KINDS.values()),
}  # fmt: skip
"""File -> the recipes in it, so that their names are known before any of them is imported."""
CONTINUES = {"vae_decoder": "vae"}
"""Recipes that go on with the weights of another one; what they write takes its place."""


def recipe_names() -> list[str]:
    """Names of every recipe, sorted."""
    return sorted(name for names in FILES.values() for name in names)


def load_recipe(name: str) -> Recipe:
    """The recipe of that name; ValueError lists the known ones."""
    file = next((file for file, names in FILES.items() if name in names), None)
    if file is None:
        raise ValueError(f"unknown recipe {name!r}; known recipes: {', '.join(recipe_names())}")
    return importlib.import_module(f"{__name__}.{file}").RECIPES[name]()
