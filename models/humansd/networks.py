"""HumanSD (Ju, Zeng, Zhao, Wang, Zhang, Xu, ICCV 2023, arXiv 2304.04269): the skeleton beside the noise.

The paper's skeleton picture has the size of the picture to be made, 64 cells a side at 512 px. Mini makes
128 px out of 16 cells, of which a head or a hand is one; for the comparison a skeleton may be encoded
`pose_scale` times as large, its latents folded onto the cells (our choice).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..diffusion.latent_model import LatentModel, LatentNetworks
from ..diffusion.networks import widen_conv_in


class PoseConv2d(nn.Conv2d):
    """A convolution over [noisy latents (noise_channels), pose latents] as the sum of one over each.

    Weights are stored as those of the plain convolution. Apart, the first part computes what the base's does
    bit for bit; in one, the order in which products are summed would depend on the number of channels.
    """

    noise_channels = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """(B,C+P,h,w) -> (B,D,h,w)."""
        first = self.noise_channels
        noise = F.conv2d(inputs[:, :first], self.weight[:, :first], self.bias, padding=self.padding)
        return noise + F.conv2d(inputs[:, first:], self.weight[:, first:], padding=self.padding)


def pose_unet(base: Any, pose_scale: int = 1) -> Any:
    """HumanSD's U-Net from a text-to-image U-Net (changed in place): input [z_t (C), pose latents].

    The pose latents are C channels at the paper's pose_scale of 1, C * pose_scale^2 at another. The new
    weights are zero: until trained, it is the base bit for bit, for any pose.
    """
    channels = base.config.in_channels
    return with_pose_conv(widen_conv_in(base, channels * (1 + pose_scale**2)), channels)


def with_pose_conv(unet: Any, noise_channels: int) -> Any:
    """The U-Net (in place) with its first convolution as a `PoseConv2d` of the same weights."""
    old = unet.conv_in
    if isinstance(old, PoseConv2d):
        return unet
    with torch.device("meta"):
        new = PoseConv2d(old.in_channels, old.out_channels, old.kernel_size, padding=old.padding)
    new.noise_channels = noise_channels
    new.weight, new.bias = old.weight, old.bias
    unet.conv_in = new
    return unet


def enlarged(skeletons: Tensor, pose_scale: int) -> Tensor:
    """Skeleton pictures (B,3,H,W) as they are encoded, (B,3,pose_scale*H,pose_scale*W)."""
    if pose_scale == 1:
        return skeletons
    return F.interpolate(skeletons, scale_factor=pose_scale, mode="bilinear", align_corners=False)


def folded(latents: Tensor, pose_scale: int) -> Tensor:
    """Latents (B,C,s*h,s*w) of enlarged skeletons as the U-Net takes them, (B,C*s*s,h,w)."""
    return F.pixel_unshuffle(latents, pose_scale)


class HumanSD(LatentModel):
    """A text-to-image U-Net that also gets the latents of a skeleton picture.

    cfg: guidance scale it is at its best with. released: the authors' weights, whose pictures are made as by
    their demo unless asked otherwise. size is that of its training pictures; it takes others, too.
    pose_scale: how much larger than the picture the skeleton is encoded; the U-Net's channels tell.
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
        scale = math.isqrt(max(found[0] // channels - 1, 0))
        if scale < 1 or found != (channels * (1 + scale**2), channels):
            raise ValueError(
                f"{name}: the U-Net has {found[0]} input and {found[1]} output channels; HumanSD's has "
                f"{2 * channels} (latents, pose) and {channels}"
            )
        super().__init__(networks._replace(unet=with_pose_conv(unet, channels)), name)
        self.cfg, self.released, self.pose_scale = cfg, released, scale
