"""Finding the 21 joints of a hand whose place is known, with the heatmap network of the body's joints."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from ..diffusion.checkpoint import built, config_from_metadata, load_file
from .pose import LETTERBOX_GREY, PoseConfig, PoseDetector, decode_heatmaps

FILE_KIND = "hand_detector"
HAND_CONFIG = PoseConfig(96, (16, 40, 64, 80), (1, 2), joints=21)
MARGIN = 1.6
"""Side of the square that is looked at, over the longer side of the box round the joints."""


@torch.no_grad()
def detect_hands(
    net: PoseDetector, images: torch.Tensor, boxes: torch.Tensor, left: torch.Tensor
) -> torch.Tensor:
    """Joints (B,21,3) x_px, y_px, confidence 0..1 of one hand in each picture.

    Args:
        net: the detector, which knows right hands.
        images: (B,3,H,W) in 0..1.
        boxes: (B,4) x0, y0, x1, y1 in pixels, round where the hand is.
        left: (B,) bool; left hands are shown to the network mirrored.
    """
    net = net.eval()
    device = next(net.parameters()).device
    frames = hand_frames(boxes.to(device), left.to(device), net.config.image_size)
    views = look_at(images.to(device), frames, net.config.image_size)
    found = decode_heatmaps(net(views))
    return torch.cat([to_image(frames, found[..., :2]), found[..., 2:]], dim=2)


def hand_frames(
    boxes: torch.Tensor, left: torch.Tensor, size: int, margin: float | torch.Tensor = MARGIN
) -> torch.Tensor:
    """Maps (B,2,3) from pixels of a size x size view to the picture's pixels: a square round each box.

    Args:
        boxes: (B,4) x0, y0, x1, y1 in pixels.
        left: (B,) bool; the view of a left hand is mirrored.
        size: side of the view in pixels.
        margin: the square's side by the longer side of the box; one number, or (B,).
    """
    side = (boxes[:, 2:] - boxes[:, :2]).amax(1).clamp_min(1.0) * margin / size
    across = torch.where(left, -side, side)
    zero = torch.zeros_like(side)
    turn = torch.stack([torch.stack([across, zero], 1), torch.stack([zero, side], 1)], 1)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    shift = centre - turn @ centre.new_full((2,), size / 2)
    return torch.cat([turn, shift[:, :, None]], 2)


def look_at(images: torch.Tensor, frames: torch.Tensor, size: int) -> torch.Tensor:
    """The views (B,3,size,size) that the maps (B,2,3) show of pictures (B,3,H,W); outside is grey."""
    line = torch.arange(size, device=images.device) + 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = to_image(frames, torch.stack([x, y], -1).reshape(1, -1, 2).expand(len(frames), -1, -1))
    extent = points.new_tensor([images.shape[-1], images.shape[-2]])
    grid = (points / extent * 2 - 1).reshape(-1, size, size, 2)
    return F.grid_sample(images - LETTERBOX_GREY, grid, align_corners=False) + LETTERBOX_GREY


def to_image(frames: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Points (B,n,2) of the views in the pictures."""
    return points @ frames[:, :, :2].transpose(1, 2) + frames[:, None, :, 2]


def to_view(frames: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Points (B,n,2) of the pictures in the views."""
    return (points - frames[:, None, :, 2]) @ torch.linalg.inv(frames[:, :, :2]).transpose(1, 2)


def joint_boxes(joints: torch.Tensor) -> torch.Tensor:
    """The boxes (B,4) round the present joints (B,n,3)."""
    present = joints[..., 2:] > 0
    low = torch.where(present, joints[..., :2], torch.inf).amin(1)
    high = torch.where(present, joints[..., :2], -torch.inf).amax(1)
    return torch.cat([low, high], 1)


def load_hand_detector(path: str | Path) -> PoseDetector:
    """The mini hand detector from its weights file; errors name the file."""
    tensors, meta = load_file(path, file_kind=FILE_KIND)
    net = built(lambda: PoseDetector(config_from_metadata(PoseConfig, meta["config"])), tensors, str(path))
    return net.eval()
