"""What there is to wear: colours, patterns, cloths, and the pieces drawn for one person."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .draws import Draws

Colour = tuple[float, float, float]
COLOURS: dict[str, Colour] = {
    "red": (0.70, 0.12, 0.13), "orange": (0.87, 0.45, 0.14), "yellow": (0.90, 0.76, 0.24),
    "green": (0.22, 0.46, 0.26), "teal": (0.13, 0.47, 0.48), "blue": (0.20, 0.36, 0.68),
    "navy": (0.11, 0.14, 0.28), "purple": (0.42, 0.23, 0.52), "pink": (0.88, 0.55, 0.64),
    "brown": (0.40, 0.27, 0.18), "grey": (0.50, 0.51, 0.53), "black": (0.10, 0.10, 0.11),
    "beige": (0.78, 0.69, 0.55), "white": (0.89, 0.89, 0.88),
}  # fmt: skip
PATTERNS = ("plain", "striped", "pinstriped", "checked", "dotted", "flowered")
_PITCH = {
    "plain": (0.1, 0.1),
    "striped": (0.03, 0.11),
    "pinstriped": (0.018, 0.035),
    "checked": (0.045, 0.12),
    "dotted": (0.03, 0.075),
    "flowered": (0.06, 0.13),
}
_TOPS: dict[str, tuple[float, float, tuple[float, float], tuple[str, ...]]] = {
    # how often for women and men; sleeves' length in metres; cloth
    "t-shirt": (3.2, 4.2, (0.13, 0.23), ("cotton",)), "tank top": (1.2, 0.35, (0.0, 0.0), ("cotton",)),
    "shirt": (2.6, 4.0, (0.50, 0.53), ("cotton", "cotton", "flannel", "silk")),
    "polo shirt": (0.5, 1.2, (0.15, 0.22), ("cotton",)),
    "jumper": (2.4, 2.2, (0.50, 0.53), ("knit", "coarse knit", "knit")),
    "hoodie": (0.9, 1.3, (0.51, 0.53), ("fleece",)), "turtleneck": (0.7, 0.4, (0.50, 0.53), ("knit",)),
    "blouse": (1.2, 0.0, (0.30, 0.52), ("silk", "cotton")),
}  # fmt: skip
_BOTTOMS = {
    "trousers": (2.4, 4.2),
    "jeans": (2.6, 4.0),
    "leggings": (1.3, 0.0),
    "shorts": (0.8, 1.6),
    "skirt": (2.2, 0.0),
}
_OUTER = {"jacket": (1.4, 1.5), "coat": (0.8, 0.7), "cardigan": (1.1, 0.5)}
_SHADES = {"jeans": ("blue", "navy", "black", "grey", "blue")}


@dataclass(frozen=True)
class Cloth:
    """What a piece is made of. colour, second 0..1; pattern of PATTERNS with its pitch in metres; fabric;
    phase: where its folds and patterns begin.
    """

    colour: Colour
    second: Colour
    pattern: str = "plain"
    pitch: float = 0.1
    fabric: str = "cotton"
    phase: tuple[float, float] = (0.0, 0.0)
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Piece:
    """What is worn. garment as captions call it, colour its name; fit 0 clings to 1 hangs; sleeve, metres
    from the shoulder; hem: height on the mean body at rest; neck of NECKS; wide: of legs or of a skirt 0..1.
    """

    garment: str
    colour: str
    cloth: Cloth
    fit: float = 0.5
    sleeve: float = 0.0
    hem: float = 0.12
    neck: str = "crew"
    wide: float = 0.3
    tucked: bool = False
    open: bool = False


def sample_top(draws: Draws, woman: bool) -> Piece:
    """What is worn above the hips."""
    garment = list(_TOPS)[draws.choice([women if woman else men for women, men, _, _ in _TOPS.values()])]
    _, _, sleeve, fabrics = _TOPS[garment]
    cloth, colour = _cloth(draws, draws.pick(fabrics), [0.5, 0.2, 0.04, 0.12, 0.07, 0.07 if woman else 0.02])
    necks = {
        "t-shirt": ("crew", "crew", "v", "scoop"),
        "tank top": ("scoop", "v", "scoop"),
        "blouse": ("v", "crew"),
        "jumper": ("crew", "crew", "v"),
        "turtleneck": ("high",),
        "hoodie": ("hood",),
    }
    neck = draws.pick(necks.get(garment, ("collar",)))
    tucked = draws.chance(0.35 if garment in ("shirt", "blouse", "t-shirt", "tank top") else 0.05)
    if garment == "shirt" and draws.chance(0.25):
        sleeve = (0.33, 0.40)
    fit = draws.uniform(0.15, 0.6) if woman else draws.uniform(0.45, 1.0)
    if garment in ("hoodie", "jumper"):
        fit = min(1.0, fit + 0.25)
    return Piece(
        garment, colour, cloth, fit, draws.uniform(*sleeve), draws.uniform(0.115, 0.17), neck, 0.3, tucked
    )


def sample_bottom(draws: Draws, woman: bool, top: Piece) -> Piece:
    """What is worn below the hips."""
    garment = list(_BOTTOMS)[draws.choice([values[0 if woman else 1] for values in _BOTTOMS.values()])]
    fabric = {"jeans": "denim", "leggings": "stretch"}.get(garment, "cotton")
    if garment == "skirt":
        fabric = draws.pick(("cotton", "denim", "silk", "leather", "cotton"))
    elif garment == "trousers":
        fabric = draws.pick(("cotton", "cotton", "wool", "wool", "leather"))
    cloth, colour = _cloth(
        draws, fabric, [0.82, 0.02, 0.05, 0.06, 0.02, 0.03 if garment == "skirt" else 0.0], garment
    )
    if colour == top.colour:
        colour = {"navy": "beige", "black": "grey"}.get(colour, "navy")
        cloth = replace(cloth, colour=_jittered(COLOURS[colour], draws))
    hem = {
        "skirt": draws.pick((-0.11, -0.18, -0.25, -0.35, -0.5)) + draws.normal(0, 0.025),
        "shorts": draws.uniform(-0.24, -0.02),
    }.get(garment, -0.70 + max(0.0, draws.uniform(-0.06, 0.05)))
    wide = draws.uniform(0, 1) ** 1.4
    if garment == "leggings":
        wide = 0.0
    return Piece(garment, colour, cloth, 0.3, 0.0, hem, "", wide)


def sample_dress(draws: Draws) -> Piece:
    """One piece from the shoulders to the legs."""
    cloth, colour = _cloth(
        draws, draws.pick(("cotton", "silk", "cotton", "knit")), [0.45, 0.12, 0.03, 0.1, 0.12, 0.18]
    )
    sleeve = draws.pick((0.0, 0.0, 0.16, 0.2, 0.35, 0.51))
    hem = draws.pick((-0.12, -0.2, -0.26, -0.36, -0.5)) + draws.normal(0, 0.03)
    return Piece(
        "dress",
        colour,
        cloth,
        draws.uniform(0.0, 0.35),
        sleeve,
        hem,
        draws.pick(("crew", "v", "scoop")),
        draws.uniform(0.05, 1.0),
    )


def sample_outer(draws: Draws, woman: bool) -> Piece | None:
    """What is worn over the rest, if anything."""
    if not draws.chance(0.24):
        return None
    garment = list(_OUTER)[draws.choice([values[0 if woman else 1] for values in _OUTER.values()])]
    fabrics = {"jacket": ("denim", "leather", "cotton", "wool"), "coat": ("wool", "wool", "cotton"),
               "cardigan": ("knit", "coarse knit")}[garment]  # fmt: skip
    fabric = draws.pick(fabrics)
    cloth, colour = _cloth(
        draws, fabric, [0.86, 0.02, 0.04, 0.08, 0, 0], "jeans" if fabric == "denim" else garment
    )
    if fabric == "leather":
        colour = draws.pick(("black", "brown", "black", "red"))
        cloth = replace(cloth, colour=_jittered(COLOURS[colour], draws), pattern="plain")
    hem = draws.uniform(-0.38, -0.05) if garment == "coat" else draws.uniform(0.11, 0.19)
    neck = draws.pick(("lapels", "collar", "collar")) if garment != "cardigan" else "v"
    return Piece(
        garment,
        colour,
        cloth,
        draws.uniform(0.5, 1.0),
        0.525,
        hem,
        neck,
        draws.uniform(0.1, 0.5),
        False,
        draws.chance(0.7),
    )


def sample_shoes(draws: Draws, woman: bool) -> Piece:
    """Trainers, shoes, boots."""
    garment = ("trainers", "shoes", "boots")[draws.choice([3.0, 2.0, 1.2 if woman else 0.9])]
    colour = draws.pick(
        ("white", "black", "grey", "navy", "red", "white", "blue")
        if garment == "trainers"
        else ("black", "brown", "brown", "black", "beige", "red" if woman else "navy")
    )
    cloth = Cloth(
        _jittered(COLOURS[colour], draws),
        COLOURS["white"],
        fabric="canvas" if garment == "trainers" else "leather",
    )
    return Piece(garment, colour, cloth, hem=draws.uniform(0.12, 0.34) if garment == "boots" else 0.0)


def _cloth(draws: Draws, fabric: str, patterns: list[float], garment: str = "") -> tuple[Cloth, str]:
    """A cloth and the name of its colour."""
    colour = draws.pick(_SHADES.get(garment, tuple(COLOURS)))
    second = draws.pick(tuple(name for name in COLOURS if name != colour))
    if draws.chance(0.5):
        second = "white" if colour != "white" else draws.pick(("navy", "black", "red"))
    pattern = PATTERNS[draws.choice(patterns)] if fabric not in ("denim", "leather", "fleece") else "plain"
    low, high = _PITCH[pattern]
    pitch = low * math.exp(draws.uniform() * math.log(high / low))
    return Cloth(_jittered(COLOURS[colour], draws), _jittered(COLOURS[second], draws), pattern, pitch, fabric,
                 (draws.uniform(), draws.uniform())), colour  # fmt: skip


def _jittered(colour: Colour, draws: Draws) -> Colour:
    """Nearly that colour: no two dyes are alike."""
    much = draws.normal(0, 0.04)
    red, green, blue = (min(max(value * (1 + much) + draws.normal(0, 0.018), 0.05), 0.95) for value in colour)
    return red, green, blue
