"""Recipe pocold_sparse: PoCoLD without the pose constraint (the paper's B2), for the comparison."""

from .pocold import PoCoLDRecipe, Switches


def recipe() -> PoCoLDRecipe:
    """This file's recipe."""
    return PoCoLDRecipe("pocold_sparse", Switches(penalty_weight=0.0))
