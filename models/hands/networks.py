"""The networks of Giving a Hand to Diffusion Models (Pelykh, Sincan, Bowden, FG 2024, arXiv 2403.10731)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..diffusion.controlnet import ReplacedTensors
from ..diffusion.latent_model import LatentModel, LatentNetworks
from ..diffusion.networks import widen_conv_in

MASK_CHANNELS = 1
MEDIAPIPE, OPENPOSE = DRAWINGS = ("mediapipe", "openpose")
"""Of a hand's joints, as public ControlNets were trained with."""


@torch.no_grad()
def widen_conv_out(unet: Any, channels: int) -> Any:
    """Give `unet` (in place) `channels` output channels: the first ones stay, the new ones start at zero."""
    old = unet.conv_out
    if channels < old.out_channels:
        raise ValueError(f"conv_out has {old.out_channels} channels and cannot be narrowed to {channels}")
    new = type(old)(old.in_channels, channels, old.kernel_size, padding=old.padding)
    new.weight.zero_()
    new.bias.zero_()
    new.weight[: old.out_channels] = old.weight
    new.bias[: old.out_channels] = old.bias
    unet.conv_out = new.to(old.weight)
    unet.register_to_config(out_channels=channels)
    return unet


def hand_unet(base: Any, latent_channels: int) -> Any:
    """The hand generator's U-Net from a text-to-image U-Net (changed in place).

    Input [z_t (C), latents of the hand-skeleton picture (C)], output [noise (C), hand mask (1)]. All new
    weights are zero: until trained, the noise is the base's bit for bit and the mask is 0.
    """
    return widen_conv_out(widen_conv_in(base, 2 * latent_channels), latent_channels + MASK_CHANNELS)


class HandGenerator(LatentModel):
    """Stage 1: draws one hand close up, and its mask, as a hand skeleton asks for.

    Its U-Net: see `hand_unet`. controlnet: a public ControlNet that reads hand skeletons, as a stand-in for a
    trained generator; then the U-Net is a text-to-image one, and the mask has to be found in the picture.
    drawing: one of DRAWINGS, which that ControlNet reads.
    """

    def __init__(
        self,
        networks: LatentNetworks,
        name: str = "mini hand generator",
        controlnet: Any = None,
        drawing: str = MEDIAPIPE,
    ) -> None:
        super().__init__(networks, name)
        if drawing not in DRAWINGS:
            raise ValueError(f"hand_drawing is {drawing!r}; it is one of {', '.join(DRAWINGS)}")
        channels, config = self.vae.config.latent_channels, self.unet.config
        if controlnet is None:
            wanted = (2 * channels, channels + MASK_CHANNELS)
            named = "a hand generator has {} (latents, skeleton) and {} (noise, mask)"
        else:
            wanted = (channels, channels)
            named = "beside a ControlNet it has {} and {}"
        if (config.in_channels, config.out_channels) != wanted:
            raise ValueError(
                f"{name}: the U-Net has {config.in_channels} input and {config.out_channels} "
                f"output channels; {named.format(*wanted)}"
            )
        self.controlnet, self.hand_drawing = controlnet, drawing

    @property
    def has_mask(self) -> bool:
        """Whether the U-Net predicts the hand's mask."""
        return self.controlnet is None


class BodyOutpainter(LatentModel):
    """Stage 2: a text-to-image U-Net with a ControlNet that reads skeletons with hands.

    controlnet: ControlNetModel. attention: U-Net tensors that were trained with it, in place of the base's.
    """

    def __init__(
        self,
        networks: LatentNetworks,
        controlnet: Any,
        attention: dict[str, Tensor] | None = None,
        name: str = "mini body outpainter",
    ) -> None:
        super().__init__(networks, name)
        found, wanted = self.unet.config.in_channels, self.vae.config.latent_channels
        if found != wanted:
            raise ValueError(
                f"{name}: the U-Net takes {found} channels; a text-to-image U-Net with {wanted} is needed"
            )
        self.controlnet = controlnet
        self.attention = ReplacedTensors(attention or {})

    @property
    def is_public(self) -> bool:
        """Whether its ControlNet is a public one: those that are trained here come with attention of their
        own.
        """
        return not self.attention


class HandsModel(nn.Module):
    """Both stages, which may share networks."""

    def __init__(self, generator: HandGenerator, body: BodyOutpainter) -> None:
        super().__init__()
        self.generator, self.body = generator, body
