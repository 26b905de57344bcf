"""Picture files that are not quite whole, read as ComfyUI's Load Image reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PIL import ImageFile

T = TypeVar("T")


def as_far_as_it_goes(read: Callable[[], T]) -> T:
    """What `read` gives; a file that is cut off, or whose texts are too long, is read a second time."""
    try:
        return read()
    except (OSError, ValueError):
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return read()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before
