"""Synthetic people: real bodies, dressed, in rooms and streets, partly hidden, with exact ground truth."""

from .render import (
    BACKGROUNDS,
    CLOSE,
    HANDS_RAISED,
    HELD_OUT_FIRST_SEED,
    SCENE,
    VIEWS,
    WHITE,
    WHOLE,
    SyntheticPeople,
    render_people,
    select,
)

__all__ = [
    "BACKGROUNDS",
    "CLOSE",
    "HANDS_RAISED",
    "HELD_OUT_FIRST_SEED",
    "SCENE",
    "VIEWS",
    "WHITE",
    "WHOLE",
    "SyntheticPeople",
    "render_people",
    "select",
]
