"""Commands in sentences for users, as they can be typed where the sentence is read."""

from __future__ import annotations

import sys
from pathlib import Path


def typed(words: str = "") -> str:
    """`figura WORDS`, or `python -m figura WORDS` in a program that was started so."""
    started_as_module = Path(sys.argv[0] if sys.argv else "").name == "__main__.py"
    return f"{'python -m figura' if started_as_module else 'figura'} {words}".rstrip()
