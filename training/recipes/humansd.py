"""Recipe humansd: people from skeletons and text, the base U-Net widened by the skeleton's latents.

All weights of the U-Net learn. The recipe humansd_fine encodes the skeleton at FINE times the size of the
picture; of humansd_attention the first convolution and the attention learn alone; humansd_paper and
humansd_official differ in the loss alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from ...models.diffusion.single_file import SD2, TEXT_CHANNELS
from ...models.humansd.losses import MODES, emphasis
from ...models.humansd.networks import folded, pose_unet
from ...models.perception.pose import PoseDetector, load_pose_detector
from ..data.people import rows, sample_indices
from ..data.skeletons import PosedPeople, with_skeletons
from ..run.recipe import BF16_COPY, Batch, Split, TrainingPlan, random_generator
from .latent import LatentRecipe, latents_of
from .public import BASE, is_own, open_unet, write_checkpoint

PLAIN = "plain"
LOSSES = (PLAIN, *MODES)
TARGETS = ("unoccluded", "complete")
NO_POSE = 0.05
"""Share of black skeleton pictures, so that a pose may be left out or weakened."""
FINE = 2
LEARNS_WITH_ATTENTION = re.compile(r"^conv_in\.|\.attentions\.")
"""Names of what learns in humansd_attention: what reads the skeleton, and the transformers at every level."""
STEPS, BATCH_SIZE = 15_000, 32
"""Of all peers that are compared with one another."""


class Drawn(NamedTuple):
    """What one batch is of. posed (B,1,1,1): 0 where the skeleton picture is black."""

    indices: np.ndarray
    latents: torch.Tensor
    texts: torch.Tensor
    posed: torch.Tensor


class PosedRecipe(LatentRecipe):
    """What HumanSD and its two-branch peer share: the same people, texts and gaps, batch by batch."""

    needs: tuple[str, ...] = ("vae", "text", "base")
    encodes = ("unoccluded",)
    targets: tuple[str, ...] = TARGETS
    no_pose = NO_POSE
    pose_scale = 1
    settings = (*LatentRecipe.settings, "no_pose")

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode pictures and skeletons once for this autoencoder."""
        return with_skeletons(super().prepare(data_root, init), data_root, self.vae, self.pose_scale)

    def draw(self, data: PosedPeople, step: int, seed: int, batch_size: int) -> Drawn:
        """People in their surroundings or in front of what hid them.

        Args:
            data: the people with the latents of their pictures and skeletons.
            step: number of the batch, from 0.
            seed: of the run.
            batch_size: people in it.
        """
        generator = random_generator(seed, step, 41)
        indices = sample_indices(len(data.cache), step, seed, batch_size)
        numbers = torch.randint(len(self.targets), (batch_size,), generator=generator)
        targets = [self.targets[int(number)] for number in numbers]
        texts = self.encode_texts([data.captions[index] for index in indices], generator)
        posed = torch.rand(batch_size, 1, 1, 1, generator=generator) >= self.no_pose
        return Drawn(indices, latents_of(data.cache, targets, indices), texts, posed.float())


class HumanSDRecipe(PosedRecipe):
    """Draw people as skeletons ask. loss: "plain", or the heatmap-guided one as "paper" or "official".
    pose_scale: how much larger than the pictures the skeletons are encoded; the paper: as large.
    attention_alone: the base's convolutions stay as they are, but for the first; the paper: all learn.
    """

    condition = "skeleton"
    file_kind = "humansd"
    plan = TrainingPlan(steps=STEPS, batch_size=BATCH_SIZE, learning_rate=5e-4, mixed_precision=BF16_COPY)
    authors = TrainingPlan(
        steps=95_000, batch_size=4, learning_rate=5e-6, final_rate=1.0, warmup_steps=0, weight_decay=0.01,
        betas=(0.9, 0.999), ema_decay=0.0, mixed_precision="bf16", gradient_checkpointing=True,
    )  # fmt: skip
    """The released code's, for each GPU."""

    def __init__(
        self, name: str = "humansd", loss: str = PLAIN, pose_scale: int = 1, attention_alone: bool = False
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss is {loss!r}; it is one of {', '.join(LOSSES)}")
        self.name, self.loss_mode, self.pose_scale = name, loss, pose_scale
        self.attention_alone = attention_alone
        self.detector: PoseDetector | None = None
        if loss != PLAIN:
            self.needs = (*PosedRecipe.needs, "pose_detector")

    def at_full_size(self) -> None:
        """Also pictures as they are, all of them with their skeletons."""
        super().at_full_size()
        self.targets, self.no_pose = self.encodes, 0.0

    def prepare_networks(self, init: Mapping[str, Path]) -> None:
        """The pose detector as well, where the loss asks it."""
        super().prepare_networks(init)
        if self.loss_mode != PLAIN:
            self.detector = load_pose_detector(init["pose_detector"]).requires_grad_(False)

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """The base U-Net, widened."""
        unet = pose_unet(open_unet(init[BASE], TEXT_CHANNELS, SD2), self.pose_scale)
        if self.attention_alone:
            for name, parameter in unet.named_parameters():
                parameter.requires_grad_(LEARNS_WITH_ATTENTION.search(name) is not None)
        return unet

    def finish(self, weights: Path, init: Mapping[str, Path]) -> None:
        """At full size a whole checkpoint as well, of the released layout, for the nodes."""
        if not is_own(init[BASE]):
            write_checkpoint(weights, init[BASE])

    def batch(self, data: PosedPeople, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (B,8,h,w) and folded skeleton latents (B,8*s*s,h,w), texts."""
        drawn = self.draw(data, step, seed, batch_size)
        skeletons = rows(data.skeletons, drawn.indices).float()
        skeletons = torch.lerp(data.nobody.expand_as(skeletons), skeletons, drawn.posed)
        return {
            "latents": drawn.latents,
            "skeleton": folded(skeletons, self.pose_scale),
            "texts": drawn.texts,
        }

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The noise loss, with the emphasis of the chosen kind."""
        predict, emphasised = self.predictor(module, batch), self.emphasis(generator)
        return self.noise_loss(predict, batch["latents"], generator, emphasis=emphasised), {}

    def emphasis(self, generator: torch.Generator) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """What the squared error is multiplied with; None for the plain loss."""
        if self.detector is None:
            return None
        detector = self.detector

        def weights(error: torch.Tensor) -> torch.Tensor:
            vae, net = self.vae.to(error.device), detector.to(error.device)
            return emphasis(
                error, vae, lambda images: net(images).sigmoid(), self.loss_mode, generator=generator
            )

        return weights

    def shown(self, batch: Batch) -> list[torch.Tensor]:
        """Pictures of the data, and skeletons."""
        skeletons = self.decode(F.pixel_shuffle(batch["skeleton"], self.pose_scale))
        return [*super().shown(batch), F.avg_pool2d(skeletons, self.pose_scale)]


RECIPES = {
    "humansd": HumanSDRecipe,
    "humansd_fine": partial(HumanSDRecipe, "humansd_fine", pose_scale=FINE),
    "humansd_attention": partial(HumanSDRecipe, "humansd_attention", attention_alone=True),
    "humansd_plain": partial(HumanSDRecipe, "humansd_plain"),
    "humansd_paper": partial(HumanSDRecipe, "humansd_paper", loss="paper"),
    "humansd_official": partial(HumanSDRecipe, "humansd_official", loss="official"),
}
"""The one that ships; one for the comparison of how finely the skeleton is seen; one for that of what learns;
and three for that of losses, trained equally long: plain, the heatmap-guided one of the paper, and that of
the released code."""
