"""Synthetic people: articulated bodies of capsules, dressed, lit, partly hidden, with exact ground truth."""

from .render import (
    BACKGROUNDS,
    HANDS_RAISED,
    HELD_OUT_FIRST_SEED,
    SCENE,
    VIEWS,
    WHITE,
    WHOLE,
    SyntheticPeople,
    render_people,
)

__all__ = [
    "BACKGROUNDS",
    "HANDS_RAISED",
    "HELD_OUT_FIRST_SEED",
    "SCENE",
    "VIEWS",
    "WHITE",
    "WHOLE",
    "SyntheticPeople",
    "render_people",
]
