"""A U-Net with a ControlNet as the recipes train it: cross-attention and the ControlNet learn, at 1:10."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..models.diffusion.networks import mini_controlnet, plain_config

CONTROL_RATE_FACTOR = 10.0


class ControlledUNet(torch.nn.Module):
    """A U-Net and the ControlNet that reads its prompt picture; gives the predicted noise.

    Made from a U-Net that is frozen but for its cross-attention, with a ControlNet that starts from it.
    """

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet, self.controlnet = unet, mini_controlnet(unet)
        for name, parameter in unet.named_parameters():
            parameter.requires_grad_(is_cross_attention(name))

    def forward(
        self,
        latents: torch.Tensor,
        times: torch.Tensor,
        texts: torch.Tensor,
        prompt: torch.Tensor,
        condition: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Latents (B,8,h,w), texts (B,28,96), prompt (B,3,8h,8w) in 0..1, more input channels (B,c,h,w)."""
        inputs = latents if condition is None else torch.cat([latents, condition], dim=1)
        down, middle = self.controlnet(inputs, times, texts, controlnet_cond=prompt, return_dict=False)
        return self.unet(
            inputs, times, texts, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Cross-attention at the rate, ControlNet at ten times the rate."""
        attention = [p for p in self.unet.parameters() if p.requires_grad]
        control = list(self.controlnet.parameters())
        return [
            {"params": attention, "lr": learning_rate},
            {"params": control, "lr": CONTROL_RATE_FACTOR * learning_rate},
        ]

    def change(self, backbone: str) -> tuple[Mapping[str, torch.Tensor], dict[str, Any]]:
        """What a weights file holds: the trained cross-attention (`unet.*`, in place of the backbone's), the
        `controlnet.*`; and the configuration.
        """
        tensors = {f"unet.{n}": p for n, p in self.unet.state_dict().items() if is_cross_attention(n)}
        tensors |= {f"controlnet.{n}": p for n, p in self.controlnet.state_dict().items()}
        return tensors, {"backbone": backbone, "controlnet": plain_config(self.controlnet)}


def is_cross_attention(name: str) -> bool:
    """Whether a U-Net parameter belongs to a cross-attention block."""
    return ".attn2." in name
