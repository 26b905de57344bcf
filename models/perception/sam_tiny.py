"""TinyViT (Wu et al., ECCV 2022), the image encoder of MobileSAM (Zhang et al., 2023).

The names of the parts are those of the published file, mobile_sam.pt. Convolutions are followed by batch
normalisation there; the classifier that it also holds is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PREFIX = "image_encoder."
UNUSED = re.compile(r"^image_encoder\.(norm_head|head)\.|\.(attention_bias_idxs|ab)$")
"""The classifier, and what is counted from the sizes."""
KEPT_RESOLUTION = (320, 448, 576)
"""Last stages, of these widths in the three sizes of TinyViT, keep the resolution of the one before."""
FIRST_STRIDE = 4


@dataclass(frozen=True)
class TinyViTConfig:
    """Widths, depths, heads and windows of the four stages; heads and windows of the first, which is
    convolutional, are 0. expand: how much wider its blocks are inside.
    """

    dims: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (0, 4, 5, 10)
    windows: tuple[int, ...] = (0, 7, 14, 7)
    mlp_ratio: float = 4.0
    expand: float = 4.0


def without_classifier(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a MobileSAM that are used here."""
    return {key: value for key, value in tensors.items() if not UNUSED.search(key)}


def config_of(tensors: Mapping[str, Tensor]) -> TinyViTConfig:
    """Every number of a TinyViT from its keys and shapes. KeyError when tensors are missing."""
    stages = 1 + max(
        int(found[1]) for key in tensors if (found := re.match(r"image_encoder\.layers\.(\d+)\.", key))
    )
    depths = [_depth(tensors, stage) for stage in range(stages)]
    hidden, first = tensors[f"{PREFIX}layers.0.blocks.0.conv1.c.weight"].shape[:2]
    biases = [tensors[f"{PREFIX}layers.{stage}.blocks.0.attn.attention_biases"] for stage in range(1, stages)]
    mlp, width = tensors[f"{PREFIX}layers.1.blocks.0.mlp.fc1.weight"].shape
    widths = [
        tensors[f"{PREFIX}layers.{stage}.blocks.0.attn.proj.weight"].shape[0] for stage in range(1, stages)
    ]
    return TinyViTConfig(
        dims=(first, *widths),
        depths=tuple(depths),
        heads=(0, *(bias.shape[0] for bias in biases)),
        windows=(0, *(round(bias.shape[1] ** 0.5) for bias in biases)),
        mlp_ratio=mlp / width,
        expand=hidden / first,
    )


def _depth(tensors: Mapping[str, Tensor], stage: int) -> int:
    pattern = re.compile(rf"image_encoder\.layers\.{stage}\.blocks\.(\d+)\.")
    return len({found[1] for key in tensors if (found := pattern.match(key))})


class ConvNorm(nn.Sequential):
    """A convolution without bias, `c`, and its batch normalisation, `bn`."""

    def __init__(self, given: int, made: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.add_module("c", nn.Conv2d(given, made, kernel, stride, kernel // 2, groups=groups, bias=False))
        self.add_module("bn", nn.BatchNorm2d(made))


class InvertedBottleneck(nn.Module):
    """Wide inside, one filter a channel there, and a shortcut. (B,C,H,W), same shape out."""

    def __init__(self, width: int, expand: float) -> None:
        super().__init__()
        hidden = int(width * expand)
        self.conv1, self.conv3 = ConvNorm(width, hidden), ConvNorm(hidden, width)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)

    def forward(self, x: Tensor) -> Tensor:
        inside = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(x + self.conv3(inside))


class Merging(nn.Module):
    """From one stage to the next: (B,given,H,W) -> (B,made,H/stride,W/stride)."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        stride = 1 if made in KEPT_RESOLUTION else 2
        self.conv1, self.conv3 = ConvNorm(given, made), ConvNorm(made, made)
        self.conv2 = ConvNorm(made, made, 3, stride, groups=made)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class BiasedAttention(nn.Module):
    """Attention in a window of w x w tokens: (N,w*w,C), same shape out. Each head learns how much every
    distance between two tokens, in rows and columns, counts.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm, self.qkv = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))

    def forward(self, x: Tensor) -> Tensor:
        count, tokens, width = x.shape
        own = width // self.heads
        qkv = self.qkv(self.norm(x)).view(count, tokens, self.heads, 3 * own).transpose(1, 2)
        bias = self.attention_biases[:, distances(self.window).to(x.device)]
        query, key, value = qkv.split(own, dim=3)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(x.dtype))
        return self.proj(mixed.transpose(1, 2).reshape(count, tokens, width))


