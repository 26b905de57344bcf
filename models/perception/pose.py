"""Finding the 18 body joints of a person with a small heatmap network.

A joint hidden by something in front gets a low confidence: in training its heatmap is empty. So the same
detector imports the skeleton of the visible part and measures joint errors on completed pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from ...people.boxes import Box
from ...people.crops import CropPlan, crop
from ...people.keypoints import HFLIP_18, Person, Pose
from ..diffusion.checkpoint import built, config_from_metadata, load_file
from .layers import Hourglass

FILE_KIND = "pose_detector"
JOINTS = 18
CONFIDENCE = 0.3
LETTERBOX_GREY = 0.5
LOOK_AGAIN_BELOW = 0.6
LOOK_AGAIN_MARGIN = 0.3
BOX_VIEW = 1.25
"""Side of the square that is looked at round a given box, over the box's longer side."""
SECOND_LOOK_TRUST = 0.9
SEARCH_PARTS = (2, 4)


@dataclass(frozen=True)
class PoseConfig:
    """Input side in pixels; channels at 1/2, 1/4, 1/8, 1/16 of it; residual blocks at 1/8, 1/16; joints."""

    image_size: int = 128
    channels: tuple[int, int, int, int] = (24, 48, 80, 96)
    blocks: tuple[int, int] = (1, 3)
    joints: int = JOINTS


