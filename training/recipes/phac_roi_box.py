"""Recipe phac_roi_box: PHAC's coarse stage for prompts of the box of the part to complete."""

from .phac import CoarseRecipe


def recipe() -> CoarseRecipe:
    """This file's recipe."""
    return CoarseRecipe("roi_box")
