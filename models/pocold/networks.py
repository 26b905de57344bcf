"""The networks of PoCoLD: the denoising U-Net H_N, the source encoder H_S, and the label mapper.

Built of diffusers' blocks. Latents are (B,C,h,w) scaled; labels are DensePose parts 0..24 at the latent size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...people.densepose import LABELS
from ..diffusion.networks import (
    LATENT_CHANNELS,
    MINI_SIZE,
    decode_latents,
    encode_image,
    fold_of,
    image_posterior,
    sampled_latents,
)
from ..diffusion.placement import coded
from .attention import PAPER, RELEASED, CrossAttention, Observe, PoseConstrainedAttention, VanillaAttention

if TYPE_CHECKING:
    from diffusers.models.resnet import Downsample2D, ResnetBlock2D, Upsample2D

SPARSE, VANILLA = ATTENTIONS = ("sparse", "vanilla")
MAPPED = 4
"""Channels that the mapper makes of the 25 labels."""
EPS = 1e-5


@dataclass(frozen=True)
class PoCoLDConfig:
    """Sizes of the networks; the defaults are mini's.

    latent_channels: C. channels: of each level. layers: resnets per level on the way down, one more on the
    way up. heads, filters: of each attention module. groups: of the group norms. attention: "sparse" (the
    paper's) or "vanilla" (cross-attention, B1). scale_mode: see `PoseConstrainedAttention`. sides: height and
    width in pixels that the model was trained at.
    """

    latent_channels: int = LATENT_CHANNELS
    channels: tuple[int, ...] = (64, 96, 96)
    layers: int = 1
    heads: int = 4
    filters: int = 32
    groups: int = 16
    attention: str = SPARSE
    scale_mode: str = PAPER
    sides: tuple[int, int] = (MINI_SIZE, MINI_SIZE)


def released_config(scale_mode: str = RELEASED) -> PoCoLDConfig:
    """The sizes of the authors' code: 64 x 48 latents of Stable Diffusion's autoencoder, 512 x 384 px."""
    return PoCoLDConfig(
        latent_channels=4, channels=(128, 256, 512, 512), layers=2, heads=8, filters=64, groups=32,
        scale_mode=scale_mode, sides=(512, 384),
    )  # fmt: skip


class LabelMapper(nn.Conv2d):
    """One-hot labels (B,25,h,w) -> (B,4,h,w) beside the noisy latents. Zeros in place of them are no pose."""

    def __init__(self) -> None:
        super().__init__(LABELS, MAPPED, 1)


class SourceEncoder(nn.Module):
    """H_S: latents (B,C,h,w) of the source picture -> one map per level of the U-Net.

    Level 0 is at the latent size, every further one at half the one before.
    """

    def __init__(self, config: PoCoLDConfig, operations: Any = nn) -> None:
        super().__init__()
        channels = config.channels
        self.conv_in = operations.Conv2d(config.latent_channels, channels[0], 3, padding=1)
        self.resnets = nn.ModuleList(
            _resnet(before, after, config.groups, None)
            for before, after in zip((channels[0], *channels), channels)
        )
        self.downsamplers = nn.ModuleList(_down(width) for width in channels[1:])

    def forward(self, latents: Tensor) -> list[Tensor]:
        """Maps (B,channels[l],h/2^l,w/2^l) of every level l."""
        hidden = self.resnets[0](self.conv_in(latents), None)
        maps = [hidden]
        for resnet, downsample in zip(self.resnets[1:], self.downsamplers):
            maps.append(downsample(resnet(maps[-1], None)))
        return maps


class DenoisingUNet(nn.Module):
    """H_N: (z_t, mapped pose) -> noise, with attention to the source after every resnet of every level."""

    def __init__(self, config: PoCoLDConfig, operations: Any = nn) -> None:
        from diffusers.models.embeddings import TimestepEmbedding

        super().__init__()
        self.config = config
        channels, deepest = config.channels, config.channels[-1]
        width = 4 * channels[0]
        self.conv_in = operations.Conv2d(config.latent_channels + MAPPED, channels[0], 3, padding=1)
        self.time = TimestepEmbedding(channels[0], width)
        self.down: Any = nn.ModuleList(
            Level(config, level, [before] + [channels[level]] * (config.layers - 1), operations)
            for level, before in enumerate((channels[0], *channels[:-1]))
        )
        self.downsamplers = nn.ModuleList(_down(width) for width in channels[:-1])
        self.mid_first = _resnet(deepest, deepest, config.groups, width)
        self.mid_attention = attention_of(config, len(channels) - 1, operations)
        self.mid_last = _resnet(deepest, deepest, config.groups, width)
        self.up: Any = nn.ModuleList(
            Level(config, level, _inputs_of_up_level(config, level), operations)
            for level in reversed(range(len(channels)))
        )
        self.upsamplers = nn.ModuleList(_up(width) for width in channels[:0:-1])
        self.norm_out = operations.GroupNorm(config.groups, channels[0], eps=EPS)
        self.conv_out = operations.Conv2d(channels[0], config.latent_channels, 3, padding=1)

    def forward(
        self,
        latents: Tensor,
        t: Tensor,
        pose: Tensor,
        source: Sequence[Tensor] | None = None,
        observe: Observe | None = None,
    ) -> Tensor:
        """Noise (B,C,h,w).

        Args:
            latents: (B,C,h,w).
            t: time steps (B,), or one for all.
            pose: mapped labels (B,4,h,w).
            source: the maps of H_S; None skips every attention.
            observe: is handed the factors of every attention module in turn.
        """
        maps: Sequence[Tensor | None] = [None] * len(self.down) if source is None else source
        time = self._embed(t, latents)
        hidden = self.conv_in(torch.cat([latents, pose], dim=1))
        skips = [hidden]
        for number, level in enumerate(self.down):
            for resnet, attention in level.pairs():
                hidden = attended(attention, resnet(hidden, time), maps[number], observe)
                skips.append(hidden)
            if number < len(self.downsamplers):
                hidden = self.downsamplers[number](hidden)
                skips.append(hidden)
        hidden = attended(self.mid_attention, self.mid_first(hidden, time), maps[-1], observe)
        hidden = self.mid_last(hidden, time)
        for number, level in enumerate(self.up):
            for resnet, attention in level.pairs():
                hidden = resnet(torch.cat([hidden, skips.pop()], dim=1), time)
                hidden = attended(attention, hidden, maps[-1 - number], observe)
            if number < len(self.upsamplers):
                hidden = self.upsamplers[number](hidden, skips[-1].shape[-2:])
        return self.conv_out(F.silu(self.norm_out(hidden)))

    def _embed(self, t: Tensor, latents: Tensor) -> Tensor:
        from diffusers.models.embeddings import get_timestep_embedding

        times = t.to(latents.device).expand(len(latents))
        channels = self.config.channels[0]
        sines = get_timestep_embedding(times, channels, flip_sin_to_cos=True, downscale_freq_shift=0)
        return self.time(sines.to(latents.dtype))


class Level(nn.Module):
    """Resnets of one level, each with its attention. inputs: the input channels of each resnet."""

    def __init__(self, config: PoCoLDConfig, level: int, inputs: Sequence[int], operations: Any = nn) -> None:
        super().__init__()
        width, time = config.channels[level], 4 * config.channels[0]
        self.resnets = nn.ModuleList(_resnet(before, width, config.groups, time) for before in inputs)
        self.attentions = nn.ModuleList(attention_of(config, level, operations) for _ in inputs)

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each resnet with the attention behind it."""
        return list(zip(self.resnets, self.attentions))


class PoCoLDNetworks(nn.Module):
    """What PoCoLD trains: the U-Net, the source encoder and the label mapper."""

    def __init__(self, config: PoCoLDConfig = PoCoLDConfig(), operations: Any = nn) -> None:
        super().__init__()
        self.config = config
        self.unet, self.encoder = DenoisingUNet(config, operations), SourceEncoder(config, operations)
        self.mapper = LabelMapper()

    def forward(
        self,
        latents: Tensor,
        t: Tensor,
        labels: Tensor | None,
        source: Tensor | Sequence[Tensor] | None,
        observe: Observe | None = None,
    ) -> Tensor:
        """Noise (B,C,h,w).

        Args:
            latents: (B,C,h,w).
            t: time steps (B,), or one for all.
            labels: DensePose labels (B,h,w), 0..24; None is no pose.
            source: latents (B,C,h',w') of the source, or their maps by `encoder`; None skips attention.
            observe: is handed the factors of every attention module in turn.
        """
        maps = self.encoder(source) if isinstance(source, Tensor) else source
        return self.unet(latents, t, self.map_labels(labels, latents), maps, observe)

    def map_labels(self, labels: Tensor | None, like: Tensor) -> Tensor:
        """The pose's channels (B,4,h,w): labels, or zeros, as one-hot channels through the mapper."""
        if labels is None:
            one_hot = like.new_zeros(len(like), LABELS, *like.shape[-2:])
        else:
            one_hot = F.one_hot(labels.long(), LABELS).permute(0, 3, 1, 2).to(like)
        return self.mapper(one_hot)


class PoCoLDModel(nn.Module):
    """The networks with their autoencoder. name: what to call the model in messages."""

    def __init__(self, vae: Any, networks: PoCoLDNetworks, name: str = "mini PoCoLD") -> None:
        super().__init__()
        if vae.config.latent_channels != networks.config.latent_channels:
            raise ValueError(
                f"{name} works on latents of {networks.config.latent_channels} channels, but the VAE makes "
                f"{vae.config.latent_channels}: choose the VAE that it was trained with"
            )
        self.vae, self.networks, self.name = vae, networks, name

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.networks.parameters()).device

    @property
    def released(self) -> bool:
        """Whether the networks have the sizes of the authors' code."""
        own, theirs = self.networks.config, released_config()
        names = ("latent_channels", "channels", "layers", "heads", "filters")
        return all(getattr(own, name) == getattr(theirs, name) for name in names)

    @property
    def factor(self) -> int:
        """Pixels a side in one latent; pictures have to be a multiple of it."""
        return fold_of(self.vae) * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (B,3,H,W) in 0..1 -> scaled latents (B,C,h,w), float32 on the model's device."""
        return coded(self.vae, self._for_vae(images), partial(encode_image, self.vae)).float()

    def sample_latents(self, images: Tensor, seeds: Sequence[int], salt: int = 0) -> Tensor:
        """`encode`, but a sample of the posterior in place of its mean; see `sampled_latents`."""
        moments = coded(
            self.vae, self._for_vae(images), lambda some: image_posterior(self.vae, some).parameters
        )
        return sampled_latents(self.vae, moments, seeds, salt)

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (B,C,h,w) -> pictures (B,3,H,W) in 0..1, float32."""
        return coded(self.vae, self._for_vae(latents), partial(decode_latents, self.vae)).float()

    def _for_vae(self, values: Tensor) -> Tensor:
        return values.to(self.device, next(self.vae.parameters()).dtype)


def attention_of(config: PoCoLDConfig, level: int, operations: Any = nn) -> CrossAttention:
    """The attention module of a level, to the map of the same level."""
    width = config.channels[level]
    if config.attention == SPARSE:
        return PoseConstrainedAttention(
            width, width, config.heads, config.filters, config.scale_mode, operations
        )
    if config.attention == VANILLA:
        return VanillaAttention(width, width, config.heads, fused=True, operations=operations)
    raise ValueError(f"attention is {config.attention!r}; it is one of {', '.join(ATTENTIONS)}")


def attended(attention: nn.Module, hidden: Tensor, source: Tensor | None, observe: Observe | None) -> Tensor:
    """Hidden after the attention; as it is without a source: the module is not even called.

    Args:
        attention: a module of `attention.py`.
        hidden: (B,C,h,w).
        source: the source's map (B,Cs,h',w'), or None.
        observe: is handed the module's factors.
    """
    return hidden if source is None else attention(hidden, source, observe)


def _inputs_of_up_level(config: PoCoLDConfig, level: int) -> list[int]:
    """Input channels of the resnets of one level on the way up: what comes from below, and a skip."""
    channels = config.channels
    own = channels[level]
    below = channels[min(level + 1, len(channels) - 1)]
    above = channels[max(level - 1, 0)]
    return [below + own] + [2 * own] * (config.layers - 1) + [own + above]


def _resnet(before: int, after: int, groups: int, time: int | None) -> ResnetBlock2D:
    from diffusers.models.resnet import ResnetBlock2D

    return ResnetBlock2D(in_channels=before, out_channels=after, temb_channels=time, groups=groups, eps=EPS)


def _down(channels: int) -> Downsample2D:
    from diffusers.models.resnet import Downsample2D

    # Under the name "op" the convolution is registered once, under the default one twice.
    return Downsample2D(channels, use_conv=True, out_channels=channels, name="op")


def _up(channels: int) -> Upsample2D:
    from diffusers.models.resnet import Upsample2D

    return Upsample2D(channels, use_conv=True, out_channels=channels)
