"""Recipe cfld_prompt: what mini's CFLD begins with: its source encoder says what the text encoder would.

The released code begins with a Swin Transformer that knows ImageNet and learns its prompts from pictures
alone. Here H_S and H_D first learn to give, for a picture, the tokens of its caption, which the base U-Net
understands already.
Give the file to `cfld` and `cfld_no_appearance` by --init; `cfld_clip` has its own, cfld_clip_prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.cfld.config import DECODER, POOLED, CFLDConfig
from ...models.cfld.networks import CFLDNetworks
from ...models.cfld.pipeline import resized
from ...models.diffusion.checkpoint import config_to_metadata, load_file, load_into
from ...models.diffusion.text import TextEncoder, load_text_encoder
from ..data.people import PeopleDataset, open_split, sample_indices
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator
from .latent import target_caption

FILE_KIND = "cfld_prompt"


class PromptMaker(nn.Module):
    """H_S and H_D alone, and the prompt of no appearance, by their names in `CFLDNetworks`."""

    def __init__(self, config: CFLDConfig) -> None:
        super().__init__()
        networks = CFLDNetworks(config)
        self.config = config
        self.backbone, self.decoder = networks.backbone, networks.decoder
        self.learnable_vector = networks.learnable_vector

    def forward(self, images: Tensor) -> Tensor:
        """Square pictures (B,3,S,S) in 0..1 -> prompts (B,N,D)."""
        return self.decoder(self.backbone(images * 2 - 1)[-1])


class PromptRecipe(BaseRecipe):
    """Mean squared error of the prompt against the caption's tokens, or against its last one alone."""

    needs = ("text",)
    plan = TrainingPlan(minutes=6, batch_size=32, learning_rate=1e-3)

    def __init__(self, name: str = "cfld_prompt", prompt: str = DECODER) -> None:
        self.name, self.config = name, CFLDConfig(prompt=prompt)
        self.text: TextEncoder | None = None

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Open the rendered people."""
        self.text = load_text_encoder(init["text"])
        return open_split(data_root)

    def build(self, init: Mapping[str, Path]) -> nn.Module:
        """Fresh networks; the prompt of no appearance is that of no text, and stays."""
        self.text = load_text_encoder(init["text"])
        module = PromptMaker(self.config)
        with torch.no_grad():
            module.learnable_vector.copy_(self.tokens([""]))
        module.learnable_vector.requires_grad_(False)
        return module

    @torch.no_grad()
    def tokens(self, texts: Sequence[str]) -> Tensor:
        """What the prompt of a picture with such a text should be, (B,N,D)."""
        if self.text is None:
            raise ValueError(f"recipe {self.name} must be built before batches are drawn")
        tokens, last = self.text(*self.text.tokenizer(texts))
        return last[:, None] if self.config.prompt == POOLED else tokens

    def batch(self, data: PeopleDataset, step: int, seed: int, batch_size: int) -> Batch:
        """images (B,3,S,S), half of them mirrored, and tokens (B,N,D)."""
        generator = random_generator(seed, step, 43)
        indices = sample_indices(len(data), step, seed, batch_size)
        side = self.config.source_size
        images = resized(data.images("cutout", indices), side, side)
        flip = torch.rand(batch_size, generator=generator) < 0.5
        images[flip] = images[flip].flip(-1)
        return {"images": images, "tokens": self.tokens([worn(data.captions[index]) for index in indices])}

    def loss(
        self, module: nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean squared error."""
        return F.mse_loss(module(batch["images"]).float(), batch["tokens"]), {}

    def sample(self, module: Any, batch: Batch) -> Tensor:
        """Pictures, and below each the one whose caption is nearest to its prompt."""
        made = module(batch["images"]).float()
        nearest = torch.cdist(made.flatten(1), batch["tokens"].flatten(1)).argmin(1)
        return image_grid([batch["images"], batch["images"][nearest]])

    def evaluate(self, module: nn.Module, held_out: PeopleDataset) -> dict[str, float]:
        """Share of the variance of held-out captions' tokens that the prompts explain."""
        batch = self.batch(held_out, 0, 0, min(256, len(held_out)))
        device = next(module.parameters()).device
        images, tokens = batch["images"].to(device), batch["tokens"].to(device)
        made = torch.cat([module(part).float() for part in images.split(32)])
        unexplained = (made - tokens).square().sum() / (tokens - tokens.mean(0)).square().sum()
        return {"explained": 1 - float(unexplained)}

    def export(self, module: Any, held_out: PeopleDataset) -> Export:
        """The networks by their names in CFLD."""
        return Export(FILE_KIND, module.state_dict(), config_to_metadata(self.config))


def worn(caption: str) -> str:
    """A cutout's caption without what the person does: the pose is no part of the looks."""
    return target_caption(caption.rpartition(",")[0], "cutout")


def start_with_prompt(networks: CFLDNetworks, path: Path) -> None:
    """Give CFLD's networks what such a run has learnt. ValueError names the file that does not fit."""
    tensors, _ = load_file(path, file_kind=FILE_KIND)
    maker = PromptMaker(networks.config)
    load_into(maker, tensors, str(path))
    networks.load_state_dict(maker.state_dict(), strict=False)


RECIPES = {
    "cfld_prompt": PromptRecipe,
    "cfld_clip_prompt": partial(PromptRecipe, "cfld_clip_prompt", POOLED),
}
"""For `cfld` and `cfld_no_appearance`; and for `cfld_clip`: one token, that of the whole caption, as
CLIP's."""
