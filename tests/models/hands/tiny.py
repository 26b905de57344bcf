"""Small random networks of the real classes for the tests of Giving a Hand."""

from __future__ import annotations

import torch
from figura.models.hands.networks import BodyOutpainter, HandGenerator, HandsModel, hand_unet
from figura.tests.models.phac import tiny as phac
from torch import Tensor

SIZE, LATENTS = phac.SIZE, phac.LATENTS


def tiny_generator() -> HandGenerator:
    """With a trained look: the new weights of the skeleton and of the mask are not zero any more."""
    torch.manual_seed(0)
    unet = hand_unet(phac.tiny_unet(LATENTS), LATENTS)
    torch.nn.init.normal_(unet.conv_in.weight, std=0.2)
    torch.nn.init.normal_(unet.conv_out.weight, std=0.3)
    return HandGenerator(phac.tiny_parts(unet), "tiny hands").eval()


def tiny_stand_in() -> HandGenerator:
    """A text-to-image U-Net with a ControlNet, as with public files."""
    torch.manual_seed(1)
    unet = phac.tiny_unet(LATENTS)
    control = phac.tiny_controlnet(unet)
    return HandGenerator(phac.tiny_parts(unet), "tiny stand-in", control).eval()


def tiny_body(attention: dict[str, Tensor] | None = None) -> BodyOutpainter:
    torch.manual_seed(2)
    unet = phac.tiny_unet(LATENTS)
    control = phac.tiny_controlnet(unet)
    return BodyOutpainter(phac.tiny_parts(unet), control, attention, "tiny body").eval()


def tiny_hands() -> HandsModel:
    return HandsModel(tiny_generator(), tiny_body()).eval()
