"""Recipe phac_full_box: PHAC's coarse stage for prompts of the box of the whole person."""

from .phac import CoarseRecipe


def recipe() -> CoarseRecipe:
    """This file's recipe."""
    return CoarseRecipe("full_box")
