"""Recipe cfld_clip_prompt: `cfld_prompt` for `cfld_clip`: one token, that of the whole caption, as CLIP's."""

from ...models.cfld.config import POOLED
from .cfld_prompt import PromptRecipe


def recipe() -> PromptRecipe:
    """This file's recipe."""
    return PromptRecipe("cfld_clip_prompt", POOLED)
