"""PoCoLD beside a checkout of the authors' code, for `figura check parity`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from ...models.pocold.networks import MAPPED, PoCoLDNetworks, SourceEncoder, released_config
from ...people.densepose import LABELS
from .parity import NETWORK_LIMIT, RELATIVE, Row, relative
from .parity_checkouts import older_diffusers, randomised, released_modules


def compare_pocold(folder: Path) -> Iterator[Row]:
    """The label mapper, the source encoder, and the U-Net with a source and without."""
    with released_modules(folder, "src", "pocold") as module, older_diffusers():
        code = module("model")
        torch.manual_seed(0)
        config = released_config()
        theirs = {
            "mapper": code.ChannelMapper(LABELS, MAPPED, concat=False),
            "encoder": code.MultiScaleReferenceImageEncoder(),
            "unet": code.UNet2DDoubleAttentionConditionModel(in_channels=config.latent_channels + MAPPED),
        }
        for seed, network in enumerate(theirs.values()):
            randomised(network, seed)
        ours = PoCoLDNetworks(config).eval()
        for name, network in theirs.items():
            take(getattr(ours, name), network)
        generator = torch.Generator().manual_seed(2)
        labels = torch.randint(0, LABELS, (1, 64, 48), generator=generator)
        latents, source = torch.randn(2, 1, config.latent_channels, 64, 48, generator=generator)
        one_hot = nn.functional.one_hot(labels).permute(0, 3, 1, 2).float()
        pose = theirs["mapper"].cond_conv(one_hot)
        yield Row("label mapper", relative(pose, ours.map_labels(labels, latents)), NETWORK_LIMIT, RELATIVE)
        maps = theirs["encoder"](source)
        for level, pair in enumerate(zip(maps, ours.encoder(source), strict=True)):
            yield Row(f"source map {level}", relative(*pair), NETWORK_LIMIT, RELATIVE)
        t = torch.tensor([401])
        for part, given in (("U-Net", maps), ("U-Net without a source", None)):
            value = theirs["unet"](torch.cat([latents, pose], 1), t, given).sample
            own = ours.unet(latents, t, pose, given)
            yield Row(part, relative(value, own), NETWORK_LIMIT, RELATIVE)


POCOLD_NAMES = (
    (r"^down_blocks\.(\d)\.downsamplers\.0\.(?:op|conv)\.", r"downsamplers.\1.conv."),
    (r"^up_blocks\.(\d)\.upsamplers\.0\.", r"upsamplers.\1."),
    (r"^mid_block\.resnets\.0\.", "mid_first."), (r"^mid_block\.resnets\.1\.", "mid_last."),
    (r"^mid_block\.attentions\.0\.", "mid_attention."), (r"^down_blocks\.", "down."),
    (r"^up_blocks\.", "up."), (r"^time_embedding\.", "time."), (r"^conv_norm_out\.", "norm_out."),
    (r"\.scale$", ".residual"),
    (r"^cond_conv\.", ""),
)  # fmt: skip
"""Their names and ours, as patterns."""
ENCODER_NAMES = (
    (r"^down\.(\d)\.resnets\.0\.", r"resnets.\1."),
    (r"^downsamplers\.1\.", "downsamplers.0."), (r"^downsamplers\.2\.", "downsamplers.1."),
    (r"^downsamplers\.3\.", "downsamplers.2."),
)  # fmt: skip
"""Of the source encoder, whose first level does not shrink, after the others."""


def take(ours: nn.Module, theirs: nn.Module) -> None:
    """Give ours their parameters. ValueError names those that have no counterpart."""
    patterns = (*POCOLD_NAMES, *ENCODER_NAMES) if isinstance(ours, SourceEncoder) else POCOLD_NAMES
    own, given = dict(ours.named_parameters()), {}
    for name, value in theirs.named_parameters():
        for pattern, into in patterns:
            name = re.sub(pattern, into, name)
        given[name] = value
    wrong = sorted(set(own) ^ set(given))
    if wrong:
        raise ValueError(
            f"{type(theirs).__name__}: {len(wrong)} parameters have no counterpart, first {wrong[0]}"
        )
    for name, parameter in own.items():
        parameter.data.copy_(given[name].data.reshape(parameter.shape))
