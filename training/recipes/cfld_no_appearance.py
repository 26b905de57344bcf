"""Recipe cfld_no_appearance: CFLD without the query biases (H_A), for the comparison."""

from .cfld import CFLDRecipe, Switches


def recipe() -> CFLDRecipe:
    """This file's recipe."""
    return CFLDRecipe("cfld_no_appearance", Switches(appearance=False))
