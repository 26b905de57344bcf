"""The heatmap-guided denoising loss: errors count more where they change where people are.

The noise error is decoded to a picture, a pose estimator looks at it, and where it sees joints the loss of
the U-Net is raised. No gradient passes through any of this. Paper and released code differ: both are here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..diffusion.networks import decode_latents, fold_of

PAPER, OFFICIAL = MODES = ("paper", "official")
WEIGHT, THRESHOLD = 0.1, 0.05
"""lambda and tau of the released code."""

Estimator = Callable[[Tensor], Tensor]
"""Pictures (B,3,H,W) in 0..1 -> heatmaps (B,J,h,w) in 0..1 of any number of joints and any size."""


def heatmap_guided_loss(
    predicted: Tensor, noise: Tensor, vae: Any, estimator: Estimator, mode: str = PAPER, **settings: Any
) -> Tensor:
    """Mean of the emphasised squared error of the predicted noise.

    Args:
        predicted: eps_theta, (B,C,h,w).
        noise: eps, (B,C,h,w).
        vae: AutoencoderKL of the latents.
        estimator: finds the joints of a picture.
        mode: "paper" or "official".
        settings: weight, threshold and generator of `emphasis`.

    Returns:
        The loss, a scalar.
    """
    error = predicted - noise
    return (emphasis(error, vae, estimator, mode, **settings) * error.square()).mean()


@torch.no_grad()
def emphasis(
    error: Tensor,
    vae: Any,
    estimator: Estimator,
    mode: str = PAPER,
    *,
    weight: float = WEIGHT,
    threshold: float = THRESHOLD,
    generator: torch.Generator | None = None,
) -> Tensor:
    """What the squared error is multiplied with, without gradient.

    paper: W_a^2 of eq. 6, L = E||W_a (eps - eps_theta)||^2. The paper says that W_a is larger where the
    estimator fires and gives no formula; our choice is W_a = 1 + weight * (share of each cell under
    a heatmap above the threshold, times its height), (B,1,h,w). official: 1 + weight * W, (B,C,h,w), where W
    is the latent of the picture that counts, at each pixel, the joints whose heatmap is *not* above the
    threshold; W may be negative.

    Args:
        error: eps_theta - eps, (B,C,h,w).
        vae: AutoencoderKL of the latents.
        estimator: finds the joints of a picture.
        mode: "paper" or "official".
        weight: how much the joints count.
        threshold: of a heatmap, 0..1.
        generator: draws W from the autoencoder's posterior; None takes its mode.

    Raises:
        ValueError: for another mode.
    """
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; it is one of {', '.join(MODES)}")
    images = decode_latents(vae, error.to(next(vae.parameters()).dtype))
    heatmaps = estimator(images).float()
    if mode == PAPER:
        return (1 + weight * joint_presence(heatmaps, (error.shape[-2], error.shape[-1]), threshold)).square()
    absent = (heatmaps <= threshold).sum(dim=1, keepdim=True).to(images)
    counted = F.interpolate(absent, images.shape[-2:], mode="bicubic", align_corners=False)
    return 1 + weight * encode_raw(vae, counted.expand(-1, 3, -1, -1), generator).to(error)


def joint_presence(heatmaps: Tensor, size: tuple[int, int], threshold: float = THRESHOLD) -> Tensor:
    """max_j H_j [H_j > threshold], averaged over the cells of a latent of `size`, (B,1,h,w)."""
    highest = torch.where(heatmaps > threshold, heatmaps, 0.0).amax(dim=1, keepdim=True)
    return F.adaptive_avg_pool2d(highest, size)


def encode_raw(vae: Any, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Scaled latents of pictures (B,3,H,W) that are given to the autoencoder as they are, not as -1..1."""
    posterior = vae.encode(F.pixel_unshuffle(images, fold_of(vae))).latent_dist
    latents = posterior.mode() if generator is None else posterior.sample(generator)
    return (latents - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor
