"""H_S: a Swin Transformer that gives the maps of all its stages.

timm and torchvision have Swin Transformers too. Here the code is our own because the released weights take
each stage's map before the patches are merged, with the merging inside the stage, and name their tensors by
that; both libraries merge at the start of the next stage under other names.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCKED = -100.0
"""Added to the attention between tokens that a cyclic shift brought together."""


class PatchEmbedding(nn.Module):
    """Pictures (B,3,S,S) -> tokens (B,S/p,S/p,C)."""

    def __init__(self, patch: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch, stride=patch)
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.proj(images).permute(0, 2, 3, 1))


class WindowAttention(nn.Module):
    """Self-attention in windows of w x w tokens with a learnt bias for every relative position."""

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(window), persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """tokens (B*n,w*w,C) of the n windows of B pictures. mask: (n,w*w,w*w), added to the logits."""
        count, length, channels = tokens.shape
        q, k, v = self.qkv(tokens).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = bias.view(length, length, self.heads).permute(2, 0, 1)[None]
        if mask is not None:
            bias = bias + mask.to(bias)[:, None]
        bias = bias.repeat(count // len(bias), 1, 1, 1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(out.transpose(1, 2).reshape(count, length, channels))


def relative_positions(window: int) -> Tensor:
    """(w*w,w*w) int64: which row of the bias table belongs to each pair of tokens."""
    place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
    row, column = place[:, :, None] - place[:, None, :] + window - 1
    return row * (2 * window - 1) + column


class MLP(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens)))


class SwinBlock(nn.Module):
    """Attention in windows, every second block in windows shifted by half; then an MLP."""

    shift_mask: Tensor | None

    def __init__(self, channels: int, heads: int, side: int, window: int, shifted: bool, drop: float) -> None:
        super().__init__()
        self.window = min(window, side)
        # A map no larger than a window has nothing to shift.
        self.shift = self.window // 2 if shifted and side > window else 0
        self.drop = drop
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, self.window)
        self.mlp = MLP(channels)
        mask = shift_mask(side, self.window, self.shift) if self.shift else None
        self.register_buffer("shift_mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B,h,w,C) -> the same."""
        tokens = tokens + self._kept(self._attend(self.norm1(tokens)))
        return tokens + self._kept(self.mlp(self.norm2(tokens)))

    def _attend(self, tokens: Tensor) -> Tensor:
        if self.shift:
            tokens = tokens.roll((-self.shift, -self.shift), (1, 2))
        height, width = tokens.shape[1:3]
        out = joined(self.attn(windows(tokens, self.window), self.shift_mask), self.window, height, width)
        return out.roll((self.shift, self.shift), (1, 2)) if self.shift else out

    def _kept(self, branch: Tensor) -> Tensor:
        """Stochastic depth: while training, some pictures skip the branch."""
        if not self.training or not self.drop:
            return branch
        kept = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= self.drop
        return branch * kept / (1 - self.drop)


