"""Hybrid-granularity attention: the U-Net's upward cross-attention gets looks twice over.

Keys and values are made of the coarse prompt, by matrices trained anew. The queries of each get a bias, which
H_A makes of the finer maps of the source encoder: Q = W_q h + bias.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import CFLDConfig

HEAD_WIDTH = 32
_KEY_VALUE = re.compile(r"up_blocks\.\d+\.attentions\.\d+\.transformer_blocks\.0\.attn2\.to_[kv]\.weight")


class TransformerBlock(nn.Module):
    """Two attentions and a gated feed-forward layer. context: width of what attn2 looks at; None: itself."""

    def __init__(self, width: int, context: int | None = None) -> None:
        super().__init__()
        heads = width // HEAD_WIDTH
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        from diffusers.models.attention import FeedForward
        from diffusers.models.attention_processor import Attention

        self.attn1 = Attention(width, heads=heads, dim_head=HEAD_WIDTH)
        self.attn2 = Attention(width, cross_attention_dim=context, heads=heads, dim_head=HEAD_WIDTH)
        self.ff = FeedForward(width, activation_fn="geglu")

    def forward(self, tokens: Tensor) -> Tensor:
        """x += A1(x); x += A2(x); x += FF(x), each on the layer norm of x."""
        tokens = tokens + self.attn1(self.norm1(tokens))
        tokens = tokens + self.attn2(self.norm2(tokens))
        return tokens + self.ff(self.norm3(tokens))

    def refine(self, tokens: Tensor, position: Tensor, features: Tensor) -> Tensor:
        """The order of H_D: cross-attention first, and the position added before each attention."""
        tokens = tokens + position
        tokens = tokens + self.attn2(self.norm2(tokens), features)
        tokens = tokens + position
        tokens = tokens + self.attn1(self.norm1(tokens))
        return tokens + self.ff(self.norm3(tokens))


class AppearanceEncoder(nn.Module):
    """H_A: a bias for the queries of every upward cross-attention, (B,C,h,w), in the order of `upward`.

    Both convolutions of each start at zero, so that untrained biases are zero.
    """

    def __init__(self, config: CFLDConfig) -> None:
        super().__init__()
        self.zero_conv_ins, self.zero_conv_outs = nn.ModuleList(), nn.ModuleList()
        self.blocks = nn.ModuleList()
        self.map_of: list[int] = []
        for level, (channels, width) in enumerate(zip(config.channels, config.widths, strict=True)):
            number = config.first_map + level
            for _ in range(config.layers + 1):
                self.map_of.append(number)
                self.zero_conv_ins.append(_zero_conv(config.map_channels[number], width))
                self.blocks.append(
                    nn.ModuleList(TransformerBlock(width) for _ in range(config.appearance_blocks))
                )
                self.zero_conv_outs.append(_zero_conv(width, channels))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        parts = zip(self.map_of, self.zero_conv_ins, self.blocks, self.zero_conv_outs, strict=True)
        return [_bias(maps[number], conv_in, blocks, conv_out) for number, conv_in, blocks, conv_out in parts]


def _bias(features: Tensor, conv_in: nn.Module, blocks: Any, conv_out: nn.Module) -> Tensor:
    hidden = conv_in(features)
    tokens = hidden.flatten(2).transpose(1, 2)
    for block in blocks:
        tokens = block(tokens)
    return conv_out(tokens.transpose(1, 2).view_as(hidden))


def _zero_conv(before: int, after: int) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, 1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


# In the U-Net


class QueryBias:
    """Attention whose queries get a bias: Q = W_q h + bias, softmax(Q K^T / sqrt(d)) V.

    The attention's own projections are used. number: of this attention among the upward ones. The biases come
    with each call (`cross_attention_kwargs`), never on the network: two threads may use one model.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Any = None,
        temb: Any = None,
        query_biases: Sequence[Tensor] = (),
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.to_q(hidden_states)
        if query_biases:
            query = query + query_biases[self.number].flatten(2).transpose(1, 2)
        heads = [attn.head_to_batch_dim(each) for each in (query, attn.to_k(context), attn.to_v(context))]
        weights = attn.get_attention_scores(heads[0], heads[1])
        out = attn.batch_to_head_dim(torch.bmm(weights, heads[2]))
        return attn.to_out[1](attn.to_out[0](out))


