"""The photo that phac_photo starts from: three synthetic people in one place, the middle one half hidden."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_NAME = "figura_scene.png"
IMAGE = Path(__file__).resolve().parent.parent / "web" / "pictures" / IMAGE_NAME
WIDTH, HEIGHT = 640, 448
BACKGROUND_SEED = 10_000_025
# seed, size in pixels, left and top edge of each person's square; the last one keeps what hides it
BESIDE = ((10_000_106, 300, 0, 104), (10_000_126, 310, 330, 100))
HIDDEN = (10_000_026, 360, 130, 70)
HIDDEN_SHARE = 0.4


def scene() -> torch.Tensor:
    """(1, 3, HEIGHT, WIDTH) float 0..1."""
    from ..people.synthetic.scene import paint_background

    image = paint_background(BACKGROUND_SEED, WIDTH)[None, :, -HEIGHT:]
    for seed, size, left, top in (*BESIDE, HIDDEN):
        _place(image, seed, size, left, top, seed == HIDDEN[0])
    return image


def _place(image: torch.Tensor, seed: int, size: int, left: int, top: int, hide: bool) -> None:
    """Put one person, and with `hide` what stands in front of it, into the picture."""
    from ..people.synthetic import render_people

    people = render_people([seed], size=size, occlusion=HIDDEN_SHARE)
    spot = image[:, :, top : top + size, left : left + size]
    height, width = spot.shape[-2:]
    person = (people.amodal_mask > 0.5)[..., :height, :width]
    spot[:] = torch.where(person, people.unoccluded[..., :height, :width], spot)
    if hide:
        change = (people.occluded - people.unoccluded).abs().amax(1, keepdim=True)
        thing = (change > 0.004)[..., :height, :width]
        spot[:] = torch.where(thing, people.occluded[..., :height, :width], spot)


def scene_image() -> Image:
    """The scene as a PIL picture."""
    from PIL import Image

    pixels = (scene()[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return Image.fromarray(pixels)
