"""Recipe cfld_clip: CFLD prompted as by a CLIP image encoder, one token of the whole picture, no biases.

There is no mini CLIP image encoder. In its part stands the same Swin Transformer as in the full method, its
last map averaged to one token: the shape of a CLIP image prompt, learnt on the pairs.
"""

from ...models.cfld.config import POOLED
from .cfld import CFLDRecipe, Switches


def recipe() -> CFLDRecipe:
    """This file's recipe."""
    return CFLDRecipe("cfld_clip", Switches(prompt=POOLED, appearance=False))
