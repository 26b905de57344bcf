"""Sharp where the person stands, blurred behind and before, as a lens does it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def focus(image: Tensor, distance: Tensor, aperture_px: float, focus: float) -> Tensor:
    """Blur what is behind or before the person as a lens of this aperture does.

    Args:
        image: (3,S,S).
        distance: (S,S) metres.
        aperture_px: blur in pixels for every dioptre away from the focus.
        focus: metres at which it is sharp.
    """
    circle = aperture_px * (1 / distance.clamp_min(0.2) - 1 / max(focus, 0.3)).abs()
    widest = float(circle.max())
    if widest < 0.6:
        return softened(image)
    levels = [softened(image)] + [blurred(image, widest * share) for share in (0.33, 1.0)]
    place = (blurred(circle, 1.0) / widest * 3).clamp(0, 3)
    near = torch.lerp(levels[0], levels[1], place.clamp(0, 1))
    return torch.lerp(near, levels[2], ((place - 1) / 2).clamp(0, 1))


def softened(image: Tensor) -> Tensor:
    """A lens's own softness, so that edges do not step."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    across = 0.5 * padded[..., 1:-1] + 0.25 * (padded[..., :-2] + padded[..., 2:])
    return 0.5 * across[..., 1:-1, :] + 0.25 * (across[..., :-2, :] + across[..., 2:, :])


def blurred(image: Tensor, diameter: float) -> Tensor:
    """Pictures (B, C, S, S): two box blurs that together spread about as a disc of this diameter in
    pixels.
    """
    reach = max(1, min(round(diameter * 0.35), image.shape[-1] // 4))
    for _ in range(2):
        padded = F.pad(image, (reach,) * 4, mode="replicate")
        image = F.avg_pool2d(F.avg_pool2d(padded, (1, 2 * reach + 1), 1), (2 * reach + 1, 1), 1)
    return image
