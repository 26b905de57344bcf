"""Synthetic people: articulated bodies of capsules, dressed, lit, partly hidden, with exact ground truth."""

from .render import HANDS_RAISED, HELD_OUT_FIRST_SEED, VIEWS, WHOLE, SyntheticPeople, render_people

__all__ = ["HANDS_RAISED", "HELD_OUT_FIRST_SEED", "VIEWS", "WHOLE", "SyntheticPeople", "render_people"]