class Unbiased:
    """An attention as it was, which leaves the biases of a call to others."""

    def __init__(self, processor: Any) -> None:
        self.processor: Any = processor.processor if isinstance(processor, Unbiased) else processor

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Any = None,
        temb: Any = None,
        query_biases: Sequence[Tensor] = (),
    ) -> Tensor:
        made: Tensor = self.processor(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        return made


def key_value_names(names: Sequence[str]) -> list[str]:
    """Those of a U-Net's tensors that CFLD trains: keys and values of the upward cross-attention."""
    return [name for name in names if _KEY_VALUE.fullmatch(name)]


def replace_key_values(unet: Any, key_values: Mapping[str, Tensor], name: str) -> None:
    """Put the trained matrices into the U-Net. ValueError when these are not its own names and shapes."""
    own = unet.state_dict()
    wanted = set(key_value_names(list(own)))
    wrong = sorted(wanted ^ set(key_values))
    wrong += [key for key in wanted & set(key_values) if own[key].shape != key_values[key].shape]
    if wrong:
        raise ValueError(
            f"{name} does not fit this U-Net: {len(wrong)} of its matrices differ in name or shape, first "
            f"{wrong[:3]}; CFLD needs the U-Net it was trained on (the released files: Stable Diffusion 1.5)"
        )
    with torch.no_grad():
        for key, value in key_values.items():
            own[key].copy_(value)


def upward_attentions(unet: Any) -> list[Any]:
    """The upward cross-attentions in the order of H_A's biases: the finest level's last one first."""
    blocks = [block for up in unet.up_blocks for block in getattr(up, "attentions", ())]
    return [block.transformer_blocks[0].attn2 for block in reversed(blocks)]


def take_query_biases(unet: Any) -> None:
    """Have the U-Net's upward cross-attention take biases; without any, all stays as it was."""
    upward = upward_attentions(unet)
    from diffusers.models.attention_processor import Attention

    for attention in [part for part in unet.modules() if isinstance(part, Attention)]:
        attention.set_processor(Unbiased(attention.processor))
    for number, attention in enumerate(upward):
        attention.set_processor(QueryBias(number))


def predict_noise(
    unet: Any,
    latents: Tensor,
    t: Tensor,
    prompt: Tensor,
    residuals: Sequence[Tensor] = (),
    biases: Sequence[Tensor] = (),
) -> Tensor:
    """One call of the U-Net with CFLD's conditions.

    Args:
        unet: UNet2DConditionModel.
        latents: z_t, (B,C,h,w).
        t: the time step, a scalar.
        prompt: what cross-attention sees, (B,n,c).
        residuals: of the pose, one for each level with cross-attention, (B,c,h',w'); of any size, they are
            brought to that of the latents.
        biases: of the queries, one for each upward cross-attention, (B,c,h',w'); of any size, likewise.

    Returns:
        The predicted noise, (B,C,h,w).
    """
    size = latents.shape[-2:]
    added = [fitted(each, level_size(size, level)) for level, each in enumerate(residuals)]
    levels = _levels(unet) if biases else []
    shaped = [fitted(each, level_size(size, n)) for each, n in zip(biases, levels, strict=True)]
    with_call = {"query_biases": shaped} if shaped else None
    return unet(
        latents,
        t,
        prompt,
        down_intrablock_additional_residuals=added or None,
        cross_attention_kwargs=with_call,
    ).sample


def _levels(unet: Any) -> list[int]:
    """The level of each upward cross-attention, in the order of the biases."""
    last = len(unet.up_blocks) - 1
    return [
        last - number
        for number, up in reversed(list(enumerate(unet.up_blocks)))
        for _ in getattr(up, "attentions", ())
    ]


def level_size(size: Sequence[int], level: int) -> tuple[int, int]:
    """Height and width of the U-Net's maps at that level, for latents of that size."""
    height, width = (-(-side // 2**level) for side in size)
    return height, width


def fitted(features: Tensor, size: tuple[int, int]) -> Tensor:
    """A map (B,C,h,w) at another size; untouched at its own."""
    if tuple(features.shape[-2:]) == size:
        return features
    smaller = size[0] * size[1] < features.shape[-2] * features.shape[-1]
    # In float32: CPUs cannot resize bfloat16 with antialiasing.
    made = F.interpolate(features.float(), size, mode="bilinear", antialias=smaller, align_corners=False)
    return made.to(features.dtype)
