"""One recipe per file: `training/recipes/<name>.py` defines `recipe()`, which returns a trainer Recipe."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..run.recipe import Recipe

CONTINUES = {"vae_decoder": "vae"}
"""Recipes that go on with the weights of another one; what they write takes its place."""


def recipe_names() -> list[str]:
    """Names of every recipe, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "controlled")


def load_recipe(name: str) -> Recipe:
    """The recipe of that name; ValueError lists the known ones."""
    if name not in recipe_names():
        raise ValueError(f"unknown recipe {name!r}; known recipes: {', '.join(recipe_names())}")
    return importlib.import_module(f"{__name__}.{name}").recipe()
