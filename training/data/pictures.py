"""Picture files of one's own, as all imports read them: upright, RGB of 8 bits; errors name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

LYING = range(5, 9)
"""EXIF orientations that exchange height and width."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture file that is open. ValueError names one that is no picture, damaged or too large."""
    try:
        with Image.open(path) as picture:
            yield picture
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be read as a picture ({error}): put a whole one there or leave it out"
        ) from error


def read_picture(path: Path, like: tuple[int, int] | None = None) -> Image.Image:
    """A picture upright, as its EXIF orientation says; RGB, what is transparent white.

    Args:
        path: the file.
        like: width and height of what belongs to it. Where only the picture as it is stored has these, that
            is given.

    Raises:
        ValueError: as of `opened`.
    """
    with opened(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        return as_rgb(picture if like is not None and upright.size != like == picture.size else upright)


def as_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode in RGB of 8 bits; grey of 16 would be cut off at white by Pillow itself."""
    if picture.mode.startswith("I;16"):
        levels = np.asarray(picture).astype(np.float32) / 257
        return Image.fromarray(levels.round().astype(np.uint8)).convert("RGB")
    if picture.mode == "I":
        return picture.point(lambda value: value * (1 / 257)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height upright; errors as of `opened`."""
    with opened(path) as picture:
        lies = picture.getexif().get(ExifTags.Base.Orientation) in LYING
        return picture.size[::-1] if lies else picture.size