def windows(tokens: Tensor, window: int) -> Tensor:
    """(B,h,w,C) -> (B*n,window*window,C)."""
    batch, height, width, channels = tokens.shape
    parts = tokens.view(batch, height // window, window, width // window, window, channels)
    return parts.transpose(2, 3).reshape(-1, window * window, channels)


def joined(parts: Tensor, window: int, height: int, width: int) -> Tensor:
    """The inverse of `windows`.

    Args:
        parts: windows of tokens, (B*n,window*window,C).
        window: their side in tokens.
        height, width: of the map in tokens, multiples of window.

    Returns:
        The map, (B,height,width,C).
    """
    rows, columns = height // window, width // window
    tokens = parts.view(-1, rows, columns, window, window, parts.shape[-1])
    return tokens.transpose(2, 3).reshape(-1, height, width, parts.shape[-1])


def shift_mask(side: int, window: int, shift: int) -> Tensor:
    """(n,w*w,w*w): 0 between tokens that are neighbours without the shift, else BLOCKED."""
    part = torch.zeros(side, dtype=torch.long)
    part[side - window : side - shift], part[side - shift :] = 1, 2
    number = (3 * part[:, None] + part[None, :])[None, :, :, None]
    cells = windows(number, window)[..., 0]
    return (cells[:, :, None] != cells[:, None, :]).float() * BLOCKED


class PatchMerging(nn.Module):
    """Four neighbours become one token of twice the width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(4 * channels)

    def forward(self, tokens: Tensor) -> Tensor:
        corners = [tokens[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))


class Stage(nn.Module):
    """Blocks at one resolution, and what leads to the next one."""

    def __init__(
        self, channels: int, heads: int, side: int, window: int, drops: Sequence[float], merges: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(channels, heads, side, window, bool(number % 2), drop)
            for number, drop in enumerate(drops)
        )
        self.downsample = PatchMerging(channels) if merges else None

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(B,h,w,C) -> the stage's own tokens, and those for the next stage."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens, tokens if self.downsample is None else self.downsample(tokens)


class SwinEncoder(nn.Module):
    """Pictures (B,3,S,S) in -1..1 -> a map of each stage, (B,C*2^s,S/p/2^s,S/p/2^s).

    size: S. drop_path: stochastic depth of the last block; it rises linearly from 0.
    """

    def __init__(
        self,
        size: int,
        patch: int,
        channels: int,
        depths: Sequence[int],
        heads: Sequence[int],
        window: int,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.size = size
        self.patch_embed = PatchEmbedding(patch, channels)
        drops = [drop_path * number / max(sum(depths) - 1, 1) for number in range(sum(depths))]
        self.layers = nn.ModuleList()
        for stage, depth in enumerate(depths):
            start, last = sum(depths[:stage]), stage == len(depths) - 1
            self.layers.append(
                Stage(channels * 2**stage, heads[stage], size // patch // 2**stage, window,
                      drops[start : start + depth], not last)
            )  # fmt: skip

    def forward(self, images: Tensor) -> list[Tensor]:
        if tuple(images.shape[1:]) != (3, self.size, self.size):
            raise ValueError(
                f"source pictures of shape {tuple(images.shape)}: (B,3,{self.size},{self.size}) is needed"
            )
        tokens, maps = self.patch_embed(images), []
        for stage in self.layers:
            own, tokens = stage(tokens)
            maps.append(own.permute(0, 3, 1, 2))
        return maps


# Starting weights

TABLE = ".relative_position_bias_table"


def start_from(encoder: SwinEncoder, tensors: dict[str, Tensor], name: str) -> None:
    """Give the encoder the weights of a published Swin Transformer classifier, such as
    swin_base_patch4_window12_384_22kto1k; its head and last norm are left out.

    Bias tables of other windows are resized bicubically, as the authors of CFLD did. Raises ValueError, with
    the file's name, for one of another size.
    """
    given = {key.removeprefix("model."): value for key, value in tensors.items()}
    own = encoder.state_dict()
    started = {
        key: resized_table(given[key], own[key]) if key.endswith(TABLE) else given[key]
        for key in own
        if key in given
    }
    wrong = [key for key in own if key not in started or started[key].shape != own[key].shape]
    if wrong:
        raise ValueError(
            f"{name} is no Swin Transformer of this size: {len(wrong)} of {len(own)} tensors are missing or "
            f"of another shape, first {wrong[0]}"
        )
    encoder.load_state_dict(started)


def resized_table(table: Tensor, like: Tensor) -> Tensor:
    """A bias table ((2w-1)^2, heads) for the window of another one."""
    if table.shape == like.shape or table.shape[1] != like.shape[1]:
        return table
    before, after = (round(len(each) ** 0.5) for each in (table, like))
    image = table.float().T.view(1, -1, before, before)
    made = F.interpolate(image, (after, after), mode="bicubic", align_corners=False)
    return made.flatten(2)[0].T.contiguous()
