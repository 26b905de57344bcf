"""Recipe humansd_controlnet: HumanSD's two-branch peer, a ControlNet on the same base, for the comparison.

The base stays frozen, as in the paper's peer. It sees the same people, texts and skeleton pictures as the
recipe humansd, batch by batch.
"""

from __future__ import annotations

from functools import partial

from ..data.skeletons import PosedPeople
from ..run.recipe import BF16_COPY, Batch, TrainingPlan
from .controlled import ControlledRecipe
from .humansd import BATCH_SIZE, STEPS, PosedRecipe


class HumanSDControlNetRecipe(ControlledRecipe, PosedRecipe):
    """Learn to draw people as skeletons ask, with a branch of its own for the skeleton."""

    plan = TrainingPlan(steps=STEPS, batch_size=BATCH_SIZE, learning_rate=1e-4, mixed_precision=BF16_COPY)

    def __init__(self, name: str = "humansd_controlnet", with_attention: bool = False) -> None:
        super().__init__()
        self.name, self.with_attention = name, with_attention

    def batch(self, data: PosedPeople, step: int, seed: int, batch_size: int) -> Batch:
        """Latents (B,8,h,w), texts, and skeleton pictures (B,3,8h,8w)."""
        drawn = self.draw(data, step, seed, batch_size)
        prompt = data.draw(drawn.indices) * drawn.posed
        return {"latents": drawn.latents, "texts": drawn.texts, "prompt": prompt}


RECIPES = {
    "humansd_controlnet": HumanSDControlNetRecipe,
    "humansd_controlnet_attention": partial(
        HumanSDControlNetRecipe, "humansd_controlnet_attention", with_attention=True
    ),
}
"""The paper's peer; and one with the base's cross-attention learning, too."""
