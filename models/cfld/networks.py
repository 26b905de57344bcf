"""The networks of CFLD (Lu, Zhang, Ma, Xie, Lai, CVPR 2024), with the names and shapes of the released ones.

Source pictures go through H_S (swin.py); H_D makes the coarse prompt of its last map, H_A the biases of the
queries in the U-Net's upward cross-attention of the others; H_P makes residuals of the pose picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional as F

from ..diffusion.latent_model import LatentModel
from ..diffusion.networks import MINI_SIZE, TEXT_WIDTH
from .swin import SwinEncoder

DECODER, POOLED, TOKENS = PROMPTS = ("decoder", "pooled", "tokens")
"""What makes the coarse prompt: H_D; or, to compare, one token of the whole picture as of a CLIP image
encoder, or the last map's tokens as they are."""
POSE_CHANNELS = 21
"""3 of a skeleton picture and 18 heatmaps."""
HEAD_WIDTH = 32
INITIAL_STD = 0.02
_KEY_VALUE = re.compile(r"up_blocks\.\d+\.attentions\.\d+\.transformer_blocks\.0\.attn2\.to_[kv]\.weight")


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
    queries: int = 16
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


def config_from_metadata(config: Mapping[str, Any]) -> CFLDConfig:
    """The configuration a weights file carries (JSON lists become tuples)."""
    known = {field.name for field in fields(CFLDConfig)}
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in config.items() if name in known
    }
    return CFLDConfig(**values)


def config_to_metadata(config: CFLDConfig) -> dict[str, Any]:
    """The configuration as JSON values."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}


# The parts


class TransformerBlock(nn.Module):
    """Two attentions and a gated feed-forward layer. context: width of what attn2 looks at; None: itself."""

    def __init__(self, width: int, context: int | None = None) -> None:
        super().__init__()
        heads = width // HEAD_WIDTH
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
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


class PoseEncoder(nn.Module):
    """H_P: pose pictures (B,21,P,P) -> a residual for each level with cross-attention, (B,C,h,w)."""

    def __init__(self, config: CFLDConfig) -> None:
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

    def pose(self, pictures: Tensor) -> list[Tensor]:
        """Pose pictures (B,21,P,P) in 0..1 -> residuals of the levels with cross-attention."""
        return self.pose_encoder(pictures.to(self.learnable_vector))

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
        super().__init__(vae, unet, None, size, name)
        self.networks = networks
        self.key_values = dict(key_values)
        if unet is not None:
            replace_key_values(unet, key_values, name)
            take_query_biases(unet)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.networks.learnable_vector.device


# The U-Net


class QueryBias:
    """Attention whose queries get a bias: Q = W_q h + bias, softmax(Q K^T / sqrt(d)) V.

    bias: (B,C,h,w) or None. The attention's own projections are used.
    """

    def __init__(self) -> None:
        self.bias: Tensor | None = None

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.to_q(hidden_states)
        if self.bias is not None:
            query = query + self.bias.flatten(2).transpose(1, 2)
        heads = [attn.head_to_batch_dim(each) for each in (query, attn.to_k(context), attn.to_v(context))]
        weights = attn.get_attention_scores(heads[0], heads[1])
        out = attn.batch_to_head_dim(torch.bmm(weights, heads[2]))
        return attn.to_out[1](attn.to_out[0](out))


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
    for attention in upward_attentions(unet):
        attention.set_processor(QueryBias())


@contextmanager
def query_biases(unet: Any, biases: Sequence[Tensor]) -> Iterator[None]:
    """Inside, the queries have these biases; none leaves them as they are."""
    processors = [attention.processor for attention in upward_attentions(unet)] if biases else []
    for processor, bias in zip(processors, biases, strict=True):
        processor.bias = bias
    try:
        yield
    finally:
        for processor in processors:
            processor.bias = None


def predict_noise(
    unet: Any,
    latents: Tensor,
    t: Tensor,
    prompt: Tensor,
    residuals: Sequence[Tensor] = (),
    biases: Sequence[Tensor] = (),
) -> Tensor:
    """One call of the U-Net. residuals, biases: of any size; they are brought to that of the latents."""
    size = latents.shape[-2:]
    added = [fitted(each, level_size(size, level)) for level, each in enumerate(residuals)]
    levels = _levels(unet) if biases else []
    shaped = [fitted(each, level_size(size, n)) for each, n in zip(biases, levels, strict=True)]
    with query_biases(unet, shaped):
        return unet(latents, t, prompt, down_intrablock_additional_residuals=added or None).sample


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
