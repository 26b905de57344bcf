"""Recipe phac_pose_full_box: PHAC's coarse stage for prompts of joints and the box of the whole person."""

from .phac import CoarseRecipe


def recipe() -> CoarseRecipe:
    """This file's recipe."""
    return CoarseRecipe("pose_full_box")
