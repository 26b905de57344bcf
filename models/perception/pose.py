"""Finding the 18 body joints of a person with a small heatmap network.

A joint hidden by something in front gets a low confidence: in training its heatmap is empty. So the same
detector imports the skeleton of the visible part and measures joint errors on completed pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from ...people.keypoints import HFLIP_18, Person, Pose
from ..diffusion.checkpoint import load_file, load_into
from .layers import Residual

KIND = "pose_detector"
JOINTS = 18
CONFIDENCE = 0.3
LETTERBOX_GREY = 0.5
LOOK_AGAIN_BELOW = 0.6
LOOK_AGAIN_MARGIN = 0.3


@dataclass(frozen=True)
class PoseConfig:
    """Input side in pixels, channels at 1/2, 1/4, 1/8, 1/16 of it, residual blocks at 1/8 and 1/16."""

    image_size: int = 128
    channels: tuple[int, int, int, int] = (16, 40, 64, 80)
    blocks: tuple[int, int] = (1, 2)


class PoseDetector(nn.Module):
    """An hourglass from pictures (B,3,S,S) in 0..1 to heatmap logits (B,18,S/4,S/4) in OpenPose-18 order."""

    def __init__(self, config: PoseConfig = PoseConfig(), operations: Any = torch.nn) -> None:
        super().__init__()
        self.config = config
        half, quarter, eighth, deep = config.channels
        conv = operations.Conv2d
        self.stem = conv(3, half, 5, stride=2, padding=2)
        self.down4, self.block4 = conv(half, quarter, 3, stride=2, padding=1), Residual(quarter, operations)
        self.down8 = conv(quarter, eighth, 3, stride=2, padding=1)
        self.blocks8 = nn.Sequential(*(Residual(eighth, operations) for _ in range(config.blocks[0])))
        self.down16 = conv(eighth, deep, 3, stride=2, padding=1)
        self.blocks16 = nn.Sequential(*(Residual(deep, operations) for _ in range(config.blocks[1])))
        self.up8, self.join8 = conv(deep, eighth, 1), Residual(eighth, operations)
        self.up4, self.join4 = conv(eighth, quarter, 1), Residual(quarter, operations)
        self.norm = operations.GroupNorm(8, quarter)
        self.head = conv(quarter, JOINTS, 1)
        nn.init.constant_(self.head.bias, -5.0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the probability that a joint lies in a cell."""
        x4 = self.block4(self.down4(F.silu(self.stem(images * 2 - 1))))
        x8 = self.blocks8(self.down8(x4))
        x16 = self.blocks16(self.down16(x8))
        y8 = self.join8(x8 + F.interpolate(self.up8(x16), scale_factor=2.0))
        y4 = self.join4(x4 + F.interpolate(self.up4(y8), scale_factor=2.0))
        return self.head(F.silu(self.norm(y4)))


def target_heatmaps(
    joints: torch.Tensor, present: torch.Tensor, size: int, stride: int = 4, sigma: float = 1.0
) -> torch.Tensor:
    """Gaussians (B,18,h,h) of height 1 round the joints (B,18,2+) px, empty where `present` (B,18) is 0."""
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
def detect_joints(net: PoseDetector, images: torch.Tensor) -> torch.Tensor:
    """Joints (B,18,3) x_px, y_px, confidence of one person in each picture (B,3,H,W) 0..1 of any size.

    Pictures are letterboxed to the network's size. Where the person turns out small in a larger picture, a
    second look at the part round the joints refines them. Treat joints under `CONFIDENCE` as not seen.
    """
    net = net.eval()
    device = next(net.parameters()).device
    height, width = images.shape[-2:]
    longest = max(height, width)
    whole = View((width - longest) / 2, (height - longest) / 2, longest)
    joints = torch.cat([_look(net, part.to(device), [whole] * len(part)) for part in images.split(32)])
    for index, found in enumerate(joints):
        view = second_view(found, height, width, net.config.image_size)
        if view is not None:
            joints[index] = _look(net, images[index : index + 1].to(device), [view])[0]
    return joints


class View(NamedTuple):
    """A square part of a picture: left, top and side in pixels; it may reach outside."""

    left: float
    top: float
    side: float


def second_view(joints: torch.Tensor, height: int, width: int, model_size: int) -> View | None:
    """The square round the joints (18,3) found at first, or None when it would show nothing better."""
    seen = joints[joints[:, 2] >= CONFIDENCE, :2]
    longest = max(height, width)
    if len(seen) < 2 or longest <= model_size:
        return None
    low, high = seen.amin(dim=0), seen.amax(dim=0)
    side = max(float((high - low).max()) * (1 + 2 * LOOK_AGAIN_MARGIN), model_size / 4)
    if side > LOOK_AGAIN_BELOW * longest:
        return None
    centre = (low + high) / 2
    return View(float(centre[0]) - side / 2, float(centre[1]) - side / 2, side)


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
    left, top, side = round(view.left), round(view.top), max(1, round(view.side))
    if (left, top, side) == (0, 0, size) and (height, width) == (size, size):
        return image
    padding = (max(0, -left), max(0, left + side - width), max(0, -top), max(0, top + side - height))
    part = image[..., max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    square = F.pad(part, padding, value=LETTERBOX_GREY)
    return F.interpolate(square, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def poses_from_joints(
    joints: torch.Tensor, height: int, width: int, threshold: float = CONFIDENCE
) -> list[Pose]:
    """Detected joints (B,18,3) of pictures of height x width as one Pose each.

    Joints under `threshold` or outside the picture are absent; a picture with none of them has no people.
    """
    values = joints.detach().float().cpu().numpy().copy()
    x, y = values[..., 0], values[..., 1]
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    values[~(inside & (values[..., 2] >= threshold))] = 0
    return [Pose((Person(body),) if (body[:, 2] > 0).any() else (), width, height) for body in values]


def load_pose_detector(path: str | Path) -> PoseDetector:
    """The mini detector from its weights file; errors name the file."""
    tensors, meta = load_file(path, kind=KIND)
    net = PoseDetector(config_from_metadata(meta["config"]))
    load_into(net, tensors, str(path))
    return net.eval()


def config_from_metadata(config: Mapping[str, Any]) -> PoseConfig:
    """The configuration a weights file carries (JSON lists become tuples)."""
    return PoseConfig(config["image_size"], tuple(config["channels"]), tuple(config["blocks"]))


def config_to_metadata(config: PoseConfig) -> dict[str, Any]:
    """The configuration as JSON values."""
    return {"image_size": config.image_size, "channels": list(config.channels), "blocks": list(config.blocks)}
