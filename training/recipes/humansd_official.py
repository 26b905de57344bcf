"""Recipe humansd_official: HumanSD with the heatmap-guided loss of the released code, for the comparison."""

from .humansd import HumanSDRecipe


def recipe() -> HumanSDRecipe:
    """Recipe humansd with that loss."""
    return HumanSDRecipe("humansd_official", loss="official")
