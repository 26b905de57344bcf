"""Recipe humansd_plain: HumanSD with the plain loss, as long as its peers of the loss comparison."""

from .humansd import HumanSDRecipe


def recipe() -> HumanSDRecipe:
    """Recipe humansd under the name of the comparison."""
    return HumanSDRecipe("humansd_plain")
