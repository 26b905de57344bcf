"""The picture that mask_expansion_native starts from: a hand on grey, transparent where to draw a body."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_NAME = "figura_hand.png"
IMAGE = Path(__file__).resolve().parent.parent / "web" / "pictures" / IMAGE_NAME
HELP_IMAGE = IMAGE.parent.parent / "docs" / "mask_expansion.jpg"
HELP_WIDTH = 720
SIZE = 512
SEED = 10_000_007
CLOSE_UP_SIZE = 256
# Where the close-up's left upper corner comes, and how much it shrinks.
LEFT_TOP = (30.0, 150.0)
SCALE = 0.8


def hand_scene() -> tuple[Tensor, Tensor]:
    """The canvas (1,3,SIZE,SIZE) and what is known on it (1,1,SIZE,SIZE), both 0..1."""
    from ..models.hands.canvas import Placement, make_canvas
    from ..people.hands import LEFT, RIGHT, Hand, Similarity
    from ..people.synthetic.closeups import render_hands

    drawn = render_hands([SEED], CLOSE_UP_SIZE)
    hand = Hand(LEFT if bool(drawn.left[0]) else RIGHT, drawn.joints[0].numpy())
    place = Placement(0, hand, Similarity(SCALE, 0.0, LEFT_TOP).moved(hand))
    return make_canvas(drawn.images, drawn.masks, [place], 1, SIZE, SIZE)


def hand_image() -> Image:
    """The scene as a PIL picture; its alpha is what is known, so that Load Image's mask is what is not."""
    from PIL import Image

    pixels = torch.cat(hand_scene(), dim=1)[0].permute(1, 2, 0)
    return Image.fromarray((pixels * 255).round().clamp(0, 255).to(torch.uint8).numpy(), "RGBA")


def rings_image(count: int = 3, steps: int = 50) -> list[Image]:
    """What is kept at `count` moments from the first to the last of so many steps; the rest is dark."""
    from PIL import Image

    from ..models.diffusion.mask_expansion import MaskExpansion, ring_share

    with Image.open(IMAGE) as shipped:
        alpha, colours = shipped.getchannel("A"), shipped.convert("RGB")
    known = torch.tensor(list(alpha.getdata()), dtype=torch.float32).reshape(1, 1, *alpha.size[::-1]) / 255
    masks = MaskExpansion(1 - known, ring_share(steps) * min(alpha.size))
    dark = Image.new("RGB", colours.size, (28, 28, 34))
    images = []
    for moment in range(count):
        free = masks.at(moment / (count - 1))[0, 0]
        shown = Image.fromarray(((1 - free) * 255).round().to(torch.uint8).numpy(), "L")
        images.append(Image.composite(colours, dark, shown))
    return images
