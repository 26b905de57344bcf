"""What the autoencoder's recipes ask of a reconstruction: close pixels, the same structure, a real look."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call

from ...models.compare import ssim_map

SSIM_WEIGHT = 0.2
CRITIC_CHANNELS = (32, 64, 96)


def reconstruction_loss(
    output: torch.Tensor, images: torch.Tensor, weight: torch.Tensor, sharp: float
) -> torch.Tensor:
    """Weighted squared error and, with `sharp` from 0 to 1, absolute error and 1 - SSIM.

    Args:
        output: reconstructions (B,3,H,W) in -1..1.
        images: the true ones, likewise.
        weight: (B,1,H,W), how much each pixel counts beside the others.
        sharp: share of the terms that keep edges and patterns; they mislead a network that
            knows no colours yet.
    """
    error = output - images
    squared = (weight * error.square()).mean() / weight.mean()
    absolute = (weight * error.abs()).mean() / weight.mean()
    return 4 * squared + sharp * (absolute + SSIM_WEIGHT * (1 - weighted_ssim(output, images, weight)))


def weighted_ssim(output: torch.Tensor, images: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean SSIM of pictures in -1..1, each pixel weighted."""
    similar = ssim_map(output / 2 + 0.5, images / 2 + 0.5)
    return (weight * similar).mean() / weight.mean()


def psnr_of(error: torch.Tensor) -> torch.Tensor:
    """PSNR in dB of a difference of pictures in -1..1."""
    return -10 * torch.log10(error.square().mean() / 4)


class PatchCritic(nn.Module):
    """Tells real pictures from reconstructions patch by patch: (B,3,H,W) in -1..1 -> scores (B,1,H/8,W/8)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for number, channels in enumerate(CRITIC_CHANNELS):
            layers.append(nn.Conv2d(before, channels, 4, stride=2, padding=1))
            layers += [nn.GroupNorm(8, channels)] if number else []
            layers.append(nn.LeakyReLU(0.2))
            before = channels
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, 1, 3, padding=1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Positive: looks real."""
        return self.layers(images)


def judged(
    critic: PatchCritic, output: torch.Tensor, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The critic's hinge loss, and the loss of whoever made `output`; neither teaches the other's weights.

    max(0, 1 - D(x)) + max(0, 1 + D(x')) and -D(x'), as latent diffusion's autoencoders have them.
    """
    hinge = (1 - critic(images)).relu().mean() + (1 + critic(output.detach())).relu().mean()
    fixed = {name: value.detach() for name, value in critic.named_parameters()}
    return hinge, -functional_call(critic, fixed, (output,)).mean()


def balanced(
    loss: torch.Tensor, adversarial: torch.Tensor, output: torch.Tensor, share: float
) -> torch.Tensor:
    """`adversarial`, weighed so that it moves `output` by `share` of what `loss` does.

    Latent diffusion compares gradients at the decoder's last layer; at its output they cost nothing more.
    """
    if not output.requires_grad:
        return share * adversarial
    (wanted,) = torch.autograd.grad(loss, output, retain_graph=True)
    (given,) = torch.autograd.grad(adversarial, output, retain_graph=True)
    factor = share * wanted.norm() / given.norm().clamp(min=1e-8)
    return factor.clamp(max=10.0) * adversarial
