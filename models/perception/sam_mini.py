"""What the mini SAM has beyond the public ones: a convolutional stem that sees the prompt, and fine masks.

In a network as small as this a prompt that only reaches the late decoder hardly changes the mask. So it
enters beside the picture, as in interactive segmentation (RITM: Sofiiuk et al., Reviving Iterative Training
with Mask Guidance): discs round the points inside, discs round the points outside, the filled box.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .layers import Residual

MAPS = 3
"""Channels that tell the prompt: points inside, points outside, box."""
DISC_RADIUS = 1 / 32
"""Of the discs round the points, as a share of the picture's side."""


def prompt_maps(
    inside: torch.Tensor,
    outside: torch.Tensor,
    points_px: torch.Tensor,
    boxes: torch.Tensor | None,
    side: int,
) -> torch.Tensor:
    """The prompt as pictures (N,3,side,side) in 0..1: discs round points inside, outside, and the box.

    Args:
        inside: (N,n) bool, which points lie on what is meant.
        outside: (N,n) bool, which do not.
        points_px: (N,n,2) continuous pixels.
        boxes: (N,4) x0 y0 x1 y1 pixels, or None for an empty map.
        side: of the pictures.
    """
    axis = torch.arange(side, device=points_px.device) + 0.5
    along = (axis - points_px[..., None].float()).square()
    distance = (along[:, :, 1, :, None] + along[:, :, 0, None, :]).sqrt()
    discs = (side * DISC_RADIUS + 0.5 - distance).clamp(0, 1)
    empty = discs.new_zeros(len(discs), side, side)
    channels = [empty, empty, empty]
    if discs.shape[1]:
        channels[:2] = [(discs * places[..., None, None]).amax(dim=1) for places in (inside, outside)]
    if boxes is not None:
        low, high = boxes[:, :2, None].float(), boxes[:, 2:, None].float()
        within = ((axis >= low) & (axis <= high)).float()
        channels[2] = within[:, 1, :, None] * within[:, 0, None, :]
    return torch.stack(channels, dim=1)


class ConvStem(nn.Module):
    """Patch embedding with context: (B,3,S,S) normalised -> (B,S/4,S/4,embed_dim), channels last.

    A small transformer learns shapes slowly from few pictures, and attention over 32x32 tokens is slow on a
    CPU. So a convolutional hourglass, of the same shape as the pose detector's, adds edges and context to the
    embedding of each 4x4 patch; the rest of the image encoder stays as it is. With `maps` further channels
    the pictures carry the prompt; what it adds begins with zero.
    """

    def __init__(
        self,
        embed_dim: int,
        widths: tuple[int, ...],
        blocks: int,
        maps: int = 0,
        operations: Any = torch.nn,
    ) -> None:
        super().__init__()
        conv = operations.Conv2d
        self.proj = conv(3, embed_dim, 4, stride=4)
        self.first = conv(3, widths[0], 5, stride=2, padding=2)
        if maps:
            self.prompt = _silent(conv(maps, widths[0], 5, stride=2, padding=2, bias=False))
        self.down = nn.ModuleList(conv(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(Residual(width, operations) for width in widths[1:])
        self.deep = nn.Sequential(*(Residual(widths[-1], operations) for _ in range(blocks - 1)))
        self.up = nn.ModuleList(conv(b, a, 1) for a, b in pairwise(widths[1:]))
        self.join = nn.ModuleList(Residual(width, operations) for width in widths[1:-1])
        self.out = conv(widths[1], embed_dim, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Down to 1/16 of the side and up again to 1/4."""
        images, maps = inputs[:, :3], inputs[:, 3:]
        first = self.first(images)
        if maps.shape[1]:
            first = first + self.prompt(maps)
        levels = [F.silu(first)]
        for down, block in zip(self.down, self.blocks, strict=True):
            levels.append(block(down(levels[-1])))
        x = self.deep(levels.pop())
        for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
            x = join(levels.pop() + F.interpolate(up(x), scale_factor=2.0))
        return (self.proj(images) + self.out(x)).permute(0, 2, 3, 1)


class FineMasks(nn.Module):
    """SAM's upscaling from 1/4 to the full side with what the picture shows there: edges, thin limbs.

    What it adds at 1/2 and 1/1 begins with zero. in_channels: of the encoder's input; channels: of SAM's
    upscaling at both sizes; width: of the features at full size, half as many again at 1/2; blocks: of
    `FoldedMasks`, none without.
    """

    def __init__(self, in_channels: int, channels: tuple[int, int], width: int, blocks: int = 0) -> None:
        super().__init__()
        half, full = channels
        self.at_full = nn.Conv2d(in_channels, width, 3, padding=1)
        self.at_half = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.join_half = _join(half + 2 * width, 2 * width, half)
        self.join_full = _join(full + width, width, full)
        self.folded = FoldedMasks(in_channels, channels, 4 * width, blocks) if blocks else None

    def forward(self, upscaling: nn.Sequential, inputs: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """inputs (N,in_channels,S,S) as the encoder had them, source (N,C,S/4,S/4) -> (N,channels[1],S,S)."""
        full = F.silu(self.at_full(inputs))
        half = F.silu(self.at_half(full))
        x = upscaling[:3](source)
        at_half = x + self.join_half(torch.cat([x, half], dim=1))
        x = upscaling[3:](at_half)
        x = x + self.join_full(torch.cat([x, full], dim=1))
        return x if self.folded is None else x + self.folded(inputs, at_half, x)


class FoldedMasks(nn.Module):
    """Corrects masks of full size at their outlines, in residual blocks at 1/2 whose channels hold the pixels
    of 2x2 squares: as exact as blocks at full size would be, in a quarter of their time.

    What it adds begins with zero. in_channels: of the encoder's input; channels: of SAM's upscaling at 1/2
    and 1/1; width: of the blocks; blocks: how many.
    """

    def __init__(self, in_channels: int, channels: tuple[int, int], width: int, blocks: int) -> None:
        super().__init__()
        half, full = channels
        self.first = nn.Conv2d(4 * (in_channels + full) + half, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.last = _silent(nn.Conv2d(width, 4 * full, 3, padding=1))

    def forward(self, inputs: torch.Tensor, at_half: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """inputs (N,in_channels,S,S), at_half (N,channels[0],S/2,S/2), masks (N,channels[1],S,S), which are
        the features that the masks are made from -> what to add to these (N,channels[1],S,S).
        """
        folded = F.pixel_unshuffle(torch.cat([inputs, masks], dim=1), 2)
        x = self.blocks(self.first(torch.cat([folded, at_half], dim=1)))
        return F.pixel_shuffle(self.last(F.silu(x)), 2)


def _join(wide: int, hidden: int, out: int) -> nn.Sequential:
    last = _silent(nn.Conv2d(hidden, out, 3, padding=1))
    return nn.Sequential(nn.Conv2d(wide, hidden, 3, padding=1), nn.SiLU(), last)


def _silent(layer: nn.Module) -> nn.Module:
    """The layer with weights of zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
