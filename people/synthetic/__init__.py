"""Synthetic people: articulated bodies of capsules, dressed, lit, partly hidden, with exact ground truth."""

from .render import HELD_OUT_FIRST_SEED, SyntheticPeople, render_people

__all__ = ["HELD_OUT_FIRST_SEED", "SyntheticPeople", "render_people"]
