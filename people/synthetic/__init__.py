"""Synthetic people: real bodies, dressed, in rooms and streets, partly hidden, with exact ground truth.

What draws them is imported when somebody draws (PEP 562): the nodes only need the names of the choices.
"""

from typing import TYPE_CHECKING, Any

from .choices import BACKGROUNDS, CLOSE, HANDS_RAISED, HELD_OUT_FIRST_SEED, SCENE, VIEWS, WHITE, WHOLE

if TYPE_CHECKING:
    from .render import PARTS, SyntheticPeople, render_people, select

__all__ = [
    "BACKGROUNDS",
    "CLOSE",
    "HANDS_RAISED",
    "HELD_OUT_FIRST_SEED",
    "PARTS",
    "SCENE",
    "VIEWS",
    "WHITE",
    "WHOLE",
    "SyntheticPeople",
    "render_people",
    "select",
]


def __getattr__(name: str) -> Any:
    if name not in ("PARTS", "SyntheticPeople", "render_people", "select"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import render

    return getattr(render, name)
