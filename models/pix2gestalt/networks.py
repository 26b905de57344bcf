"""The networks of pix2gestalt (Ozguroglu et al., CVPR 2024, arXiv 2401.14398)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..diffusion.latent_model import LatentModel, LatentNetworks, TextStates


class Pix2Gestalt(LatentModel):
    """Completes whatever a mask shows a part of, from the picture and that mask alone: no points, no text.

    Input channels of its U-Net are [z_t, latents of the occluded picture, latents of the visible mask drawn
    as a picture], the latter two unscaled. In the place of a text encoder it has CLIP's image encoder.
    mask_net: PHAC's U_iv, which finds what was invisible. amodal_net: that of Amodal Mask, whose guess U_iv
    sees; None where it sees none.
    """

    mask_net: Any
    amodal_net: Any
    guess_counts = 0.0

    def __init__(
        self,
        networks: LatentNetworks,
        mask_net: nn.Module,
        name: str = "pix2gestalt",
        amodal_net: nn.Module | None = None,
    ) -> None:
        super().__init__(networks, name)
        self.mask_net, self.amodal_net = mask_net, amodal_net

    def condition(self, images: Tensor, visible_mask: Tensor) -> Tensor:
        """The extra input channels (B,2C,h,w) of pictures (B,3,S,S) and masks (B,1,S,S), both in 0..1."""
        drawn = (visible_mask > 0.5).float().expand(-1, 3, -1, -1)
        return torch.cat([self.encode(images), self.encode(drawn)], dim=1) / self.vae.config.scaling_factor

    def picture_states(self, images: Tensor) -> TextStates:
        """What cross-attention sees of pictures (B,3,S,S) in 0..1."""
        self.use(self.text)
        return TextStates(self.text.encode(images))
