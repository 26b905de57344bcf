"""Pictures written as ComfyUI writes them: PNG files with numbers, the workflow in their text."""

from __future__ import annotations

import json
import os
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..models.files import path_inside, write_new
from ..models.sentences import shown

DEFAULT_PREFIX = "ComfyUI"
LONGEST_STEM = 200
"""Bytes: file systems take 255, the number among them."""
UNPRINTABLE = ("Cc", "Cs")
"""Categories of Unicode that no name is made of: control characters and halves of characters."""


def save_pngs(
    images: torch.Tensor, folder: Path, prefix: str, text: Mapping[str, str], compression: int
) -> list[dict[str, str]]:
    """Write (B, H, W, C) 0..1 as PNG files `prefix_00001_.png`; returns filename and subfolder of each.

    Args:
        images: (B, H, W, C) 0..1.
        folder: where they go; made when it is missing.
        prefix: beginning of the names. It may hold folders, %width%, %height%, %year% ... %second% and
            %batch_num%. Numbers go on after the highest one there, and no file is replaced.
        text: what is written into each file, by its key.
        compression: of PNG, 0 to 9.

    Raises ValueError for a prefix that leads out of `folder`, OSError for a full disk.
    """
    prefix = os.path.normpath(fill_prefix(prefix.strip() or DEFAULT_PREFIX, images.shape[2], images.shape[1]))
    subfolder, stem = os.path.split(prefix)
    unprintable = any(unicodedata.category(each) in UNPRINTABLE for each in prefix)
    if unprintable or len(os.fsencode(stem)) > LONGEST_STEM:
        raise ValueError(
            f"'filename_prefix' is {shown(prefix)}: use a name without control characters, of at most "
            f"{LONGEST_STEM} bytes (letters of some scripts take two to four)"
        )
    try:
        target = path_inside(folder, subfolder)
    except ValueError as error:
        raise ValueError(f"'filename_prefix': {error}; use a name inside it") from error
    number = next_number(target, stem)
    saved = []
    for index, picture in enumerate(images):
        named = stem.replace("%batch_num%", str(index))
        write = partial(write_png, picture, text, compression)
        number = write_numbered(target, named, number, write)
        saved.append({"filename": file_name(named, number), "subfolder": subfolder})
        number += 1
    return saved


def write_numbered(
    folder: Path, stem: str, number: int, write: Callable[[Path], object], suffix: str = ".png"
) -> int:
    """Write a file under the first number from `number` on that no file has; gives that number.

    Another program may save under the same stem at the same time: a name that it takes first stays its own.

    Args:
        folder: where; made when it is missing.
        stem: beginning of the name.
        number: the first one to try, as `next_number` gives it.
        write: fills the file at the path that it is given.
        suffix: end of the name.

    Raises OSError for a full disk.
    """
    while not write_new(folder / file_name(stem, number, suffix), write):
        number += 1
    return number


def file_name(stem: str, number: int, suffix: str = ".png") -> str:
    """The name of a numbered file, as ComfyUI writes it.

    >>> file_name("person", 7)
    'person_00007_.png'
    """
    return f"{stem}_{number:05}_{suffix}"


def write_png(picture: torch.Tensor, text: Mapping[str, str], compression: int, place: Path) -> None:
    """Write one picture; values are cut to 8 bits by truncation, as ComfyUI does.

    Args:
        picture: (H, W, C) 0..1; values outside are clipped.
        text: what is written into the file, by its key.
        compression: of PNG, 0 to 9.
        place: the file, whatever its name ends in.
    """
    pixels = np.clip(255.0 * picture.cpu().numpy(), 0, 255).astype(np.uint8)
    info = PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    Image.fromarray(pixels).save(place, format="PNG", pnginfo=info, compress_level=compression)


def png_text(prompt: Any, extra: Mapping[str, Any] | None) -> dict[str, str]:
    """The text chunks ComfyUI reads a workflow back from."""
    chunks = {} if prompt is None else {"prompt": json.dumps(prompt)}
    return chunks | {key: json.dumps(value) for key, value in (extra or {}).items()}


def fill_prefix(prefix: str, width: int, height: int) -> str:
    """Replace the variables of a filename prefix."""
    now = time.localtime()
    values = {"width": str(width), "height": str(height), "year": str(now.tm_year)}
    parts = {
        "month": now.tm_mon,
        "day": now.tm_mday,
        "hour": now.tm_hour,
        "minute": now.tm_min,
        "second": now.tm_sec,
    }
    for name, value in {**values, **{name: f"{number:02}" for name, number in parts.items()}}.items():
        prefix = prefix.replace(f"%{name}%", value)
    return prefix


def next_number(folder: Path, stem: str) -> int:
    """One more than the highest number of the files `stem_NUMBER_...` in a folder; 1 in an empty one."""
    names: Sequence[str] = os.listdir(folder) if folder.is_dir() else []
    start = os.path.normcase(f"{stem}_")
    numbers = [name[len(start) :].split("_")[0] for name in names if os.path.normcase(name).startswith(start)]
    return max((int(number) for number in numbers if number.isdecimal()), default=0) + 1
