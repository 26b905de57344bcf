"""Recipe humansd_controlnet_attention: that peer with the base's cross-attention learning, too."""

from .humansd_controlnet import HumanSDControlNetRecipe


def recipe() -> HumanSDControlNetRecipe:
    """Recipe humansd_controlnet with more to learn."""
    return HumanSDControlNetRecipe("humansd_controlnet_attention", with_attention=True)
