"""Recipe base: the mini text-to-image U-Net in Stable Diffusion's part; and what latent recipes share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ...models.diffusion.networks import decode_latents, load_vae, mini_unet, noise_schedule, plain_config
from ...models.diffusion.sampling import ddim_scheduler, sample
from ...models.diffusion.text import TextEncoder, load_text_encoder
from ..data.hands import CloseUps, Gestures, HandsData, open_hands
from ..data.latents import CUTOUT_SUFFIX, TARGETS, LatentCache, open_latents
from ..data.people import rows, sample_indices
from ..run.progress import picture_grid
from ..run.recipe import BF16_COPY, BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

SHARES = (0.5, 0.35, 0.15)
"""Of people, of people who show their hands, and of hands close up."""
WEIGHT_LIMIT = 25.0
"""Most that the loss of a very noisy latent may count. Near pure noise an error of the predicted noise is an
error 1/sqrt(abar) times as large of the picture, and plain MSE leaves whole pictures tinted there."""


class LatentRecipe(BaseRecipe):
    """What recipes on cached latents share: frozen autoencoder and text encoder, captions, noise loss."""

    needs: tuple[str, ...] = ("vae", "text")
    empty_text = 0.1

    def __init__(self) -> None:
        self.schedule = noise_schedule()
        self.snr = self.schedule.alphas_cumprod / (1 - self.schedule.alphas_cumprod)
        self.vae: Any = None
        self.text: TextEncoder | None = None

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode the data set once for this autoencoder."""
        self.prepare_networks(init)
        return open_latents(data_root, init["vae"])

    def prepare_networks(self, init: Mapping[str, Path]) -> None:
        """Load what stays as it is."""
        self.vae, self.text = load_vae(init["vae"]), load_text_encoder(init["text"])

    def encode_texts(self, captions: Sequence[str], generator: torch.Generator) -> torch.Tensor:
        """Captions -> (B,28,96); some are replaced by the empty text, for guidance."""
        if self.text is None:
            raise ValueError(f"recipe {self.name} must prepare its data before batches are drawn")
        dropped = torch.rand(len(captions), generator=generator) < self.empty_text
        return self.text.encode(["" if drop else text for text, drop in zip(captions, dropped, strict=True)])

    def noise_loss(
        self,
        predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        latents: torch.Tensor,
        generator: torch.Generator,
        cells: torch.Tensor | None = None,
        emphasis: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Mean ||eps - predict(z_t, t)||^2 with the weight 1/abar_t (the picture's own error), at most 25.

        cells: (B,1,h,w), how much each cell counts beside the others; None is all alike. emphasis: from the
        error (B,C,h,w), a factor on its square in each place.
        """
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        times = torch.randint(0, len(self.snr), (len(latents),), generator=generator)
        weight = (1 + 1 / self.snr[times]).clamp(max=WEIGHT_LIMIT).to(latents)
        times = times.to(latents.device)
        difference = predict(self.schedule.add_noise(latents, noise, times), times).float() - noise
        error = difference.square()
        if emphasis is not None:
            error = error * emphasis(difference.detach())
        if cells is not None:
            error = error * cells / cells.mean()
        return (weight * error.mean(dim=(1, 2, 3))).mean()

    @torch.no_grad()
    def generate(
        self,
        predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        like: torch.Tensor,
        steps: int = 20,
    ) -> torch.Tensor:
        """DDIM from noise without guidance -> pictures (B,3,H,W), for a look while training."""
        noise = torch.randn(like.shape, generator=random_generator(5)).to(like)
        return self.decode(sample(lambda z, t: predict(z, t.expand(len(z))), noise, ddim_scheduler(), steps))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents -> pictures in 0..1."""
        return decode_latents(self.vae.to(latents.device), latents)


def target_caption(caption: str, kind: str) -> str:
    """The caption of a picture of that kind: cutouts are on a white background."""
    return caption + CUTOUT_SUFFIX if kind == "cutout" else caption


def latents_of(data: LatentCache, kinds: Sequence[str], indices: np.ndarray) -> torch.Tensor:
    """Latents (B,8,h,w) float32 of the pictures `kinds[i]` number `indices[i]`."""
    picked = [getattr(data, kind)[index] for kind, index in zip(kinds, indices, strict=True)]
    return torch.from_numpy(np.stack(picked)).float()


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
        counts = [int((drawn == kind).sum()) for kind in range(len(SHARES))]
        parts = [
            people_pictures(data.people, step, seed, counts[0], generator),
            other_pictures(data.hands.gestures, step, seed, counts[1]),
            other_pictures(data.hands.close_ups, step, seed, counts[2]),
        ]
        captions = [text for _, texts in parts for text in texts]
        latents = torch.cat([latents for latents, _ in parts])
        return {"latents": latents, "texts": self.encode_texts(captions, generator)}

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The noise loss."""
        return self.noise_loss(
            lambda z, t: module(z, t, batch["texts"]).sample, batch["latents"], generator
        ), {}

    def sample(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Pictures of the data above pictures from the same texts."""
        made = self.generate(lambda z, t: module(z, t, batch["texts"]).sample, batch["latents"])
        return picture_grid([self.decode(batch["latents"]), made])

    def export(self, module: torch.nn.Module, held_out: BaseData) -> Export:
        """The U-Net."""
        return Export("unet", module.state_dict(), plain_config(module), int8=True)


def people_pictures(
    data: LatentCache, step: int, seed: int, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, list[str]]:
    """Latents and captions of `count` people, each in a kind of picture drawn at random."""
    indices = sample_indices(len(data), step, seed, count)
    kinds = [TARGETS[int(k)] for k in torch.randint(len(TARGETS), (count,), generator=generator)]
    captions = [target_caption(data.people.captions[i], kind) for i, kind in zip(indices, kinds, strict=True)]
    if not count:
        return torch.zeros(0, *data.complete.shape[1:]), captions
    return latents_of(data, kinds, indices), captions


def other_pictures(
    data: Gestures | CloseUps, step: int, seed: int, count: int
) -> tuple[torch.Tensor, list[str]]:
    """Latents and captions of `count` people who show their hands, or hands close up."""
    indices = sample_indices(len(data), step, seed, count)
    return rows(data.latents, indices).float(), [data.captions[index] for index in indices]


def recipe() -> BaseUNetRecipe:
    """This file's recipe."""
    return BaseUNetRecipe()
