"""Recipe amodal_mask: the whole person's mask from the visible part's and points, a conditional VAE.

L = BCE + 0.5 Dice of the part that cannot be seen + beta KL(q(z | known, truth) || N(0, 1)).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.diffusion.checkpoint import config_to_metadata
from ...models.phac.amodal_mask import CHANNELS, FILE_KIND, AmodalMaskConfig, AmodalMaskNet, Known, draw_known
from ...models.phac.losses import DICE_WEIGHT
from ..data.amodal_masks import draw_silhouettes
from ..data.people import PeopleDataset, open_split, rows, sample_indices
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator
from ..run.start import start_from

SEEN_WEIGHT = 0.2
"""What a cell of the visible part counts beside the others: it is known."""
KL_WEIGHT = 8e-3
"""Of a nat, beside the mean over some 9 000 cells: a latent is used where it saves 70 times its cost."""
POSTERIOR_CHANNELS = (16, 32, 48, 48)
NARROW = -4.0
"""Log variance of the posterior that a run with `--from` begins with, about means near 0. It may stay there,
and the network may let go of the latents: the log's `nats` tell.
"""
SCORED = 256


class Posterior(nn.Module):
    """q(z | known, truth): (B,CHANNELS,G,G), (B,1,G,G) -> mean and log variance (B,n)."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = CHANNELS + 1
        for channels in POSTERIOR_CHANNELS:
            layers += [
                nn.Conv2d(before, channels, 4, stride=2, padding=1),
                nn.GroupNorm(8, channels),
                nn.SiLU(),
            ]
            before = channels
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(before * 9, 2 * latents)

    def forward(self, features: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        x = F.adaptive_avg_pool2d(self.layers(torch.cat([features, truth], dim=1)), 3)
        mean, log_variance = self.head(x.flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)

    def narrow(self) -> None:
        """Begin near the middle of the prior, where a network that has learned already is undisturbed."""
        latents = self.head.out_features // 2
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias[:latents] = 0.0
            self.head.bias[latents:] = NARROW


class AmodalMaskTraining(nn.Module):
    """The network, and the posterior, which the weights file leaves out."""

    def __init__(self, config: AmodalMaskConfig) -> None:
        super().__init__()
        self.net, self.posterior = AmodalMaskNet(config), Posterior(config.latents)

    def forward(self, features: Tensor, truth: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B,1,G,G) by latents drawn from the posterior, and its KL divergence (B,) in nats."""
        mean, log_variance = self.posterior(features, truth)
        latents = mean + (log_variance / 2).exp() * noise
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return self.net(features, latents.to(features.dtype)), divergence


class AmodalMaskRecipe(BaseRecipe):
    """Whole silhouettes from parts of them."""

    name = "amodal_mask"
    plan = TrainingPlan(
        minutes=25,
        batch_size=16,
        learning_rate=2e-3,
        weight_decay=0.01,
        ema_decay=0.998,
        mixed_precision="bf16",
    )

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Masks and joints of both data sets; no picture is looked at."""
        return open_split(data_root)

    def build(self, init: Mapping[str, Path]) -> nn.Module:
        """Fresh networks."""
        return AmodalMaskTraining(AmodalMaskConfig())

    def begin_with(self, module: Any, path: Path) -> None:
        """The file's network, and a new posterior, since files leave it out."""
        start_from(module.net, path)
        module.posterior.narrow()

    def batch(self, data: PeopleDataset, step: int, seed: int, batch_size: int) -> Batch:
        """Known as `known.*`, the amodal masks `target` and the true visible ones `clean`."""
        indices = sample_indices(len(data), step, seed, batch_size)
        visible, amodal = (
            (data.images(name, indices) > 0.5).float() for name in ("visible_mask", "amodal_mask")
        )
        joints, seen = rows(data.joints, indices).float(), rows(data.joint_visible, indices).float()
        known, target, clean = draw_silhouettes(
            visible, amodal, joints, seen, random_generator(seed, step, 41)
        )
        return {**known._asdict(), "target": target, "clean": clean}

    def loss(
        self, module: nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See the file's head; `iou` is of the hidden part at a threshold of 0.5."""
        target, clean = batch["target"], batch["clean"]
        noise = torch.randn(len(target), AmodalMaskConfig().latents, generator=generator).to(target)
        logits, divergence = module(draw_known(known_of(batch)), target, noise)
        logits, hidden = logits.float(), 1 - clean
        weight = 1 - (1 - SEEN_WEIGHT) * clean
        bce = F.binary_cross_entropy_with_logits(logits, target, weight=weight)
        made, wanted = (logits.sigmoid() * hidden).flatten(1), (target * hidden).flatten(1)
        dice = 1 - (2 * (made * wanted).sum(1) + 1) / (made.sum(1) + wanted.sum(1) + 1)
        scalars = {"iou": hidden_iou(logits > 0, target, clean).nanmean(), "nats": divergence.detach().mean()}
        return bce + DICE_WEIGHT * dice.mean() + KL_WEIGHT * divergence.mean(), scalars

    def sample(self, module: Any, batch: Batch) -> Tensor:
        """The visible part with joints, the middle completion, two others, and the truth."""
        known = known_of(batch)
        features = draw_known(known)
        shown = torch.cat([features[:, -3:-2], known.visible, features[:, 2:20].amax(1, keepdim=True)], dim=1)
        latents = module.net.config.latents
        noise = torch.randn(2, len(features), latents, generator=random_generator(6)).to(features)
        made = [module.net(features, z).sigmoid() for z in (0 * noise[0], *noise)]
        return image_grid([shown, *(mask.expand(-1, 3, -1, -1) for mask in (*made, batch["target"]))])

    def evaluate(self, module: Any, held_out: PeopleDataset) -> dict[str, float]:
        """IoU of the hidden part on held-out people, by prompt."""
        from ..evaluation.amodal_mask import amodal_scores

        where = list(range(min(SCORED, len(held_out))))
        visible, amodal = (
            (held_out.images(name, where) > 0.5).float() for name in ("visible_mask", "amodal_mask")
        )
        joints = rows(held_out.joints, where).float()
        return dict(amodal_scores(module.net, visible, amodal, joints, rows(held_out.joint_visible, where)))

    def export(self, module: Any, held_out: PeopleDataset) -> Export:
        """The network with its configuration."""
        return Export(FILE_KIND, module.net.state_dict(), config_to_metadata(module.net.config), int8=True)


def known_of(batch: Batch) -> Known:
    """What a batch says of its people."""
    return Known(*(batch[name] for name in Known._fields))


def hidden_iou(mask: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """IoU (B,) of masks (B,1,G,G) outside the visible part; NaN where nothing is hidden."""
    outside = visible.flatten(1) < 0.5
    made, wanted = mask.flatten(1) & outside, (target.flatten(1) > 0.5) & outside
    both, either = (made & wanted).sum(1).float(), (made | wanted).sum(1).float()
    return torch.where(wanted.any(1), both / either.clamp(min=1), float("nan"))


RECIPES = {"amodal_mask": AmodalMaskRecipe}
