"""The picture that phac_photo starts from: somebody whose legs are hidden, at a photograph's size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_NAME = "figura_scene.png"
IMAGE = Path(__file__).resolve().parent.parent / "web" / "pictures" / IMAGE_NAME
WIDTH = HEIGHT = 512
SEED = 10_000_080
HIDDEN_SHARE = 0.4


def scene() -> torch.Tensor:
    """(1, 3, HEIGHT, WIDTH) float 0..1."""
    from ..people.synthetic import render_people

    return render_people([SEED], size=WIDTH, occlusion=HIDDEN_SHARE).occluded


def scene_image() -> Image:
    """The scene as a PIL picture."""
    from PIL import Image

    pixels = (scene()[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return Image.fromarray(pixels)
