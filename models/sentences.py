"""What is said to users: commands as they can be typed, and errors as one would say them."""

from __future__ import annotations

import sys
from pathlib import Path

PACK = Path(__file__).absolute().parent.parent


def typed(words: str = "") -> str:
    """`figura WORDS` where that was typed; elsewhere `python -m figura WORDS`, as in ComfyUI."""
    started_as_command = Path(sys.argv[0] if sys.argv else "").stem == "figura"
    return f"{'figura' if started_as_command else f'python -m {_module_name()}'} {words}".rstrip()


def where_typed() -> str:
    """Where the command of `typed` works, for the end of a sentence; empty outside ComfyUI."""
    return f" (in {PACK.parent}, with ComfyUI's Python)" if _is_in_comfyui() else ""


def _module_name() -> str:
    """In ComfyUI the pack's folder may have any name."""
    return PACK.name if _is_in_comfyui() else "figura"


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
