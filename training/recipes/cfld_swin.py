"""Recipe cfld_swin: CFLD prompted by the tokens of the Swin Transformer's last map, without H_D and H_A."""

from ...models.cfld.config import TOKENS
from .cfld import CFLDRecipe, Switches


def recipe() -> CFLDRecipe:
    """This file's recipe."""
    return CFLDRecipe("cfld_swin", Switches(prompt=TOKENS, appearance=False))