def distances(window: int) -> Tensor:
    """(w*w,w*w): for two tokens of a window, the number of their distance in rows and columns. Distances are
    numbered as they are met when every token is compared with the first, row by row.
    """
    row, column = torch.tensor(list(product(range(window), repeat=2))).unbind(1)
    return (row[:, None] - row).abs() * window + (column[:, None] - column).abs()


class Mlp(nn.Module):
    """(…,C), same shape out."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, int(width * ratio)), nn.Linear(int(width * ratio), width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class WindowBlock(nn.Module):
    """Attention in windows, a 3x3 filter for each channel, an MLP. (B,C,H,W), same shape out."""

    def __init__(self, width: int, heads: int, window: int, mlp_ratio: float) -> None:
        super().__init__()
        self.window = window
        self.attn = BiasedAttention(width, heads, window)
        self.local_conv = ConvNorm(width, width, 3, groups=width)
        self.mlp = Mlp(width, mlp_ratio)

    def forward(self, x: Tensor) -> Tensor:
        x = self.local_conv(x + self._attended(x))
        tokens = x.permute(0, 2, 3, 1)
        return x + self.mlp(tokens).permute(0, 3, 1, 2)

    def _attended(self, x: Tensor) -> Tensor:
        """In windows from the top left; the last ones are filled up with zeros."""
        size, (height, width) = self.window, x.shape[-2:]
        padded = F.pad(x, (0, -width % size, 0, -height % size))
        rows, columns = (side // size for side in padded.shape[-2:])
        split = padded.unflatten(2, (rows, size)).unflatten(4, (columns, size))
        tokens = split.permute(0, 2, 4, 3, 5, 1).reshape(-1, size * size, x.shape[1])
        back = self.attn(tokens).reshape(len(x), rows, columns, size, size, x.shape[1])
        whole = back.permute(0, 5, 1, 3, 2, 4).reshape(padded.shape)
        return whole[..., :height, :width]


class Stage(nn.Module):
    """Blocks, and the way to the next stage. (B,C,H,W) -> (B,C',H',W')."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks, self.downsample = nn.ModuleList(blocks), downsample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbedding(nn.Module):
    """(B,3,S,S) -> (B,C,S/4,S/4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(3, width // 2, 3, 2), nn.GELU(), ConvNorm(width // 2, width, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class TinyViT(nn.Module):
    """MobileSAM's image encoder: normalised pictures (B,3,S,S) -> embeddings (B,out_chans,S/16,S/16)."""

    def __init__(self, config: TinyViTConfig, image_size: int, out_chans: int, layer_norm: Any) -> None:
        super().__init__()
        self.img_size, self.config = image_size, config
        dims = config.dims
        self.patch_embed = PatchEmbedding(dims[0])
        last = len(dims) - 1
        downs = [Merging(*dims[stage : stage + 2]) if stage < last else None for stage in range(len(dims))]
        self.layers = nn.ModuleList(Stage(_blocks(config, stage), down) for stage, down in enumerate(downs))
        self.neck = nn.Sequential(
            nn.Conv2d(dims[-1], out_chans, 1, bias=False),
            layer_norm(out_chans),
            nn.Conv2d(out_chans, out_chans, 3, padding=1, bias=False),
            layer_norm(out_chans),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for stage in self.layers:
            x = stage(x)
        return self.neck(x)


def _blocks(config: TinyViTConfig, stage: int) -> list[nn.Module]:
    width, depth = config.dims[stage], config.depths[stage]
    if stage == 0:
        return [InvertedBottleneck(width, config.expand) for _ in range(depth)]
    heads, window = config.heads[stage], config.windows[stage]
    return [WindowBlock(width, heads, window, config.mlp_ratio) for _ in range(depth)]


def patch_size(config: TinyViTConfig) -> int:
    """Side in pixels of what one place of the embedding stands for."""
    return int(FIRST_STRIDE * 2 ** sum(width not in KEPT_RESOLUTION for width in config.dims[1:]))
