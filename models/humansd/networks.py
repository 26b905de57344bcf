"""HumanSD (Ju, Zeng, Zhao, Wang, Zhang, Xu, ICCV 2023, arXiv 2304.04269): the skeleton beside the noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..diffusion.latent_model import LatentModel, LatentNetworks
from ..diffusion.networks import widen_conv_in


class PoseConv2d(nn.Conv2d):
    """A convolution over [noisy latents, pose latents] as the sum of one over each.

    Weights are stored as those of the plain convolution. Apart, the first half computes what the base's does
    bit for bit; in one, the order in which products are summed would depend on the number of channels.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """(B,2C,h,w) -> (B,D,h,w)."""
        half = self.in_channels // 2
        noise = F.conv2d(inputs[:, :half], self.weight[:, :half], self.bias, padding=self.padding)
        return noise + F.conv2d(inputs[:, half:], self.weight[:, half:], padding=self.padding)


def pose_unet(base: Any) -> Any:
    """HumanSD's U-Net from a text-to-image U-Net (changed in place): input [z_t (C), pose latents (C)].

    The new weights are zero: until trained, it is the base bit for bit, for any pose.
    """
    return with_pose_conv(widen_conv_in(base, 2 * base.config.in_channels))


def with_pose_conv(unet: Any) -> Any:
    """The U-Net (in place) with its first convolution as a `PoseConv2d` of the same weights."""
    old = unet.conv_in
    if isinstance(old, PoseConv2d):
        return unet
    with torch.device("meta"):
        new = PoseConv2d(old.in_channels, old.out_channels, old.kernel_size, padding=old.padding)
    new.weight, new.bias = old.weight, old.bias
    unet.conv_in = new
    return unet


class HumanSD(LatentModel):
    """A text-to-image U-Net that also gets the latents of a skeleton picture.

    cfg: guidance scale it is at its best with. released: the authors' weights, whose pictures are made as by
    their demo unless asked otherwise. size is that of its training pictures; it takes others, too.
    """

    def __init__(
        self,
        networks: LatentNetworks,
        name: str = "mini HumanSD",
        cfg: float = 3.0,
        released: bool = False,
    ) -> None:
        channels, unet = networks.vae.config.latent_channels, networks.unet
        found = unet.config.in_channels, unet.config.out_channels
        if found != (2 * channels, channels):
            raise ValueError(
                f"{name}: the U-Net has {found[0]} input and {found[1]} output channels; HumanSD's has "
                f"{2 * channels} (latents, pose) and {channels}"
            )
        super().__init__(networks._replace(unet=with_pose_conv(unet)), name)
        self.cfg, self.released = cfg, released
