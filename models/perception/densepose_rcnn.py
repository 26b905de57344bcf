"""The public DensePose network, R_50_FPN and R_101_FPN: a Faster R-CNN whose last head labels the body.

Names of the layers are those of the published files, so that their weights fit as they are; every number is
read off the weights. As published: ResNet with strides in its 1x1 convolutions and frozen norms, a feature
pyramid, proposals, one class of boxes, the pyramid summed at 1/4 (Panoptic FPN), and for every box the scores
of body and parts, 112x112, by eight convolutions that may follow a DeepLab block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...people.densepose import LABELS
from .densepose_boxes import best_boxes, detections, level_anchors, pooled, pooled_pyramid

SHORT_SIDE, LONG_SIDE = 800, 1333
"""Pictures are brought to the first, unless the longer side would pass the second."""
MEAN_BGR = (103.53, 116.28, 123.675)
MULTIPLE, GROUPS, RATIOS = 32, 32, 3
BOX_POOL, BODY_POOL = 7, 28
DILATIONS = (6, 12, 56)


@dataclass(frozen=True)
class RCNNConfig:
    """Widths and depths. stages: (blocks, bottleneck, out) at 1/4, 1/8, 1/16, 1/32 of the side."""

    stem: int = 64
    stages: tuple[tuple[int, int, int], ...] = ((3, 64, 256), (4, 128, 512), (6, 256, 1024), (3, 512, 2048))
    pyramid: int = 256
    decoder: int = 256
    box_width: int = 1024
    head_width: int = 512
    head_convs: int = 8
    deeplab: bool = True
    coarse: int = 2


class FrozenNorm(nn.Module):
    """Batch norm with the statistics of its training."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]


class NormedConv(nn.Conv2d):
    """A convolution without bias, and its norm."""

    def __init__(self, before: int, after: int, side: int, stride: int = 1, group: bool = False) -> None:
        super().__init__(before, after, side, stride, padding=side // 2, bias=False)
        self.norm: nn.Module = nn.GroupNorm(GROUPS, after) if group else FrozenNorm(after)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class Bottleneck(nn.Module):
    """1x1 with the stride, 3x3, 1x1, and a shortcut."""

    def __init__(self, before: int, middle: int, after: int, stride: int) -> None:
        super().__init__()
        self.shortcut = NormedConv(before, after, 1, stride) if before != after else None
        self.conv1, self.conv2 = NormedConv(before, middle, 1, stride), NormedConv(middle, middle, 3)
        self.conv3 = NormedConv(middle, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))) + kept)


class ResNet(nn.Module):
    """Pictures to maps at 1/4, 1/8, 1/16, 1/32."""

    def __init__(self, config: RCNNConfig) -> None:
        super().__init__()
        self.stem: Any = nn.Module()
        self.stem.conv1 = NormedConv(3, config.stem, 7, 2)
        before = config.stem
        for level, (blocks, middle, after) in enumerate(config.stages, start=2):
            made = []
            for index in range(blocks):
                made.append(Bottleneck(before, middle, after, 2 if level > 2 and index == 0 else 1))
                before = after
            setattr(self, f"res{level}", nn.Sequential(*made))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.max_pool2d(F.relu(self.stem.conv1(x)), 3, 2, 1)
        maps = []
        for level in (2, 3, 4, 5):
            x = getattr(self, f"res{level}")(x)
            maps.append(x)
        return maps


class Pyramid(nn.Module):
    """Maps of one width at 1/4 ... 1/64 (p2 ... p6)."""

    def __init__(self, config: RCNNConfig) -> None:
        super().__init__()
        self.bottom_up = ResNet(config)
        for level, (_, _, width) in enumerate(config.stages, start=2):
            setattr(self, f"fpn_lateral{level}", nn.Conv2d(width, config.pyramid, 1))
            setattr(self, f"fpn_output{level}", nn.Conv2d(config.pyramid, config.pyramid, 3, padding=1))

    def forward(self, x: Tensor) -> list[Tensor]:
        made: list[Tensor] = []
        above: Tensor | None = None
        for level, features in reversed(list(enumerate(self.bottom_up(x), start=2))):
            lateral = getattr(self, f"fpn_lateral{level}")(features)
            above = lateral if above is None else lateral + F.interpolate(above, scale_factor=2.0)
            made.insert(0, getattr(self, f"fpn_output{level}")(above))
        return [*made, F.max_pool2d(made[-1], 1, 2)]


