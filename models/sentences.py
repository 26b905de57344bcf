"""What is said to users: commands as they can be typed, and errors as one would say them."""

from __future__ import annotations

import sys
from pathlib import Path


def typed(words: str = "") -> str:
    """`figura WORDS`, or `python -m figura WORDS` in a program that was started so."""
    started_as_module = Path(sys.argv[0] if sys.argv else "").name == "__main__.py"
    return f"{'python -m figura' if started_as_module else 'figura'} {words}".rstrip()


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
