"""A sentence that says what is to be seen: who, in what."""

from __future__ import annotations

from .haircuts import BALD
from .looks import Look
from .skin import SKIN_NAMES
from .wardrobe import Piece

_PLURAL = ("trousers", "jeans", "leggings", "shorts")


def describe(look: Look) -> str:
    """For example "a woman with long brown hair in a striped red t-shirt and blue jeans"."""
    who = "a woman" if look.woman else "a man"
    return f"{who} with {_head(look)} in {_wears(look)}"


def _head(look: Look) -> str:
    hair = "no hair" if look.hair.cut == BALD else f"{look.hair.style.word} {look.hair.name} hair"
    beard = {"beard": "a beard", "goatee": "a goatee", "moustache": "a moustache"}.get(look.skin.beard)
    things = [hair, *([beard] if beard else []), *_things(look)]
    return things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]


def _things(look: Look) -> list[str]:
    """Glasses, hat and bag as they are called."""
    worn = look.things
    glasses = [] if worn.glasses is None else ["sunglasses" if worn.glasses[1] else "glasses"]
    hat = [] if worn.hat is None else [with_article(f"{worn.hat[1]} {worn.hat[0]}")]
    return glasses + hat + ([] if worn.bag is None else [with_article(f"{worn.bag} backpack")])


def _wears(look: Look) -> str:
    pieces = [look.bottom] if look.top is None else [look.top, look.bottom]
    if look.outer is not None:
        pieces = [look.outer, *pieces] if look.outer.open else [look.outer, look.bottom]
    words = [named(piece) for piece in pieces]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def named(piece: Piece) -> str:
    """With its article where it takes one: "a striped red t-shirt", "blue jeans"."""
    look = piece.colour if piece.cloth.pattern == "plain" else f"{piece.cloth.pattern} {piece.colour}"
    if piece.garment in _PLURAL:
        return f"{look} {piece.garment}"
    return with_article(f"{look} {piece.garment}")


def with_article(words: str) -> str:
    """As in "a red cap" and "an orange cap"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def sleeve_words(look: Look) -> str:
    """What a hand alone shows: " with brown skin, blue sleeve"; nothing of a sleeve when the arm is bare."""
    top = look.outer or look.top or look.bottom
    sleeve = f", {top.colour} sleeve" if top.sleeve > 0.42 else ""
    return f" with {SKIN_NAMES[look.skin.tone]} skin{sleeve}"