class ProposalHead(nn.Module):
    """How likely a person is at every anchor of a map, and where its box is from there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.objectness_logits = nn.Conv2d(width, RATIOS, 1)
        self.anchor_deltas = nn.Conv2d(width, 4 * RATIOS, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (h*w*3,) and deltas (h*w*3,4) of a map (1,C,h,w)."""
        hidden = F.relu(self.conv(features))
        deltas = self.anchor_deltas(hidden)[0].unflatten(0, (RATIOS, 4))
        logits = self.objectness_logits(hidden)[0].permute(1, 2, 0)
        return logits.flatten(), deltas.permute(2, 3, 0, 1).flatten(0, 2)


class BoxHead(nn.Module):
    def __init__(self, config: RCNNConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.pyramid * BOX_POOL**2, config.box_width)
        self.fc2 = nn.Linear(config.box_width, config.box_width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.fc2(F.relu(self.fc1(x.flatten(1)))))


class Decoder(nn.Module):
    """The pyramid's levels 1/4 ... 1/32 summed at 1/4."""

    def __init__(self, config: RCNNConfig) -> None:
        super().__init__()
        for level in (2, 3, 4, 5):
            layers: list[nn.Module] = []
            for index in range(max(1, level - 2)):
                before = config.decoder if index else config.pyramid
                layers.append(nn.Conv2d(before, config.decoder, 3, padding=1))
                layers.append(nn.Upsample(scale_factor=2.0, mode="bilinear"))
            setattr(self, f"p{level}", nn.ModuleList(layers))
        self.predictor = nn.Conv2d(config.decoder, config.pyramid, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        total: Tensor | float = 0.0
        for level, x in enumerate(maps[:4], start=2):
            layers = list(getattr(self, f"p{level}"))
            for conv, doubled in zip(layers[::2], layers[1::2], strict=True):
                x = doubled(F.relu(conv(x))) if level > 2 else F.relu(conv(x))
            total = total + x
        return self.predictor(total)


class AtrousPyramid(nn.Module):
    """DeepLab's block: the map seen at several spreads and as a whole, joined."""

    def __init__(self, width: int) -> None:
        super().__init__()

        def seen(side: int, spread: int) -> list[nn.Module]:
            pad = spread if side > 1 else 0
            conv = nn.Conv2d(width, width, side, padding=pad, dilation=spread, bias=False)
            return [conv, nn.GroupNorm(GROUPS, width), nn.ReLU()]

        spreads = [nn.Sequential(*seen(3, spread)) for spread in DILATIONS]
        whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), *seen(1, 1))
        self.convs = nn.ModuleList([nn.Sequential(*seen(1, 1)), *spreads, whole])
        self.project = nn.Sequential(nn.Conv2d(5 * width, width, 1, bias=False), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        views = [conv(x) for conv in self.convs]
        views[-1] = views[-1].expand(-1, -1, *x.shape[-2:])
        return self.project(torch.cat(views, dim=1))


class BodyHead(nn.Module):
    """Features of boxes (N,C,28,28) to what the labels are read from, (N,C',28,28)."""

    def __init__(self, config: RCNNConfig) -> None:
        super().__init__()
        if config.deeplab:
            self.ASPP = AtrousPyramid(config.pyramid)
        self.convs = config.head_convs
        for index in range(self.convs):
            before = config.head_width if index else config.pyramid
            made: nn.Module = nn.Conv2d(before, config.head_width, 3, padding=1)
            if config.deeplab:
                made = NormedConv(before, config.head_width, 3, group=True)
            setattr(self, f"body_conv_fcn{index + 1}", made)

    def forward(self, x: Tensor) -> Tensor:
        x = self.ASPP(x) if hasattr(self, "ASPP") else x
        for index in range(self.convs):
            x = F.relu(getattr(self, f"body_conv_fcn{index + 1}")(x))
        return x


class DensePoseRCNN(nn.Module):
    """A picture (3,H,W) RGB in 0..255 to boxes (N,4) px, the surest first, and the scores in them of the body
    (N,K,112,112) and of its parts (N,25,112,112). least_score: of a box that counts.
    """

    def __init__(self, config: RCNNConfig = RCNNConfig(), least_score: float = 0.8) -> None:
        super().__init__()
        self.least_score = least_score
        self.backbone = Pyramid(config)
        self.proposal_generator: Any = nn.Module()
        self.roi_heads: Any = nn.Module()
        self.proposal_generator.rpn_head = ProposalHead(config.pyramid)
        heads, predict, read = self.roi_heads, nn.Module(), nn.Module()
        predict.cls_score, predict.bbox_pred = nn.Linear(config.box_width, 2), nn.Linear(config.box_width, 4)
        for name, channels in (("ann_index_lowres", config.coarse), ("index_uv_lowres", LABELS)):
            setattr(read, name, nn.ConvTranspose2d(config.head_width, channels, 4, stride=2, padding=1))
        heads.box_head, heads.box_predictor, heads.decoder = BoxHead(config), predict, Decoder(config)
        heads.densepose_head, heads.densepose_predictor = BodyHead(config), read

    @torch.no_grad()
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        prepared, (height, width) = prepare(image)
        maps = self.backbone(prepared)
        boxes = self._boxes(maps, self._proposals(maps, (height, width)), (height, width))
        heads = self.roi_heads
        features = heads.densepose_head(pooled(heads.decoder(maps), boxes, BODY_POOL, 4))
        read = (heads.densepose_predictor.ann_index_lowres, heads.densepose_predictor.index_uv_lowres)
        coarse, fine = (_doubled(layer(features)) for layer in read)
        scale = torch.tensor([image.shape[-1] / width, image.shape[-2] / height], device=boxes.device)
        return boxes * scale.repeat(2), coarse, fine

    def _proposals(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        found = []
        for level, features in enumerate(maps):
            logits, deltas = self.proposal_generator.rpn_head(features)
            anchors = level_anchors(level, features.shape[-2], features.shape[-1]).to(features)
            found.append((logits, deltas, anchors))
        return best_boxes(found, size)

    def _boxes(self, maps: list[Tensor], proposals: Tensor, size: tuple[int, int]) -> Tensor:
        heads = self.roi_heads
        hidden = heads.box_head(pooled_pyramid(maps[:4], proposals, BOX_POOL))
        scores = heads.box_predictor.cls_score(hidden).softmax(1)[:, 0]
        return detections(proposals, scores, heads.box_predictor.bbox_pred(hidden), size, self.least_score)


def prepare(image: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """A picture (3,H,W) RGB in 0..255 as the network sees it, (1,3,h,w), and the size in it of the picture:
    the rest, up to a multiple of 32, is its mean.
    """
    height, width = image.shape[-2:]
    scale = min(SHORT_SIDE / min(height, width), LONG_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    resized = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True, align_corners=False)
    centred = resized.flip(1) - torch.tensor(MEAN_BGR, device=image.device)[:, None, None]
    bottom, right = (math.ceil(side / MULTIPLE) * MULTIPLE - side for side in size)
    return F.pad(centred, (0, right, 0, bottom)), size


def _doubled(maps: Tensor) -> Tensor:
    if len(maps) == 0:
        return maps.new_zeros(0, maps.shape[1], 2 * maps.shape[2], 2 * maps.shape[3])
    return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)
