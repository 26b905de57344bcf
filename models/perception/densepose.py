"""DensePose labels of a person: a small network trained here, and public estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...people.boxes import Box
from ...people.densepose import LABELS, MIRRORED
from ..diffusion.checkpoint import METADATA_KEY, built, config_from_metadata, load_file, raw_metadata
from ..store import SAFE_SUFFIXES
from .layers import Hourglass, Residual
from .pose import View, box_view, resample_view, whole_view

FILE_KIND = "densepose"
MINI_FILE = "densepose.safetensors"
BATCH = 16
LOGITS_AT_ONCE = 1 << 24
"""Numbers that logits enlarged to the picture's size may take at once, 64 MiB."""
LOOK_AGAIN_BELOW = 0.85
"""A closer look is taken when its side is below this share of the picture's."""


@dataclass(frozen=True)
class DensePoseConfig:
    """Input side in pixels; channels at 1/2, 1/4, 1/8, 1/16 of it; residual blocks at 1/16."""

    image_size: int = 128
    channels: tuple[int, int, int, int] = (24, 48, 80, 96)
    blocks: int = 2


class DensePoseNet(Hourglass):
    """The pose detector's hourglass and a step up: pictures (B,3,S,S) in 0..1 to logits (B,25,S/2,S/2)."""

    def __init__(self, config: DensePoseConfig = DensePoseConfig(), operations: Any = torch.nn) -> None:
        super().__init__(config.channels, (1, config.blocks), operations)
        self.config = config
        half, quarter = config.channels[:2]
        self.up2, self.join2 = operations.Conv2d(quarter, half, 1), Residual(half, operations)
        self.norm = operations.GroupNorm(8, half)
        self.head = operations.Conv2d(half, LABELS, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the label of every second pixel."""
        x2, y4 = self.features(images)
        y2 = self.join2(x2 + F.interpolate(self.up2(y4), scale_factor=2.0))
        return self.head(F.silu(self.norm(y2)))


@torch.no_grad()
def estimate_labels(net: DensePoseNet, images: Tensor) -> Tensor:
    """Labels (B,H,W) uint8 of one person in each picture (B,3,H,W) 0..1 of any size.

    Every picture is padded to a square and looked at in the network's size; then the square round what was
    found there is, if it shows the person larger.
    """
    net = net.eval()
    images = images.to(next(net.parameters()).device)
    whole = whole_view(*images.shape[-2:])
    found = _labels_in(net, images, [whole] * len(images))
    closer = [closer_view(labels, whole) for labels in found]
    again = [index for index, view in enumerate(closer) if view is not None]
    if again:
        views = [view for view in closer if view is not None]
        found[again] = _labels_in(net, images[again], views)
    return found


def closer_view(labels: Tensor, whole: View) -> View | None:
    """The square round the labelled pixels (H,W), or None if it is little smaller than the whole or empty."""
    box = Box.around_mask(labels > 0)
    view = box_view(box, *labels.shape)
    return None if box.is_empty or view.side > LOOK_AGAIN_BELOW * whole.side else view


def _labels_in(net: DensePoseNet, images: Tensor, views: list[View]) -> Tensor:
    """Labels (B,H,W) of what a view of each picture and its mirror image show; background beyond it."""
    size, labels = net.config.image_size, []
    for start in range(0, len(images), BATCH):
        part = list(zip(images[start : start + BATCH], views[start : start + BATCH], strict=True))
        inputs = torch.cat([resample_view(image[None], view, size) for image, view in part])
        mirrored = net(inputs.flip(-1)).flip(-1)[:, list(MIRRORED)]
        logits = (net(inputs) + mirrored).float() / 2
        labels += [
            _placed(each, view, images.shape[-2:]) for each, (_, view) in zip(logits, part, strict=True)
        ]
    return torch.stack(labels)


def _placed(logits: Tensor, view: View, size: torch.Size) -> Tensor:
    """Labels (H,W) of a picture from the logits (25,h,h) of a view of it, enlarged some lines at a time."""
    height, width = size
    labels = torch.zeros(height, width, dtype=torch.uint8, device=logits.device)
    top, left = max(view.top, 0), max(view.left, 0)
    bottom, right = min(view.top + view.side, height), min(view.left + view.side, width)
    lines = max(1, LOGITS_AT_ONCE // (LABELS * view.side))
    for start in range(top, bottom, lines):
        end = min(start + lines, bottom)
        inside = _enlarged(logits, view.side, start - view.top, end - view.top)
        inside = inside[..., left - view.left : right - view.left]
        labels[start:end, left:right] = inside.argmax(0).to(torch.uint8)
    return labels


def _enlarged(logits: Tensor, side: int, start: int, end: int) -> Tensor:
    """The lines from `start` to `end` (25,n,side) of logits (25,h,h) enlarged to `side`, bilinearly."""
    height = logits.shape[-2]
    at = (torch.arange(start, end, device=logits.device) + 0.5) * (height / side) - 0.5
    at = at.clamp(0, height - 1)
    above = at.long()
    below = (above + 1).clamp_max(height - 1)
    lines = torch.lerp(logits[:, above], logits[:, below], (at - above)[:, None].to(logits))
    return F.interpolate(lines[None], (end - start, side), mode="bilinear", align_corners=False)[0]


def is_own(path: Path) -> bool:
    """Whether a file was written by this pack."""
    return path.suffix.lower() in SAFE_SUFFIXES and METADATA_KEY in raw_metadata(path)


def load_densepose_net(path: str | Path) -> DensePoseNet:
    """The mini estimator from its weights file; errors name the file."""
    tensors, meta = load_file(path, file_kind=FILE_KIND)
    net = built(
        lambda: DensePoseNet(config_from_metadata(DensePoseConfig, meta["config"])), tensors, str(path)
    )
    return net.eval()


# Public estimators


class PublicEstimator:
    """A public DensePose model: several people, any size. Its module gives what `read_output` reads of a
    picture (3,H,W) in 0..255.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Labels (B,H,W) uint8 of pictures (B,3,H,W) in 0..1, on the CPU."""
        size = images.shape[-2], images.shape[-1]
        return torch.stack([self._labels(image, size) for image in images])

    def _labels(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        made = self.module((image.clamp(0, 1) * 255).round())
        boxes, coarse, fine = read_output(made)
        return decode_labels(boxes.cpu(), coarse.cpu(), fine.cpu(), size)


def load_scripted(path: str | Path, trusted: bool = False) -> torch.nn.Module:
    """The TorchScript module in a file, on the CPU.

    A TorchScript file is a program, which can read and write this machine's files: it is only opened when
    somebody said that it is `trusted`. Raises ValueError, naming the file, for one that is not, or that is no
    TorchScript; ImportError when torchvision, whose operators such files use, is missing.
    """
    if not trusted:
        raise ValueError(
            f"{path} is TorchScript, a program that can read and write your files, and is not run unasked: "
            "take the published weights instead (model_final_0ed407.pkl of R_50_FPN_DL_s1x, or a "
            "safetensors of them), or switch on run_torchscript if you trust who made this file"
        )
    try:
        import torchvision  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "a DensePose TorchScript file needs torchvision: pip install torchvision"
        ) from error
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as TorchScript ({str(error).splitlines()[0]}): choose a DensePose model "
            "such as model_final_0ed407.pkl (R_50_FPN_DL_s1x)"
        ) from error


def read_output(made: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (N,4) x0 y0 x1 y1 px, coarse_segm (N,K,h,w) and fine_segm (N,25,h,w) of an estimator's output.

    Outputs are dicts with these names (pred_boxes for boxes), or tuples whose tensors are told by their
    shapes; in a tuple coarse_segm comes before fine_segm. Raises ValueError for anything else.
    """
    if isinstance(made, Mapping):
        boxes = made.get("pred_boxes", made.get("boxes"))
        found = [boxes, made.get("coarse_segm", made.get("pred_densepose_coarse_segm"))]
        found.append(made.get("fine_segm", made.get("pred_densepose_fine_segm")))
    else:
        tensors = [each for each in made if isinstance(each, Tensor)] if isinstance(made, Sequence) else []
        maps = [each for each in tensors if each.ndim == 4]
        boxes = next((each for each in tensors if each.ndim == 2 and each.shape[1] == 4), None)
        coarse = next((each for each in maps if each.shape[1] < LABELS), None)
        found = [boxes, coarse, next((each for each in maps if each.shape[1] == LABELS), None)]
    if any(each is None for each in found):
        raise ValueError(
            "the TorchScript file gives no boxes, coarse_segm and fine_segm: it is no DensePose estimator. "
            "Choose densepose_r50_fpn_dl.torchscript or densepose_r101_fpn_dl.torchscript"
        )
    return found[0], found[1], found[2]


def decode_labels(boxes: Tensor, coarse: Tensor, fine: Tensor, size: tuple[int, int]) -> Tensor:
    """Labels (H,W) uint8 of a picture: in every box the strongest part where the person is, else 0.

    Args:
        boxes: (N,4) x0, y0, x1, y1 in pixels. Of people who overlap the first, which the estimator is
            surest of, lies in front.
        coarse: scores (N,K,h,w) of the person's regions, class 0 is no person; resampled to the box.
        fine: scores (N,25,h,w) of the labels; resampled in the same way.
        size: (H,W) of the picture.
    """
    labels = torch.zeros(size, dtype=torch.uint8)
    for box, person, parts in zip(boxes, coarse, fine):
        if not bool(box.isfinite().all()):
            continue
        x0, y0, x1, y1 = (int(round(float(corner))) for corner in box)
        x, y = (x0, max(x1, x0 + 1), size[1]), (y0, max(y1, y0 + 1), size[0])
        there = labels[max(y0, 0) : max(y[1], 0), max(x0, 0) : max(x[1], 0)]
        if there.numel() == 0:
            continue
        inside = _shown(person, x, y).argmax(0) > 0
        part = (_shown(parts, x, y).argmax(0) * inside).to(torch.uint8)
        there.copy_(torch.where(there > 0, there, part))
    return labels


def _shown(maps: Tensor, x: tuple[int, int, int], y: tuple[int, int, int]) -> Tensor:
    """Maps (C,h,w) resampled to a box, of which only what lies in the picture is made, however large the box.

    x, y: first and last pixel of the box along that side, and the picture's length.
    """
    across, down = (_places(*side).to(maps.device) for side in (x, y))
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    grid = torch.stack([columns, rows], dim=-1)[None]
    return F.grid_sample(maps[None].float(), grid, padding_mode="border", align_corners=False)[0]


def _places(first: int, last: int, length: int) -> Tensor:
    """Where the pixels of a box that lie in the picture are in the box, -1..1."""
    pixels = torch.arange(max(first, 0), min(last, length), dtype=torch.float64)
    return (2 * (pixels + 0.5 - first) / (last - first) - 1).float()
