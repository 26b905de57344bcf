"""The photograph that workflows for photographs start from: scikit-image's `astronaut` (NASA, public domain)
with a board painted over her arm.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_NAME = "figura_photograph.png"
IMAGE = Path(__file__).resolve().parent.parent / "web" / "pictures" / IMAGE_NAME
SIDE = 512
BOARD = (20, 330, 190, 512)  # x0, y0, x1, y1 in pixels of the photograph
SEEN = {
    "nose": (228, 122), "right_eye": (204, 102), "left_eye": (250, 102), "neck": (226, 225),
    "right_shoulder": (118, 262), "left_shoulder": (320, 262),
}  # fmt: skip
GIVEN = {"right_elbow": (60, 400), "right_wrist": (140, 480)}
TEXT = "a woman with short brown hair in an orange shirt and orange trousers, standing"
ROI_BOX = (36, 330, 190, 511)
"""Round the hidden arm."""


def painted_photograph() -> np.ndarray:
    """The photograph with a striped board in front of the person, (512,512,3) uint8."""
    from skimage.data import astronaut

    image = astronaut().copy()
    x0, y0, x1, y1 = BOARD
    rows = np.arange(y0, y1)[:, None, None] // 14 % 2
    image[y0:y1, x0:x1] = np.where(rows == 0, (96, 110, 92), (120, 134, 112)).astype(np.uint8)
    return image


def photo_image() -> Image:
    """The photograph as a PIL picture."""
    from PIL import Image

    return Image.fromarray(painted_photograph())
