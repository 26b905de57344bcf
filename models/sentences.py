"""What is said to users: commands as they can be typed, and errors as one would say them."""

from __future__ import annotations

import math
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

PACK = Path(__file__).absolute().parent.parent


def typed(words: str = "") -> str:
    """`figura WORDS` as it can be typed: in ComfyUI `python FOLDER WORDS`, elsewhere as it was called."""
    if _is_in_comfyui():  # where the pack's folder may have any name
        return f"python {PACK.name} {words}".rstrip()
    started_as_command = Path(sys.argv[0] if sys.argv else "").stem == "figura"
    return f"{'figura' if started_as_command else 'python -m figura'} {words}".rstrip()


def where_typed() -> str:
    """Where the command of `typed` works, for the end of a sentence; empty outside ComfyUI."""
    return f" (in {PACK.parent}, with ComfyUI's Python)" if _is_in_comfyui() else ""


def trained_weights() -> str:
    """The folder that `typed("train RECIPE")` writes weights to."""
    return str(PACK.parent.parent / "data" / "weights") if _is_in_comfyui() else "data/weights"


def as_word(path: str | Path) -> str:
    """A path as one word of a command, in quotes where the shell would take it for several."""
    return shlex.quote(str(path)) if os.name == "posix" else subprocess.list2cmdline([str(path)])


def _is_in_comfyui() -> bool:
    return PACK.parent.name == "custom_nodes"


def message_of(error: BaseException) -> str:
    """An error as one would say it. OSError's own form puts the number first; ImportError's has no remedy."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"this needs the Python package {package}, which is not installed: pip install {package}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this: take smaller pictures or fewer at a time"
    return str(error) or type(error).__name__


def shown(value: Any, most: int = 80) -> str:
    r"""A value for a sentence: short, on one line and without control characters, whatever it is.

    >>> shown(10**400), shown("long " * 100), shown("\x1b[31m")
    ('a whole number of 401 digits', 'a text of 500 characters', "'\\x1b[31m'")
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a whole number of {int(value.bit_length() * math.log10(2)) + 1} digits"
    if isinstance(value, (str, bytes)) and len(value) > most:
        return f"a text of {len(value)} characters"
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__}"
    return text if len(text) <= most else f"a {type(value).__name__}"


def printable(text: str) -> str:
    r"""A text for a terminal: control characters, which could move its cursor or hide words, as codes.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)
