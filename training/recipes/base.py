"""Recipe base: the mini text-to-image U-Net in Stable Diffusion's part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from ...models.diffusion.networks import mini_unet
from ..data.hands import CloseUps, Gestures, HandsData, open_hands
from ..data.latents import TARGETS, LatentCache
from ..data.people import rows, sample_indices
from ..run.recipe import BF16_COPY, Batch, Split, TrainingPlan, random_generator
from .latent import LatentRecipe, latents_of, target_caption

SHARES = (0.5, 0.35, 0.15)
"""Of people, of people who show their hands, and of hands close up."""


class BaseData(NamedTuple):
    """Everything the base model is to know."""

    people: LatentCache
    hands: HandsData


class BaseUNetRecipe(LatentRecipe):
    """Text to image: people, complete, unoccluded and cut out; people who show hands; hands close up."""

    name = "base"
    plan = TrainingPlan(steps=15_000, batch_size=32, learning_rate=8e-4, mixed_precision=BF16_COPY)

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode people and hands once for this autoencoder."""
        people = super().prepare(data_root, init)
        hands = open_hands(data_root, init["vae"])
        return Split(*(BaseData(*parts) for parts in zip(people, hands, strict=True)))

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """A fresh U-Net."""
        return mini_unet()

    def batch(self, data: BaseData, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (B,8,h,w) and texts (B,28,96)."""
        generator = random_generator(seed, step, 13)
        drawn = torch.multinomial(torch.tensor(SHARES), batch_size, replacement=True, generator=generator)
        counts = [int((drawn == part).sum()) for part in range(len(SHARES))]
        parts = [
            people_images(data.people, step, seed, counts[0], generator),
            other_images(data.hands.gestures, step, seed, counts[1]),
            other_images(data.hands.close_ups, step, seed, counts[2]),
        ]
        captions = [text for _, texts in parts for text in texts]
        latents = torch.cat([latents for latents, _ in parts])
        return {"latents": latents, "texts": self.encode_texts(captions, generator)}


def people_images(
    data: LatentCache, step: int, seed: int, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, list[str]]:
    """Latents (n,C,h,w) and captions of people, each in a kind of picture drawn at random.

    Args:
        data: the people with their latents.
        step: of the training; another one shows other people.
        seed: of the training.
        count: n.
        generator: draws the kinds of picture.
    """
    indices = sample_indices(len(data), step, seed, count)
    targets = [TARGETS[int(k)] for k in torch.randint(len(TARGETS), (count,), generator=generator)]
    captions = [
        target_caption(data.people.captions[i], target) for i, target in zip(indices, targets, strict=True)
    ]
    if not count:
        return torch.zeros(0, *data.complete.shape[1:]), captions
    return latents_of(data, targets, indices), captions


def other_images(
    data: Gestures | CloseUps, step: int, seed: int, count: int
) -> tuple[torch.Tensor, list[str]]:
    """Latents (n,C,h,w) and captions of people who show their hands, or of hands close up.

    Args:
        data: the pictures with their latents.
        step: of the training; another one shows other pictures.
        seed: of the training.
        count: n.
    """
    indices = sample_indices(len(data), step, seed, count)
    return rows(data.latents, indices).float(), [data.captions[index] for index in indices]


RECIPES = {"base": BaseUNetRecipe}
