"""Recipe text: the mini CLIP text encoder, trained with a small image tower on captions and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from ...models.diffusion.text import TextEncoder, WordTokenizer, load_text_encoder
from ..data.people import PeopleDataset, open_split, sample_indices
from ..run.progress import image_grid
from ..run.recipe import BaseRecipe, Batch, Export, Split, TrainingPlan, random_generator

IMAGE_SIZE = 64
WIDTH = 96


class ImageTower(torch.nn.Module):
    """A small convolutional network: (B,3,64,64) in 0..1 -> (B,96)."""

    def __init__(self, operations: Any = torch.nn) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        channels = (3, 24, 48, 72, 96)
        for before, after in zip(channels[:-1], channels[1:], strict=True):
            layers += [
                operations.Conv2d(before, after, 4, 2, 1),
                operations.GroupNorm(8, after),
                torch.nn.GELU(),
            ]
        self.layers = torch.nn.Sequential(*layers)
        self.head = operations.Linear(channels[-1] * 8, WIDTH)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Features of upper and lower body stay apart: pooled to 4x2 cells."""
        cells = functional.adaptive_avg_pool2d(self.layers(pictures * 2 - 1), (4, 2))
        return self.head(cells.flatten(1))


class ContrastiveTraining(torch.nn.Module):
    """CLIP: both towers and the temperature; returns the logits (B,B) of texts against pictures."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        super().__init__()
        self.text = TextEncoder(tokenizer)
        self.image = ImageTower()
        self.head = torch.nn.Parameter(torch.eye(WIDTH))
        self.scale = torch.nn.Parameter(torch.tensor(np.log(10.0), dtype=torch.float32))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
        """Tokens and mask (B,28), pictures (B,3,64,64) in 0..1."""
        texts = functional.normalize(self.text(tokens, mask)[1].float() @ self.head, dim=1)
        images = functional.normalize(self.image(pictures).float(), dim=1)
        return self.scale.clamp(max=4.6).exp() * texts @ images.T


class TextRecipe(BaseRecipe):
    """Contrastive training on cutouts; only the text encoder is kept."""

    name = "text"
    plan = TrainingPlan(
        steps=1500, batch_size=128, learning_rate=1e-3, mixed_precision="bf16", weight_decay=0.01
    )

    def __init__(self) -> None:
        self.tokenizer: WordTokenizer | None = None

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """The pictures; the vocabulary is the words of the training captions and the general list."""
        data = open_split(data_root)
        self.tokenizer = WordTokenizer.from_captions(data.train.captions)
        return data

    def build(self, init: Mapping[str, Path]) -> torch.nn.Module:
        """Fresh towers; `prepare` comes first, it collects the words."""
        if self.tokenizer is None:
            raise ValueError("the text recipe must prepare its data before it is built")
        return ContrastiveTraining(self.tokenizer)

    @torch.no_grad()
    def begin_with(self, module: Any, path: Path) -> None:
        """An earlier encoder's layers and the words that both know; new words begin as they are."""
        earlier = load_text_encoder(path)
        module.text.load_state_dict(shared_words(earlier, module.text))

    def batch(self, data: PeopleDataset, step: int, seed: int, batch_size: int) -> Batch:
        """Captions as tokens and the cutouts, or complete pictures, they describe."""
        if self.tokenizer is None:
            raise ValueError("the text recipe must prepare its data before batches are drawn")
        indices = sample_indices(len(data), step, seed, batch_size)
        tokens, mask = self.tokenizer([data.captions[i] for i in indices])
        whole = torch.rand(batch_size, generator=random_generator(seed, step, 12)) < 0.3
        pictures = torch.where(
            whole[:, None, None, None], data.images("unoccluded", indices), data.images("cutout", indices)
        )
        return {
            "tokens": tokens,
            "mask": mask,
            "pictures": functional.interpolate(pictures, IMAGE_SIZE, mode="area"),
        }

    def loss(
        self, module: torch.nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Symmetric cross entropy over the batch, and the part of pictures that find their caption."""
        logits = module(batch["tokens"], batch["mask"], batch["pictures"])
        own = torch.arange(len(logits), device=logits.device)
        loss = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
        return loss, {"accuracy": (logits.argmax(dim=0) == own).float().mean()}

    def sample(self, module: Any, batch: Batch) -> torch.Tensor:
        """Pictures, and below each the picture its caption finds."""
        found = module(batch["tokens"], batch["mask"], batch["pictures"]).argmax(dim=1)
        return image_grid([batch["pictures"], batch["pictures"][found]])

    def evaluate(self, module: torch.nn.Module, held_out: PeopleDataset) -> dict[str, float]:
        """Part of held-out pictures that find their caption among 64."""
        batch = self.batch(held_out, 0, 0, min(64, len(held_out)))
        device = next(module.parameters()).device
        _, extra = self.loss(module, {n: v.to(device) for n, v in batch.items()}, random_generator(0))
        return {"retrieval_of_64": float(extra["accuracy"])}

    def export(self, module: Any, held_out: PeopleDataset) -> Export:
        """The text encoder with its words."""
        return Export("text", module.text.state_dict(), module.text.config(), int8=True)


def shared_words(earlier: TextEncoder, own: TextEncoder) -> dict[str, torch.Tensor]:
    """The weights of `earlier` with the vocabulary of `own`: its rows for the words that both know."""
    weights = dict(earlier.state_dict())
    (name,) = [name for name in weights if name.endswith("token_embedding.weight")]
    rows = own.state_dict()[name].clone()
    for number, word in enumerate(own.tokenizer.words):
        if word in earlier.tokenizer.words:
            rows[number] = weights[name][earlier.tokenizer.words.index(word)]
    return {**weights, name: rows}


RECIPES = {"text": TextRecipe}
