"""A sentence that says what is to be seen: who, in what, doing what."""

from .body import Body
from .clothes import BOTTOMS, COLOUR_NAMES, HAIR_CUTS, HAIR_NAMES, PATTERNS, SLEEVES, Outfit
from .poses import POSE_NAMES, Poses


def describe(body: Body, outfit: Outfit, poses: Poses) -> list[str]:
    """For example "a woman with long brown hair in a striped red t-shirt and blue trousers, walking"."""
    columns = (
        body.proportions.woman, outfit.hair_cut, outfit.hair_colour, outfit.sleeves, outfit.top_colour,
        outfit.bottoms, outfit.bottom_colour, outfit.pattern[:, 2], poses.kind,
    )  # fmt: skip
    return [_sentence(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _sentence(
    woman: bool,
    cut: int,
    hair: int,
    sleeves: int,
    top: int,
    bottoms: int,
    bottom: int,
    pattern: int,
    pose: int,
) -> str:
    who = "a woman" if woman else "a man"
    head = (
        "no hair"
        if HAIR_CUTS[cut] == "bald"
        else f"{'tied' if HAIR_CUTS[cut] == 'bun' else HAIR_CUTS[cut]} {HAIR_NAMES[hair]} hair"
    )
    look = (
        f"{COLOUR_NAMES[top]} "
        if PATTERNS[pattern] == "plain"
        else f"{PATTERNS[pattern]} {COLOUR_NAMES[top]} "
    )
    if BOTTOMS[bottoms] == "dress":
        wears = f"{_article(look)} {look}dress"
    else:
        colour = COLOUR_NAMES[bottom]
        article = f"{_article(colour)} " if BOTTOMS[bottoms] == "skirt" else ""
        wears = f"{_article(look)} {look}{SLEEVES[sleeves]} and {article}{colour} {BOTTOMS[bottoms]}"
    return f"{who} with {head} in {wears}, {POSE_NAMES[pose]}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
