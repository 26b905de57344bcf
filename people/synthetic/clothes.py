"""What people wear: named colours, patterns, cuts; skin and hair."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.78, 0.13, 0.15), "orange": (0.91, 0.47, 0.12), "yellow": (0.92, 0.79, 0.20),
    "green": (0.20, 0.55, 0.25), "teal": (0.12, 0.55, 0.56), "blue": (0.20, 0.38, 0.80),
    "navy": (0.10, 0.14, 0.36), "purple": (0.46, 0.23, 0.60), "pink": (0.90, 0.50, 0.64),
    "brown": (0.42, 0.27, 0.16), "grey": (0.50, 0.51, 0.53), "black": (0.10, 0.10, 0.11),
    "beige": (0.80, 0.70, 0.54), "white": (0.88, 0.88, 0.87),
}  # fmt: skip
COLOUR_NAMES = tuple(COLOURS)
SKINS = ((0.95, 0.78, 0.67), (0.88, 0.67, 0.52), (0.74, 0.52, 0.37), (0.55, 0.36, 0.24), (0.36, 0.23, 0.16))
HAIRS = {
    "black": (0.08, 0.07, 0.07), "brown": (0.30, 0.18, 0.10), "blond": (0.80, 0.64, 0.33),
    "red": (0.58, 0.24, 0.10), "grey": (0.62, 0.62, 0.63),
}  # fmt: skip
HAIR_NAMES = tuple(HAIRS)
PATTERNS = ("plain", "striped", "pinstriped", "checked", "dotted")
SLEEVES = ("tank top", "t-shirt", "shirt")
BOTTOMS = ("trousers", "shorts", "skirt", "dress")
HAIR_CUTS = ("bald", "short", "long", "bun")

SKIN, HAIR, TOP, BOTTOM, SHOES = range(5)
MATERIALS = 5


@dataclass(frozen=True)
class Outfit:
    """Indices (B,) into the tuples above; boots (B,) bool.

    colour, second_colour (B, MATERIALS, 3); pattern (B, MATERIALS); pitch (B, MATERIALS) of the pattern in
    metres.
    """

    sleeves: Tensor
    bottoms: Tensor
    hair_cut: Tensor
    top_colour: Tensor
    bottom_colour: Tensor
    shoe_colour: Tensor
    hair_colour: Tensor
    boots: Tensor
    colour: Tensor
    second_colour: Tensor
    pattern: Tensor
    pitch: Tensor


def sample_outfits(draws: Draws, woman: Tensor) -> Outfit:
    """Skirts, dresses and long hair mostly on women; every colour and pattern on everybody."""
    batch, device = len(woman), woman.device
    top, bottom, shoe, second = (draws.choice([1.0] * len(COLOURS)) for _ in range(4))
    bottom = torch.where(bottom == top, (bottom + 3) % len(COLOURS), bottom)
    second = torch.where(second == top, (second + 5) % len(COLOURS), second)
    hair = draws.choice([0.3, 0.34, 0.18, 0.08, 0.1])
    skin = torch.tensor(SKINS, device=device)[draws.choice([1.0] * len(SKINS))] * draws.uniform(0.93, 1.05, 3)
    bottoms = torch.where(woman, draws.choice([0.5, 0.14, 0.18, 0.18]), draws.choice([0.74, 0.26, 0.0, 0.0]))
    cuts = torch.where(woman, draws.choice([0.0, 0.22, 0.53, 0.25]), draws.choice([0.12, 0.82, 0.06, 0.0]))
    top_pattern = draws.choice([0.46, 0.24, 0.08, 0.12, 0.1])
    bottom_pattern = torch.where(bottoms == 3, top_pattern, draws.choice([0.82, 0.03, 0.05, 0.08, 0.02]))
    plain = torch.zeros_like(top_pattern)
    palette = torch.tensor(list(COLOURS.values()), device=device)
    hairs = torch.tensor(list(HAIRS.values()), device=device)[hair]
    bottom_shade = torch.where((bottoms == 3)[:, None], palette[top], palette[bottom])
    colour = torch.stack([skin, hairs, palette[top], bottom_shade, palette[shoe]], 1)
    second_colour = torch.stack([skin, hairs * 1.25, palette[second], palette[second], palette[shoe]], 1)
    jitter = draws.normal(0, 0.025, 1, 3)
    return Outfit(
        sleeves=draws.choice([0.16, 0.44, 0.4]), bottoms=bottoms,
        hair_cut=cuts, shoe_colour=shoe, hair_colour=hair,
        top_colour=top, bottom_colour=torch.where(bottoms == 3, top, bottom), boots=draws.chance(0.2),
        colour=(colour + jitter).clamp(0.03, 0.97), second_colour=second_colour.clamp(0, 0.97),
        pattern=torch.stack([plain, plain, top_pattern, bottom_pattern, plain], 1),
        pitch=draws.uniform(0.075, 0.14, 1).expand(batch, MATERIALS),
    )  # fmt: skip


def pattern_amount(pattern: Tensor, u: Tensor, v: Tensor, pitch: Tensor) -> Tensor:
    """How much of the second colour shows, 0..1, at surface coordinates u (round the body) and v
    (along it), metres.
    """
    turn_u, turn_v = u / pitch, v / pitch
    wave_u, wave_v = torch.cos(turn_u * 6.2831853), torch.cos(turn_v * 6.2831853)
    striped = (wave_v * 4).sigmoid()
    pinstriped = ((wave_u - 0.45) * 6).sigmoid()
    checked = 0.5 * (wave_u > 0.2).float() + 0.5 * (wave_v > 0.2).float()
    dotted = ((wave_u + wave_v - 0.75) * 5).sigmoid()
    kinds = torch.stack([torch.zeros_like(u), striped, pinstriped, checked, dotted])
    return kinds.gather(0, pattern[None]).squeeze(0)
