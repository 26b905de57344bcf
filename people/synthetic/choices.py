"""What one may ask of a synthetic person; light, so that menus can be made of it."""

from __future__ import annotations

WHOLE, HANDS_RAISED, CLOSE = VIEWS = ("whole person", "hands raised", "close")
SCENE, WHITE = BACKGROUNDS = ("scene", "white")
HELD_OUT_FIRST_SEED = 10_000_000
