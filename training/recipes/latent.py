"""What recipes on cached latents share: texts, the noise loss, pictures made for a look, the weights file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.diffusion.networks import decode_latents, noise_schedule, plain_config
from ...models.diffusion.sampling import sample
from ...models.diffusion.schedulers import DDIM, scheduler_of
from ...models.pocold.checkpoint import load_vae_file
from ..data.latents import CUTOUT_SUFFIX, LatentCache, open_latents
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator
from .public import TEXT, open_text

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(noisy latents (B,C,h,w), times (B,)) -> the noise in them."""

WEIGHT_LIMIT = 25.0
"""Most that the loss of a very noisy latent may count. Near pure noise an error of the predicted noise is an
error 1/sqrt(abar) times as large of the picture, and plain MSE leaves whole pictures tinted there."""


class LatentRecipe(BaseRecipe):
    """Frozen autoencoder and text encoder; a U-Net learns to predict the noise.

    empty_text: share of captions replaced by the empty text. condition: name in a batch of what the U-Net
    gets as further input channels, (B,c,h,w). file_kind: of the weights file. encodes: the arrays of latents
    that it reads at full size. authors: the plan at full size; without one the recipe is mini's alone.
    weight_limit: most that a very noisy latent may count for its picture's own error; 1 is the plain loss.
    """

    needs: tuple[str, ...] = ("vae", "text")
    encodes: tuple[str, ...] = ()
    authors: TrainingPlan | None = None
    empty_text = 0.1
    condition = ""
    file_kind = "unet"
    settings: tuple[str, ...] = ("empty_text", "weight_limit")

    def __init__(self) -> None:
        self.schedule = noise_schedule()
        self.snr = self.schedule.alphas_cumprod / (1 - self.schedule.alphas_cumprod)
        self.vae: Any = None
        self.text: Any = None
        self.full_size = False
        self.weight_limit = WEIGHT_LIMIT

    def at_full_size(self) -> None:
        """Begin from public files, with the authors' settings: their plan, and the plain noise loss.

        Raises ValueError for a recipe that only mini has.
        """
        if self.authors is None:
            raise ValueError(f"recipe {self.name} is one of mini's: it takes no --base")
        self.full_size, self.plan, self.weight_limit = True, self.authors, 1.0

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode the data set once for this autoencoder."""
        self.prepare_networks(init)
        return open_latents(data_root, self.vae, names=self.encodes if self.full_size else ())

    def prepare_networks(self, init: Mapping[str, Path]) -> None:
        """Load what stays as it is; at full size it works where the training does."""
        self.vae = self.placed(load_vae_file(init["vae"]))
        if TEXT in self.needs:
            self.text = self.placed(open_text(init))

    def placed(self, network: torch.nn.Module) -> Any:
        """A frozen network where the training runs, at full size; mini's stay on the CPU."""
        from accelerate import PartialState

        return network.to(PartialState().device) if self.full_size else network

    def encode_texts(self, captions: Sequence[str], generator: torch.Generator) -> torch.Tensor:
        """Captions -> (B,28,96); some are replaced by the empty text, for guidance."""
        if self.text is None:
            raise ValueError(f"recipe {self.name} must prepare its data before batches are drawn")
        dropped = torch.rand(len(captions), generator=generator) < self.empty_text
        return self.text.encode(["" if drop else text for text, drop in zip(captions, dropped, strict=True)])

    def predictor(self, module: Any, batch: Batch) -> Predict:
        """What predicts the noise for a batch's texts and condition."""

        def predict(latents: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            inputs = torch.cat([latents, batch[self.condition]], dim=1) if self.condition else latents
            return module(inputs, times, batch["texts"]).sample

        return predict

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The noise loss."""
        return self.noise_loss(self.predictor(module, batch), batch["latents"], generator), {}

    def shown(self, batch: Batch) -> list[torch.Tensor]:
        """Rows of pictures above those that are made: the truth, and what is given."""
        return [self.decode(batch["latents"])]

    def sample(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """What is shown of the batch, and below it the pictures made."""
        made = self.generate(self.predictor(module, batch), batch["latents"])
        return image_grid([*self.shown(batch), made])

    def export(self, module: Any, held_out: Any) -> Export:
        """The U-Net."""
        return Export(self.file_kind, module.state_dict(), plain_config(module), int8=not self.full_size)

    def noise_loss(
        self,
        predict: Predict,
        latents: torch.Tensor,
        generator: torch.Generator,
        cells: torch.Tensor | None = None,
        emphasis: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Mean ||eps - predict(z_t, t)||^2 with the weight 1/abar_t (the picture's own error), at most
        `weight_limit`: 25 for mini; 1, the plain mean, at full size.

        Args:
            predict: gives the noise in noisy latents.
            latents: (B,C,h,w) without noise.
            generator: where noise and times come from.
            cells: (B,1,h,w), how much each cell counts beside the others; None is all alike.
            emphasis: from the error (B,C,h,w), a factor on its square in each place.
        """
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        times = torch.randint(0, len(self.snr), (len(latents),), generator=generator)
        weight = (1 + 1 / self.snr[times]).clamp(max=self.weight_limit).to(latents)
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
        predict: Predict,
        like: torch.Tensor,
        steps: int = 20,
    ) -> torch.Tensor:
        """DDIM from noise without guidance -> pictures (B,3,H,W), for a look while training."""
        noise = torch.randn(like.shape, generator=random_generator(5)).to(like)
        made = sample(lambda z, t: predict(z, t.expand(len(z))), noise, scheduler_of(DDIM), steps)
        return self.decode(made)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents -> pictures in 0..1."""
        return decode_latents(self.vae.to(latents.device), latents)


def target_caption(caption: str, target: str) -> str:
    """The caption of a picture of that kind: cutouts are on a white background."""
    return caption + CUTOUT_SUFFIX if target == "cutout" else caption


def latents_of(data: LatentCache, targets: Sequence[str], indices: np.ndarray) -> torch.Tensor:
    """Latents (B,8,h,w) float32 of the pictures `kinds[i]` number `indices[i]`."""
    picked = [getattr(data, target)[index] for target, index in zip(targets, indices, strict=True)]
    return torch.from_numpy(np.stack(picked)).float()
