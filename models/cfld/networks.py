"""The networks of CFLD (Lu, Zhang, Ma, Xie, Lai, CVPR 2024), with the names and shapes of the released ones.

Source pictures go through H_S (swin.py); H_D makes the coarse prompt of its last map, H_A (attention.py) the
biases of the queries in the U-Net's upward cross-attention of the others; H_P makes residuals of the pose
picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..diffusion.latent_model import LatentModel, LatentNetworks
from .attention import AppearanceEncoder, TransformerBlock, replace_key_values, take_query_biases
from .config import DECODER, POOLED, CFLDConfig
from .swin import SwinEncoder

POSE_CHANNELS = 21
"""3 of a skeleton picture and 18 heatmaps."""
INITIAL_STD = 0.02


class PerceptionRefinedDecoder(nn.Module):
    """H_D: learnable queries read the last map, block by block, and become the coarse prompt (B,N,D)."""

    def __init__(self, config: CFLDConfig) -> None:
        super().__init__()
        width, channels = config.context, config.map_channels[-1]
        self.query_feat = nn.Parameter(torch.randn(config.queries, width) * INITIAL_STD)
        self.pos_embed = nn.Parameter(torch.randn(config.queries, width) * INITIAL_STD)
        self.kv_pos_embed = nn.Parameter(torch.randn(1, config.last_side**2, channels) * INITIAL_STD)
        self.blocks = nn.ModuleList(TransformerBlock(width, channels) for _ in range(config.decoder_blocks))

    def forward(self, features: Tensor) -> Tensor:
        """features: (B,C,h,w)."""
        seen = features.flatten(2).transpose(1, 2) + self.kv_pos_embed
        prompt = self.query_feat.expand(len(features), -1, -1)
        for block in self.blocks:
            prompt = block.refine(prompt, self.pos_embed, seen)  # type: ignore[operator]
        return prompt


class PlainPrompt(nn.Module):
    """In place of H_D, to compare: the last map's tokens, or their mean as one token, projected."""

    def __init__(self, config: CFLDConfig) -> None:
        super().__init__()
        self.pooled = config.prompt == POOLED
        self.norm = nn.LayerNorm(config.map_channels[-1])
        self.proj = nn.Linear(config.map_channels[-1], config.context)

    def forward(self, features: Tensor) -> Tensor:
        """(B,C,h,w) -> (B,1,D) or (B,h*w,D)."""
        tokens = self.norm(features.flatten(2).transpose(1, 2))
        return self.proj(tokens.mean(1, keepdim=True) if self.pooled else tokens)


class PoseEncoder(nn.Module):
    """H_P: pose pictures (B,21,P,P) -> a residual for each level with cross-attention, (B,C,h,w)."""

    def __init__(self, config: CFLDConfig) -> None:
        from diffusers.models.resnet import ResnetBlock2D

        super().__init__()
        first, *_ = widths = config.channels
        self.unshuffle = config.unshuffle
        self.conv_in = nn.Conv2d(POSE_CHANNELS * config.unshuffle**2, first, 1)
        self.resnets = nn.ModuleList(
            ResnetBlock2D(in_channels=before, out_channels=after, temb_channels=None, groups=config.groups)
            for before, after in zip((first, *widths), widths)
        )

    def forward(self, pose: Tensor) -> list[Tensor]:
        hidden, residuals = self.conv_in(F.pixel_unshuffle(pose, self.unshuffle)), []
        for level, resnet in enumerate(self.resnets):
            hidden = resnet(hidden if level == 0 else F.avg_pool2d(hidden, 2), None)
            residuals.append(hidden)
        return residuals


# Together


class Appearance(NamedTuple):
    """What a source picture gives. prompt: (B,N,D). biases: (B,C,h,w) in the order of `upward`, or none."""

    prompt: Tensor
    biases: tuple[Tensor, ...] = ()

    def mixed(self, other: Appearance, share: float) -> Appearance:
        """(1 - share) times this plus share times the other one; 0 and 1 are one of them, bit for bit."""
        if share in (0.0, 1.0):
            return other if share else self
        biases = (torch.lerp(a, b, share) for a, b in zip(self.biases, other.biases, strict=True))
        return Appearance(torch.lerp(self.prompt, other.prompt, share), tuple(biases))


class CFLDNetworks(nn.Module):
    """All networks of CFLD beside the U-Net: 237,902,392 parameters as released."""

    def __init__(self, config: CFLDConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = SwinEncoder(
            config.source_size, config.patch, config.embed, config.depths, config.heads, config.window,
            config.drop_path,
        )  # fmt: skip
        self.appearance_encoder = AppearanceEncoder(config) if config.appearance else None
        self.pose_encoder = PoseEncoder(config)
        self.decoder = PerceptionRefinedDecoder(config) if config.prompt == DECODER else PlainPrompt(config)
        self.learnable_vector = nn.Parameter(torch.randn(1, config.prompt_tokens, config.context))

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.learnable_vector.dtype

    def appearance(self, source: Tensor) -> Appearance:
        """Square source pictures (B,3,S,S) in 0..1 -> their coarse prompt and query biases."""
        maps = self.backbone(source.to(self.learnable_vector) * 2 - 1)
        biases = () if self.appearance_encoder is None else tuple(self.appearance_encoder(maps))
        return Appearance(self.decoder(maps[-1]), biases)

    def pose(self, images: Tensor) -> list[Tensor]:
        """Pose pictures (B,21,P,P) in 0..1 -> residuals of the levels with cross-attention."""
        return self.pose_encoder(images.to(self.learnable_vector))

    def null_prompt(self, count: int) -> Tensor:
        """The learnt prompt of no appearance, (count,N,D)."""
        return self.learnable_vector.expand(count, -1, -1)


class CFLDModel(LatentModel):
    """CFLD with its U-Net and autoencoder.

    key_values: the trained matrices, by the names of the U-Net (diffusers). vae and unet may be None: then it
    only serves to patch a model of the host. With a U-Net its matrices are replaced by key_values.
    Raises ValueError when they do not fit.
    """

    def __init__(
        self,
        vae: Any,
        unet: Any,
        networks: CFLDNetworks,
        key_values: Mapping[str, Tensor],
        size: int,
        name: str = "mini CFLD",
    ) -> None:
        super().__init__(LatentNetworks(vae, unet, None, size), name)
        self.networks = networks
        self.key_values = dict(key_values)
        if unet is not None:
            replace_key_values(unet, key_values, name)
            take_query_biases(unet)

    @property
    def device(self) -> torch.device:
        """Where is computed; without a placement that is where the weights are."""
        if self.placement is not None:
            return self.placement.device
        return self.networks.learnable_vector.device
