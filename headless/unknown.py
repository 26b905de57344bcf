"""What to say of a node whose class is unknown here: mistyped, or one that only a ComfyUI has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

PACK = "Figura"
"""Beginning of the names of the pack's own nodes."""
ELSEWHERE = "a running ComfyUI that has it runs it: give its address with --server URL"


def unknown_class(name: str, known: Iterable[str]) -> str:
    """The sentence about an unknown class, with the one that may be meant.

    >>> unknown_class("LoadImges", ["LoadImage"])
    'unknown node type: did you mean LoadImage? Else a running ComfyUI that has it runs it: give its address \
with --server URL'
    """
    meant = _meant(name, known)
    hint = f"did you mean {meant}? Else " if meant else ""
    return f"unknown node type: {hint}{ELSEWHERE}"


def _meant(name: str, known: Iterable[str]) -> str:
    """The class that a mistyped name stands for; empty for one that may well be a node of ComfyUI or others.

    KSamplerAdvanced is no mistyped KSampler, nor ImageScaleBy an ImageScale.
    """
    if name.lower().startswith(PACK.lower()):
        near, likeness = [each for each in known if each.startswith(PACK)], 0.6
    else:
        near, likeness = [each for each in known if abs(len(each) - len(name)) <= 1], 0.88
    return next(iter(difflib.get_close_matches(name, near, n=1, cutoff=likeness)), "")