class PoseDetector(Hourglass):
    """An hourglass from pictures (B,3,S,S) in 0..1 to heatmap logits (B,J,S/4,S/4), one for each joint.

    Of bodies J is 18 in OpenPose-18 order.
    """

    def __init__(self, config: PoseConfig = PoseConfig(), operations: Any = torch.nn) -> None:
        super().__init__(config.channels, config.blocks, operations)
        self.config = config
        quarter = config.channels[1]
        self.norm = operations.GroupNorm(8, quarter)
        self.head = operations.Conv2d(quarter, config.joints, 1)
        nn.init.constant_(self.head.bias, -5.0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the probability that a joint lies in a cell."""
        return self.head(F.silu(self.norm(self.features(images)[1])))


def target_heatmaps(
    joints: torch.Tensor, present: torch.Tensor, size: int, stride: int = 4, sigma: float = 1.0
) -> torch.Tensor:
    """Gaussians (B,18,h,h) of height 1 round the joints.

    Args:
        joints: (B,18,2+) x, y in pixels.
        present: (B,18) 0 or 1; the heatmap of a joint that is not present is empty.
        size: side of the square pictures in pixels.
        stride: pixels of a cell; h is size / stride.
        sigma: width of the Gaussians in cells.
    """
    centres = torch.arange(size // stride, device=joints.device) + 0.5
    cells = joints[..., :2] / stride
    dx = centres - cells[..., 0:1]
    dy = centres - cells[..., 1:2]
    squares = dy.square()[..., :, None] + dx.square()[..., None, :]
    heat = torch.exp(squares / (-2 * sigma**2))
    return heat * present[..., None, None]


def decode_heatmaps(logits: torch.Tensor, stride: int = 4) -> torch.Tensor:
    """Joints (B,18,3) px of the input: the mean of the 5x5 cells round the peak, and its height."""
    heat = logits.float().sigmoid()
    height, width = heat.shape[-2:]
    confidence, flat = heat.flatten(2).max(dim=2)
    peak_y, peak_x = flat // width, flat % width
    rows = torch.arange(height, device=heat.device)
    columns = torch.arange(width, device=heat.device)
    near_y = (rows - peak_y[..., None]).abs() <= 2
    near_x = (columns - peak_x[..., None]).abs() <= 2
    weight = heat * near_y[..., :, None] * near_x[..., None, :]
    total = weight.sum(dim=(2, 3)).clamp_min(1e-12)
    x = (weight * (columns + 0.5)).sum(dim=(2, 3)) / total
    y = (weight * (rows[:, None] + 0.5)).sum(dim=(2, 3)) / total
    return torch.stack([x * stride, y * stride, confidence], dim=2)


@torch.no_grad()
def detect_joints(net: PoseDetector, images: torch.Tensor, boxes: torch.Tensor | None = None) -> torch.Tensor:
    """Joints (B,18,3) x_px, y_px, confidence of one person in each picture (B,3,H,W) 0..1 of any size.

    Pictures are letterboxed to the network's size. In larger ones smaller views are tried as well, the one
    with the most certain joints is taken, and a closer look at the part round the joints refines them.
    boxes: (B,4) x0, y0, x1, y1 px round the person of each picture, if known; then only the square round it
    is looked at. Treat joints under `CONFIDENCE` as not seen.
    """
    net = net.eval()
    images = images.to(next(net.parameters()).device)
    height, width = images.shape[-2:]
    if boxes is not None:
        views = [box_view(Box(*box), height, width) for box in boxes.tolist()]
        return torch.cat([_look(net, image[None], [view]) for image, view in zip(images, views, strict=True)])
    if max(height, width) > net.config.image_size:
        return torch.stack([_search(net, image[None]) for image in images])
    whole = whole_view(height, width)
    return torch.cat([_look(net, part, [whole] * len(part)) for part in images.split(32)])


class View(NamedTuple):
    """A square part of a picture: left, top and side in whole pixels; it may reach outside."""

    left: int
    top: int
    side: int


def whole_view(height: int, width: int) -> View:
    """The square that holds a picture in its middle."""
    side = max(height, width)
    return View((width - side) // 2, (height - side) // 2, side)


def box_view(box: Box, height: int, width: int) -> View:
    """The square round the part of a box that lies in a picture, with a margin."""
    inside = box.clip(height, width)
    side = max(1, round(max(inside.width, inside.height) * BOX_VIEW))
    (x, y) = inside.centre
    return View(round(x - side / 2), round(y - side / 2), side)


def search_views(height: int, width: int, model_size: int) -> list[View]:
    """The whole picture, and overlapping views of a half and a quarter of its side if they show more."""
    views = [whole_view(height, width)]
    for part in SEARCH_PARTS:
        side = max(height, width) // part
        if side >= model_size:
            views += [View(x, y, side) for y in _starts(height, side) for x in _starts(width, side)]
    return views


def _starts(length: int, side: int) -> list[int]:
    """Where spans of `side` start that cover `length`, overlapping by half."""
    last = max(length - side, 0)
    return sorted({min(start, last) for start in range(0, last + side // 2, side // 2)})


def second_view(joints: torch.Tensor, side: float, model_size: int) -> View | None:
    """The square round joints (18,3) found in a view of that side, or None when it would show little more."""
    seen = joints[joints[:, 2] >= CONFIDENCE, :2]
    if len(seen) < 2:
        return None
    low, high = seen.amin(dim=0), seen.amax(dim=0)
    closer = max(float((high - low).max()) * (1 + 2 * LOOK_AGAIN_MARGIN), model_size / 4)
    if closer > LOOK_AGAIN_BELOW * side and side <= model_size * 2:
        return None
    left, top = ((low + high - closer) / 2).round().int().tolist()
    return View(left, top, round(closer))


def certainty(joints: torch.Tensor) -> torch.Tensor:
    """Sum of the confidences (...) of the joints (...,18,3) that count as seen."""
    return (joints[..., 2] * (joints[..., 2] >= CONFIDENCE)).sum(dim=-1)


def _search(net: PoseDetector, image: torch.Tensor) -> torch.Tensor:
    """Joints (18,3) of the person in one picture (1,3,H,W) that is larger than the network's input."""
    size, longest = net.config.image_size, max(image.shape[-2:])
    shrink = max(1.0, longest / (size * SEARCH_PARTS[-1]))
    reduced = [max(1, round(side / shrink)) for side in image.shape[-2:]]
    small = image if shrink == 1 else F.interpolate(image, reduced, mode="bilinear", antialias=True)
    views = search_views(small.shape[-2], small.shape[-1], size)
    found = _look(net, small.expand(len(views), -1, -1, -1), views)
    best = int(certainty(found).argmax())
    scale = found.new_tensor([image.shape[-1] / small.shape[-1], image.shape[-2] / small.shape[-2], 1.0])
    joints = found[best] * scale
    closer = second_view(joints, views[best].side * shrink, size)
    if closer is None:
        return joints
    again = _look(net, image, [closer])[0]
    return again if certainty(again) >= SECOND_LOOK_TRUST * certainty(joints) else joints


def _look(net: PoseDetector, images: torch.Tensor, views: list[View]) -> torch.Tensor:
    """Joints (B,18,3) in picture pixels from a view of each picture and its mirror image; outside is grey."""
    size = net.config.image_size
    pairs = zip(images, views, strict=True)
    inputs = torch.cat([resample_view(image[None], view, size) for image, view in pairs])
    mirrored = net(inputs.flip(-1)).flip(-1)[:, list(HFLIP_18)]
    joints = decode_heatmaps((net(inputs) + mirrored) / 2)
    sides = joints.new_tensor([[view.side / size] for view in views])
    origins = joints.new_tensor([[view.left, view.top] for view in views])
    return torch.cat([joints[..., :2] * sides[:, None] + origins[:, None], joints[..., 2:]], dim=2)


def resample_view(image: torch.Tensor, view: View, size: int) -> torch.Tensor:
    """A square view of a picture (1,3,H,W) as (1,3,size,size), antialiased; untouched if nothing changes."""
    height, width = image.shape[-2:]
    left, top, side = view
    if (left, top, side) == (0, 0, size) and (height, width) == (size, size):
        return image
    plan = CropPlan(width, height, Box(left, top, left + side, top + side), size, size)
    return crop(image, plan, fill=LETTERBOX_GREY)


def poses_from_joints(
    joints: torch.Tensor, height: int, width: int, threshold: float = CONFIDENCE
) -> list[Pose]:
    """Detected joints as one Pose for each picture; a picture with none of them has no people.

    Args:
        joints: (B,18,3) x_px, y_px, confidence 0..1.
        height: of the pictures in pixels.
        width: the same.
        threshold: joints of less confidence, and those outside the picture, are absent.
    """
    values = joints.detach().float().cpu().numpy().copy()
    x, y = values[..., 0], values[..., 1]
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    values[~(inside & (values[..., 2] >= threshold))] = 0
    return [Pose((Person(body),) if (body[:, 2] > 0).any() else (), width, height) for body in values]


def load_pose_detector(path: str | Path) -> PoseDetector:
    """The mini detector from its weights file; errors name the file."""
    tensors, meta = load_file(path, file_kind=FILE_KIND)
    net = built(lambda: PoseDetector(config_from_metadata(PoseConfig, meta["config"])), tensors, str(path))
    return net.eval()
