"""Recipe phac_pose_roi_box: PHAC's coarse stage for prompts of joints and the box of the part to complete."""

from .phac import CoarseRecipe


def recipe() -> CoarseRecipe:
    """This file's recipe."""
    return CoarseRecipe("pose_roi_box")
