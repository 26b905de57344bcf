"""Recipe humansd_paper: HumanSD with the heatmap-guided loss of the paper, for the comparison."""

from .humansd import HumanSDRecipe


def recipe() -> HumanSDRecipe:
    """Recipe humansd with that loss."""
    return HumanSDRecipe("humansd_paper", loss="paper")
