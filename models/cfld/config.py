"""The sizes of CFLD's networks: mini's, the released ones, and those a weights file carries."""

from __future__ import annotations

from dataclasses import dataclass

from ..diffusion.networks import MINI_SIZE, TEXT_WIDTH
from ..diffusion.text import TOKENS as TEXT_TOKENS

DECODER, POOLED, TOKENS = PROMPTS = ("decoder", "pooled", "tokens")
"""What makes the coarse prompt: H_D; or, to compare, one token of the whole picture as of a CLIP image
encoder, or the last map's tokens as they are."""


@dataclass(frozen=True)
class CFLDConfig:
    """Sizes of the networks; the defaults are mini's.

    channels: of the U-Net's levels with cross-attention, finest first. layers: its resnets per level on the
    way down; one more on the way up. plain_levels: of its coarser levels, without cross-attention. context:
    width of its text tokens. source_size: side of the square source pictures. patch, embed, depths, heads,
    window, drop_path: of the Swin Transformer. first_map: the stage whose map serves the finest level; the
    next ones serve the next levels, and the last one the prompt. queries, decoder_blocks: of H_D. widths: of
    H_A at each level. appearance_blocks: transformer blocks of H_A for each of its biases. pose_size: side
    of the square pose pictures. unshuffle: how many of its pixels a side make one cell. groups: of the group
    norms. aspect: width and height that people's pictures have before they are made square. prompt: one of
    PROMPTS. appearance: whether there is H_A.
    """

    channels: tuple[int, ...] = (64, 96)
    layers: int = 1
    plain_levels: int = 1
    context: int = TEXT_WIDTH
    source_size: int = MINI_SIZE
    patch: int = 4
    embed: int = 20
    depths: tuple[int, ...] = (1, 2, 2, 1)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    window: int = 8
    drop_path: float = 0.0
    first_map: int = 1
    queries: int = TEXT_TOKENS
    decoder_blocks: int = 2
    widths: tuple[int, ...] = (32, 64)
    appearance_blocks: int = 1
    pose_size: int = MINI_SIZE
    unshuffle: int = 8
    groups: int = 16
    aspect: tuple[int, int] = (1, 1)
    prompt: str = DECODER
    appearance: bool = True

    def __post_init__(self) -> None:
        if self.prompt not in PROMPTS:
            raise ValueError(f"prompt is {self.prompt!r}; it is one of {', '.join(PROMPTS)}")

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Of every stage of the Swin Transformer."""
        return tuple(self.embed * 2**stage for stage in range(len(self.depths)))

    @property
    def last_side(self) -> int:
        """Side of the last stage's map."""
        return self.source_size // self.patch // 2 ** (len(self.depths) - 1)

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt."""
        return {DECODER: self.queries, POOLED: 1, TOKENS: self.last_side**2}[self.prompt]

    @property
    def upward(self) -> list[int]:
        """Numbers of the U-Net's upward cross-attentions in the order of H_A's biases, finest last one
        first; they count on through the up blocks, as ComfyUI counts output blocks.
        """
        first = self.plain_levels * (self.layers + 1)
        return list(reversed(range(first, first + len(self.channels) * (self.layers + 1))))

    @property
    def input_blocks(self) -> list[int]:
        """Numbers of ComfyUI's input blocks after which H_P's residuals are added."""
        return [(level + 1) * (self.layers + 1) - 1 for level in range(len(self.channels))]


def released_config(prompt: str = DECODER, appearance: bool = True) -> CFLDConfig:
    """The sizes of the authors' code, for Stable Diffusion 1.5 and pictures of people 11 wide and 16 high."""
    return CFLDConfig(
        channels=(320, 640, 1280), layers=2, plain_levels=1, context=768, source_size=256, patch=4, embed=128,
        depths=(2, 2, 18, 2), heads=(4, 8, 16, 32), window=16, drop_path=0.2, first_map=0, queries=16,
        decoder_blocks=8, widths=(64, 128, 256), appearance_blocks=4, pose_size=256, unshuffle=4, groups=32,
        aspect=(11, 16), prompt=prompt, appearance=appearance,
    )  # fmt: skip
