"""A sentence that says what is to be seen: who, in what."""

from __future__ import annotations

from .hair import BALD
from .looks import Look
from .skin import SKIN_NAMES
from .wardrobe import Piece

_PLURAL = ("trousers", "jeans", "leggings", "shorts")


def describe(look: Look) -> str:
    """For example "a woman with long brown hair in a striped red t-shirt and blue jeans"."""
    who = "a woman" if look.woman else "a man"
    return f"{who} with {_head(look)} in {_wears(look)}"


def _head(look: Look) -> str:
    hair = "no hair" if look.hair.cut == BALD else f"{look.hair.kind.word} {look.hair.name} hair"
    beard = {"beard": "a beard", "goatee": "a goatee", "moustache": "a moustache"}.get(look.skin.beard)
    things = [hair, *([beard] if beard else [])]
    return " and ".join(things)


def _wears(look: Look) -> str:
    pieces = [look.bottom] if look.top is None else [look.top, look.bottom]
    if look.outer is not None:
        pieces = [look.outer, *pieces] if look.outer.open else [look.outer, look.bottom]
    words = [named(piece) for piece in pieces]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def named(piece: Piece) -> str:
    """With its article where it takes one: "a striped red t-shirt", "blue jeans"."""
    look = piece.colour if piece.cloth.pattern == "plain" else f"{piece.cloth.pattern} {piece.colour}"
    if piece.kind in _PLURAL:
        return f"{look} {piece.kind}"
    return f"{'an' if look[0] in 'aeiou' else 'a'} {look} {piece.kind}"


def sleeve_words(look: Look) -> str:
    """What a hand alone shows: " with brown skin, blue sleeve"; nothing of a sleeve when the arm is bare."""
    top = look.outer or look.top or look.bottom
    sleeve = f", {top.colour} sleeve" if top.sleeve > 0.42 else ""
    return f" with {SKIN_NAMES[look.skin.tone]} skin{sleeve}"
