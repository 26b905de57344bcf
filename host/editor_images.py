"""Pictures for the point editor: in every format that ComfyUI's loaders read, of videos, and what a node got.

A browser shows neither TIFF nor 16-bit pictures as a node sees them, nor turns all formats as their EXIF
says. So the server reads them as LoadImage does and hands over a JPEG of the same size.
"""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ..models.files import write_then_rename
from .chosen import get_host
from .pictures import as_far_as_it_goes

log = logging.getLogger(__name__)

MAX_PIXELS = 64_000_000
"""More than cameras have; a few bytes of a file can say any size, and memory is taken by what is said."""
MAX_SIDE = 65_500
"""Of a JPEG."""
MEGA = 1_000_000
QUALITY = 92
_DEEP_GREY = 255


class NotShownError(ValueError):
    """A picture that the editor does not show. `said` tells the page why, whatever its language."""

    def __init__(self, text: str, **said: Any) -> None:
        super().__init__(text)
        self.said = said


def tag_of(path: Path) -> str:
    """Tells a file from what stood under its name before."""
    stat = path.stat()
    return f"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ctime_ns:x}"


def read_image(path: Path) -> Image.Image:
    """A picture file, or the first frame of a video, as LoadImage gives it: RGB, upright, without alpha.

    Raises NotShownError if it is neither, or too large.
    """
    try:
        return as_far_as_it_goes(lambda: _read_picture(path))
    except UnidentifiedImageError:
        return _first_frame(path)
    except Image.DecompressionBombError as error:
        # Pillow says no more of it.
        over = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise _too_large(path, f"more than {over} pixels", over=over) from error
    except (OSError, SyntaxError) as error:
        raise _unreadable(path) from error


def _read_picture(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        _check_size(path, opened.width, opened.height)
        return _as_loaded(ImageOps.exif_transpose(opened))


def _as_loaded(image: Image.Image) -> Image.Image:
    if image.mode == "I":
        image = image.point(lambda value: value * (1 / _DEEP_GREY))
    return image.convert("RGB")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise _too_large(path, f"{width} x {height} pixels", width=width, height=height)


def _too_large(path: Path, size: str, **said: int) -> NotShownError:
    text = (
        f"{path.name} has {size}; the editor takes at most {MAX_PIXELS // MEGA} megapixels "
        f"and {MAX_SIDE} pixels a side. Set the points on a smaller copy: they are scaled to this picture"
    )
    return NotShownError(text, problem="too_large", megapixels=MAX_PIXELS // MEGA, side=MAX_SIDE, **said)


def _unreadable(path: Path) -> NotShownError:
    text = f"{path.name} cannot be read as a picture or a video: save it again, as PNG or JPEG for example"
    return NotShownError(text, problem="unreadable")


VIDEOS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,ogg,asf,gif"
"""Formats that hold their own frames. A playlist names other files, which may lie outside the folders."""


def _first_frame(path: Path) -> Image.Image:
    try:
        import av
    except ImportError:
        raise _unreadable(path) from None
    try:
        with av.open(str(path), options={"format_whitelist": VIDEOS}) as video:
            _check_size(path, video.streams.video[0].width, video.streams.video[0].height)
            frame: Image.Image = next(video.decode(video=0)).to_image()
            return frame
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise _unreadable(path) from error


def jpeg(image: Image.Image) -> bytes:
    """The picture as a file that every browser shows."""
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()


def show_first(pixels: torch.Tensor) -> list[dict[str, Any]]:
    """Put the first of some pictures (B, C, H, W) in 0..1 into the temp folder, for the editor.

    Gives the one entry by which ComfyUI's page knows a file, {"filename", "subfolder", "type"}, and its size;
    none for a picture that no JPEG can hold or that cannot be saved: the node's own work is not lost by that.
    """
    from torchvision.transforms.functional import to_pil_image

    height, width = pixels.shape[2:]
    if max(height, width) > MAX_SIDE:
        log.warning("%d x %d pixels are too long a picture for the points editor to show", width, height)
        return []
    first = pixels[0, : 3 if pixels.shape[1] >= 3 else 1].float().nan_to_num(0.0).clamp(0, 1).cpu()
    data = jpeg(to_pil_image(first).convert("RGB"))
    name = f"figura_points_{hashlib.blake2b(data, digest_size=8).hexdigest()}.jpg"
    try:
        place = get_host().temp_dir() / name
        if not place.is_file():
            write_then_rename(place, lambda file: Path(file).write_bytes(data))
    except OSError as error:
        log.warning("the picture cannot be shown in the points editor: %s", error)
        return []
    return [{"filename": name, "subfolder": "", "type": "temp", "width": width, "height": height}]
