"""A U-Net with a ControlNet as recipes train it, both at 1:10; and what these recipes share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...models.diffusion.controlnet import check_controlnet, controlnet_from
from ...models.diffusion.networks import mini_controlnet, plain_config
from ...models.diffusion.single_file import load_controlnet
from ..run.recipe import Batch, Export
from .latent import LatentRecipe, Predict
from .public import CONTROLNET, UNETS, is_own, open_unet, write_controlnet

CONTROL_RATE_FACTOR = 10.0


class ControlledUNet(torch.nn.Module):
    """A U-Net and the ControlNet that reads its prompt picture; gives the predicted noise.

    Made from a U-Net that is frozen but for its cross-attention, or wholly, with a ControlNet of its own or,
    without one, with one that starts from the U-Net. A ControlNet of fewer input channels sees the first.
    """

    def __init__(self, unet: Any, with_attention: bool = True, controlnet: Any = None) -> None:
        super().__init__()
        self.unet, self.controlnet = unet, controlnet or mini_controlnet(unet)
        self.with_attention = with_attention
        for name, parameter in unet.named_parameters():
            parameter.requires_grad_(with_attention and is_cross_attention(name))

    def forward(
        self,
        latents: torch.Tensor,
        times: torch.Tensor,
        texts: torch.Tensor,
        prompt: torch.Tensor,
        condition: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The noise (B,C,h,w) in latents.

        Args:
            latents: (B,C,h,w), noisy.
            times: (B,), time steps.
            texts: their states, (B,L,D).
            prompt: pictures (B,3,8h,8w) in 0..1.
            condition: further input channels (B,c,h,w), which the U-Net alone may see.
        """
        inputs = latents if condition is None else torch.cat([latents, condition], dim=1)
        seen = inputs[:, : self.controlnet.config.in_channels]
        down, middle = self.controlnet(seen, times, texts, controlnet_cond=prompt, return_dict=False)
        return self.unet(
            inputs, times, texts, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Cross-attention at the rate, ControlNet at ten times the rate."""
        attention = [p for p in self.unet.parameters() if p.requires_grad]
        control = list(self.controlnet.parameters())
        groups = [(attention, learning_rate), (control, CONTROL_RATE_FACTOR * learning_rate)]
        return [{"params": params, "lr": rate} for params, rate in groups if params]

    def change(self, backbone: str) -> tuple[Mapping[str, torch.Tensor], dict[str, Any]]:
        """What a weights file holds: the trained cross-attention (`unet.*`, in place of the backbone's), the
        `controlnet.*`; and the configuration.
        """
        tensors = {}
        if self.with_attention:
            tensors = {f"unet.{n}": p for n, p in self.unet.state_dict().items() if is_cross_attention(n)}
        tensors |= {f"controlnet.{n}": p for n, p in self.controlnet.state_dict().items()}
        return tensors, {"backbone": backbone, "controlnet": plain_config(self.controlnet)}


class ControlledRecipe(LatentRecipe):
    """What recipes of a U-Net with a ControlNet share; the weights file is of the recipe's own kind.

    A batch has latents (B,8,h,w), texts, prompt pictures (B,3,8h,8w), and `condition` (B,c,h,w) where the
    U-Net has more input channels. backbone: the recipe that makes the U-Net to start from. with_attention:
    its cross-attention learns, too.
    """

    backbone = "base"
    with_attention = True
    needs: tuple[str, ...] = ("vae", "text", backbone)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The backbone, frozen but perhaps for its cross-attention, and a ControlNet: the public one given,
        or one that starts from the backbone.
        """
        path = init[self.backbone]
        channels = next(count for count, name in UNETS.items() if name == self.backbone)
        unet, controlnet = open_unet(path, channels), None
        if CONTROLNET in init:
            controlnet = load_controlnet(init[CONTROLNET]).requires_grad_(True)
            check_controlnet(controlnet, unet, str(init[CONTROLNET]), str(path))
        elif not is_own(path):
            controlnet = controlnet_from(unet, {"in_channels": unet.config.out_channels})
        return ControlledUNet(unet, self.with_attention, controlnet)

    def finish(self, weights: Path, init: Mapping[str, Path]) -> None:
        """At full size the ControlNet alone as well, for stock nodes."""
        write_controlnet(weights)

    def parameter_groups(self, module: Any, learning_rate: float) -> list[dict[str, Any]]:
        """Cross-attention at the rate, ControlNet at ten times the rate."""
        return module.parameter_groups(learning_rate)

    def predictor(self, module: Any, batch: Batch) -> Predict:
        """What predicts the noise for a batch's texts, prompts and condition."""
        return lambda z, t: module(z, t, batch["texts"], batch["prompt"], batch.get("condition"))

    def shown(self, batch: Batch) -> list[torch.Tensor]:
        """Pictures of the data, and prompts."""
        return [*super().shown(batch), batch["prompt"]]

    def export(self, module: Any, held_out: Any) -> Export:
        """The trained cross-attention (`unet.*`, in place of the backbone's) and the `controlnet.*`."""
        tensors, config = module.change(self.backbone)
        return Export(self.name, tensors, config, int8=not self.full_size)


def is_cross_attention(name: str) -> bool:
    """Whether a U-Net parameter belongs to a cross-attention block."""
    return ".attn2." in name
