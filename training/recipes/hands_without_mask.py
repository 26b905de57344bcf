"""Recipe hands_without_mask: the hand generator without its second task, for the comparison."""

from .hands import HandRecipe


def recipe() -> HandRecipe:
    """Recipe hands with lambda = 0."""
    return HandRecipe("hands_without_mask", mask_weight=0.0)
