"""CFLD beside a checkout of the authors' code, for `figura check parity`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from ...models.cfld.config import released_config
from ...models.cfld.networks import CFLDNetworks
from ...models.cfld.pipeline import heatmaps, pose_image
from .parity import DRAWN, NETWORK_LIMIT, PIXEL_LIMIT, RELATIVE, Row, misdrawn, relative
from .parity_cfld_process import compare_process
from .parity_cfld_unet import compare_unet
from .parity_checkouts import plain_attention, randomised, released_modules, timm_layers

CANVAS = (256, 176)
"""Height and width that the places of CFLD's joints are for."""
PERSON = (
    (88, 30), (88, 52), (70, 54), (62, 84), (58, 112), (106, 54), (116, 82), (122, 110), (76, 116), (74, 164),
    (72, 214), (100, 116), (102, 165), (105, 216), (84, 26), (92, 26), (78, 29), (98, 29),
)  # fmt: skip
"""A drawn person, 18 joints x, y in that canvas."""


def compare_cfld(folder: Path, older: Path | None = None) -> Iterator[Row]:
    """Swin Transformer, decoder, biases, pose adapter, U-Net; drawings, sampling, what goes in, metrics.

    older: folder with diffusers 0.19, which their U-Net needs.
    """
    torch.manual_seed(0)
    with released_modules(folder, "models", "cfld") as module, plain_attention(), timm_layers():
        theirs = _cfld_networks(module)
        generator = torch.Generator().manual_seed(1)
        source = torch.rand(1, 3, 256, 256, generator=generator)
        pose = torch.rand(1, 21, 256, 256, generator=generator)
        ours = CFLDNetworks(replace(released_config(), drop_path=0.0)).eval()
        ours.load_state_dict(_without_buffers(theirs), strict=False)
        _, features = theirs["backbone"](source * 2 - 1)
        maps = ours.backbone(source * 2 - 1)
        yield from _maps("Swin Transformer, stage", features, maps)
        biases = theirs["appearance_encoder"](list(features))
        looks = ours.appearance(source)
        for number, bias in zip(ours.config.upward, looks.biases, strict=True):
            value = biases[f"block_{number}_cross_attn_q"]
            difference = relative(value, bias.flatten(2).transpose(1, 2))
            yield Row(f"query bias {number}", difference, NETWORK_LIMIT, RELATIVE)
        prompt = theirs["decoder"](None, list(features), None)
        yield Row("coarse prompt", relative(prompt, looks.prompt), NETWORK_LIMIT, RELATIVE)
        for level, pair in enumerate(zip(theirs["pose_encoder"](pose), ours.pose(pose), strict=True)):
            yield Row(f"pose residual {level}", relative(*pair), NETWORK_LIMIT, RELATIVE)
    yield compare_unet(folder, older)
    yield from _cfld_drawings(folder)
    yield from compare_process(folder)


def _cfld_networks(module: Callable[[str], ModuleType]) -> dict[str, nn.Module]:
    """Their networks at the released sizes, by the names of the released file."""
    config = released_config()
    each = config.layers + 1

    def thrice(values: tuple[int, ...]) -> list[int]:
        return [value for value in values for _ in range(each)]

    count, side = len(config.channels) * each, config.source_size
    made = {
        "backbone": module("swin_transformer").build_backbone(
            img_size=(side, side), embed_dim=config.embed, depths=list(config.depths),
            num_heads=list(config.heads), window_size=config.window, drop_path_rate=0.0, mask=False,
            last_norm=False, pretrained_path="",
        ),
        "appearance_encoder": module("appearance_encoder").AppearanceEncoder(
            attn_residual_block_idx=config.upward, inner_dims=thrice(config.map_channels[:3]),
            ctx_dims=thrice(config.channels), embed_dims=thrice(config.widths),
            heads=[width // 32 for width in thrice(config.widths)], depth=config.appearance_blocks,
            to_self_attn=False, to_queries=True, to_keys=False, to_values=False, aspect_ratio=1,
            detach_input=False, convin_kernel_size=[1] * count, convin_stride=[1] * count,
            convin_padding=[0] * count,
        ),
        "pose_encoder": module("pose_encoder").PoseEncoder(
            downscale_factor=config.unshuffle, pose_channels=21, in_channels=config.channels[0],
            channels=list(config.channels),
        ),
        "decoder": module("decoder").Decoder(
            n_ctx=config.queries, ctx_dim=config.context, heads=config.context // 32,
            depth=config.decoder_blocks, last_norm=False, img_size=(side, side), embed_dim=config.embed,
            depths=list(config.depths), pose_query=False, pose_channel=config.channels[-1],
        ),
    }  # fmt: skip
    return {name: randomised(network, seed) for seed, (name, network) in enumerate(made.items())}


def _without_buffers(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value
        for name, network in networks.items()
        for key, value in network.named_parameters()
    }  # fmt: skip


def _maps(part: str, features: list[Tensor], maps: list[Tensor]) -> Iterator[Row]:
    for stage, (theirs, own) in enumerate(zip(features, maps, strict=True)):
        yield Row(
            f"{part} {stage}", relative(theirs, own.flatten(2).transpose(1, 2)), NETWORK_LIMIT, RELATIVE
        )


def _cfld_drawings(folder: Path) -> Iterator[Row]:
    with released_modules(folder, "", "cfld_root") as module:
        drawn = module("pose_utils")
        places = np.array([(y, x) for x, y in PERSON])
        size = (256, 256)
        theirs = torch.from_numpy(drawn.draw_pose_from_cords(places, size, CANVAS)).permute(2, 0, 1) / 255
        heat = torch.from_numpy(drawn.cords_to_map(places, size, CANVAS)).permute(2, 0, 1)
    joints = torch.tensor([[(x * size[1] / CANVAS[1], float(y), 1.0) for x, y in PERSON]])
    yield Row("skeleton", misdrawn(theirs, pose_image(joints, 256)[0, :3]), PIXEL_LIMIT, DRAWN)
    yield Row("heatmaps", relative(heat, heatmaps(joints, 256, 6.0)[0]), NETWORK_LIMIT, RELATIVE)
