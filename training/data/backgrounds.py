"""Photographs without people, which training shows behind and in front of synthetic people."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from .pictures import as_rgb, opened

logger = logging.getLogger(__name__)

FOLDER = "backgrounds"
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
KEPT_PX = 384
"""Shorter side of the photographs in memory."""
LEAST_CROP = 0.25
"""Smallest side of a crop as a share of the photograph's shorter side."""


class Backgrounds:
    """Photographs as uint8 (3,H,W); crops of them stand in for what surrounds a person."""

    def __init__(self, images: list[Tensor]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def crops(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """(count,3,size,size) in 0..1, some mirrored."""
        made = torch.empty(count, 3, size, size)
        draws = torch.rand(count, 5, generator=generator).tolist()
        for number, (which, extent, x, y, flip) in enumerate(draws):
            image = self.images[int(which * len(self.images))]
            height, width = image.shape[-2:]
            side = max(round(min(height, width) * (LEAST_CROP + (1 - LEAST_CROP) * extent)), 2)
            left, top = int(x * (width - side)), int(y * (height - side))
            part = image[None, :, top : top + side, left : left + side].float() / 255
            step = max(1, side // (2 * size))
            part = F.interpolate(
                part[..., ::step, ::step], (size, size), mode="bilinear", align_corners=False
            )
            made[number] = part[0].flip(-1) if flip < 0.5 else part[0]
        return made


def open_backgrounds(data_root: Path) -> Backgrounds | None:
    """The photographs in the data's folder `backgrounds`; None, and a line in the log, when it has none."""
    folder = Path(data_root) / FOLDER
    files = sorted(file for file in _files(folder) if file.suffix.lower() in ENDINGS)
    images = [image for image in map(_read, files) if image is not None]
    if not images:
        logger.info("no photographs in %s: people keep the backgrounds they were rendered with", folder)
        return None
    return Backgrounds(images)


def _files(folder: Path) -> Iterator[Path]:
    """All files at any depth, of linked folders too, each folder once."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place) / name for name in names)


def _read(file: Path) -> Tensor | None:
    """A photograph reduced to KEPT_PX; None for a file that is no picture."""
    try:
        with opened(file) as picture:
            picture.draft("RGB", (4 * KEPT_PX, 4 * KEPT_PX))
            image = as_rgb(ImageOps.exif_transpose(picture))
    except (ValueError, OSError) as error:
        logger.warning("left out of the backgrounds: %s", error)
        return None
    scale = KEPT_PX / min(image.size)
    if scale < 1:
        image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
        )
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
