"""Recipe pocold_vanilla: PoCoLD with cross-attention in place of its own (B1), for the comparison."""

from ...models.pocold.networks import VANILLA
from .pocold import PoCoLDRecipe, Switches


def recipe() -> PoCoLDRecipe:
    """This file's recipe."""
    return PoCoLDRecipe("pocold_vanilla", Switches(attention=VANILLA, penalty_weight=0.0))
