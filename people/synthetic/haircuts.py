"""Hair cuts and hair colours, and the hair drawn for one person."""

from __future__ import annotations

from dataclasses import dataclass

from .draws import Draws
from .shapes import Shape
from .wardrobe import Colour

HAIRS: dict[str, Colour] = {
    "black": (0.09, 0.08, 0.08),
    "brown": (0.29, 0.19, 0.13),
    "blond": (0.72, 0.57, 0.35),
    "red": (0.52, 0.25, 0.13),
    "grey": (0.58, 0.58, 0.58),
    "white": (0.80, 0.79, 0.77),
    "pink": (0.80, 0.45, 0.58),
    "blue": (0.25, 0.38, 0.60),
}
BALD = "bald"


@dataclass(frozen=True)
class Cut:
    """A way to wear hair. word: what captions say; women, men: how often; top, side: metres off the skull;
    length: height on the mean body where hanging hair ends, None when nothing hangs; rough: how uneven;
    curl 0..1; tied: "", "tail" or "bun"; fringe: height where hair over the forehead ends.
    """

    word: str
    women: float
    men: float
    top: float
    side: float
    length: float | None = None
    rough: float = 0.1
    curl: float = 0.0
    tied: str = ""
    fringe: float = 0.0


CUTS: dict[str, Cut] = {
    "bald": Cut("bald", 0.0, 0.9, 0, 0),
    "cropped": Cut("cropped", 0.15, 1.6, 0.005, 0.003),
    "short": Cut("short", 0.7, 3.0, 0.020, 0.007, rough=0.25),
    "swept": Cut("short", 0.2, 2.2, 0.032, 0.007, rough=0.3),
    "messy": Cut("short", 0.3, 1.4, 0.034, 0.020, rough=0.55, fringe=0.955),
    "pixie": Cut("short", 1.0, 0.2, 0.024, 0.016, rough=0.35, fringe=0.945),
    "bob": Cut("bobbed", 1.6, 0.0, 0.024, 0.026, 0.835, 0.15),
    "fringed bob": Cut("bobbed", 1.0, 0.0, 0.024, 0.028, 0.83, 0.1, fringe=0.928),
    "long": Cut("long", 2.2, 0.35, 0.020, 0.022, 0.60, 0.2),
    "very long": Cut("long", 1.2, 0.0, 0.02, 0.024, 0.49, 0.25),
    "shoulder": Cut("long", 1.6, 0.4, 0.024, 0.026, 0.735, 0.25),
    "fringed": Cut("long", 0.9, 0.0, 0.022, 0.024, 0.62, 0.15, fringe=0.93),
    "wavy": Cut("long", 1.2, 0.0, 0.026, 0.032, 0.63, 0.5, 0.5),
    "ponytail": Cut("tied", 1.5, 0.15, 0.012, 0.009, rough=0.1, tied="tail"),
    "bun": Cut("tied", 1.2, 0.12, 0.012, 0.009, rough=0.1, tied="bun"),
    "curly": Cut("curly", 1.0, 0.9, 0.045, 0.036, rough=0.9, curl=1.0),
    "long curls": Cut("curly", 0.8, 0.0, 0.04, 0.05, 0.72, 0.9, 1.0),
    "afro": Cut("curly", 0.5, 0.5, 0.085, 0.08, rough=0.35, curl=1.0),
}


@dataclass(frozen=True)
class Hair:
    """cut: a name of CUTS; name, colour: of HAIRS; volume about 1; parting: degrees left or right of the
    middle; receding: metres the hairline lies higher at the temples; phase of its strands.
    """

    cut: str
    name: str
    colour: Colour
    volume: float
    parting: float
    receding: float
    phase: float

    @property
    def style(self) -> Cut:
        """What the cut's name stands for."""
        return CUTS[self.cut]


def sample_hair(draws: Draws, shape: Shape) -> Hair:
    """A cut and a colour that the person could have."""
    weights = [cut.women if shape.woman else cut.men for cut in CUTS.values()]
    african, asian, european = shape.origins
    for index, name in enumerate(CUTS):
        if name in ("afro", "curly", "long curls"):
            weights[index] *= 0.25 + 3.2 * african
        if name in ("bald", "cropped") and not shape.woman:
            weights[index] *= 0.6 + 1.5 * shape.oldness
    cut = list(CUTS)[draws.choice(weights)]
    old = max(0.0, shape.oldness - 0.25) * 2.2
    name = list(HAIRS)[
        draws.choice(
            [
                1.0 * african + 1.3 * asian + 0.3 * european,
                0.3 * african + 0.5 * asian + 1.4 * european,
                0.9 * european**1.5,
                0.3 * european,
                0.8 * old,
                0.7 * old * shape.oldness,
                0.03,
                0.02,
            ]
        )
    ]
    dark, warm = draws.normal(0, 0.14), draws.normal(0, 0.03)
    red, green, blue = HAIRS[name]
    colour = (
        min(red * (1 + dark + warm), 0.95),
        min(green * (1 + dark), 0.95),
        min(blue * (1 + dark - warm), 0.95),
    )
    receding = 0.0 if shape.woman else max(0.0, draws.uniform(-0.02, 0.012) + 0.03 * shape.oldness)
    return Hair(
        cut, name, colour, draws.uniform(0.8, 1.25), draws.uniform(-35, 35), receding, draws.uniform(0, 30)
    )


def roots(hair: Hair) -> float:
    """How much of the scalp is covered by hair's roots, 0..1."""
    return {"bald": 0.0, "cropped": 0.8}.get(hair.cut, 0.92)
