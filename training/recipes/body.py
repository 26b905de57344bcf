"""Recipe body: stage 2 of Giving a Hand, a ControlNet for skeletons with hands on the base model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from ...people.skeleton import draw_skeleton
from ..data.hands import Gestures, open_gestures
from ..data.people import rows, sample_indices
from ..run.recipe import BF16_COPY, Batch, Split, TrainingPlan, random_generator
from .controlled import ControlledRecipe
from .hands import OUR_PLAN

NO_PROMPT, NO_HANDS = 0.1, 0.08
"""Shares of black prompt pictures, which the guidance needs, and of skeletons without hands."""


class BodyRecipe(ControlledRecipe):
    """Learn to draw people who show their hands as skeletons ask."""

    name = "body"
    empty_text = 0.12
    plan = TrainingPlan(steps=15_000, batch_size=32, learning_rate=1e-4, mixed_precision=BF16_COPY)
    authors = replace(OUR_PLAN, half_frozen=True)

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Encode the people once for this autoencoder."""
        self.prepare_networks(init)
        return open_gestures(data_root, self.vae)

    def batch(self, data: Gestures, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (B,8,h,w), texts, and skeleton pictures (B,3,8h,8w)."""
        generator = random_generator(seed, step, 35)
        indices = sample_indices(len(data), step, seed, batch_size)
        drop = torch.rand(2, batch_size, 1, 1, 1, generator=generator)
        hands = rows(data.hands, indices)
        hands[..., 2:] *= (drop[1] > NO_HANDS).float()
        prompt = draw_skeleton(rows(data.joints, indices), data.size, data.size, hands=hands)
        return {
            "latents": rows(data.latents, indices).float(),
            "texts": self.encode_texts([data.captions[index] for index in indices], generator),
            "prompt": prompt * (drop[0] > NO_PROMPT).float(),
        }


RECIPES = {"body": BodyRecipe}
