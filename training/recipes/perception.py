"""What the recipes of perception share: whom they learn from, and how they mostly learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..data.perception import open_perception
from ..run.recipe import BaseRecipe, Split, TrainingPlan


class PerceptionRecipe(BaseRecipe):
    """A network that reads pictures of people; small enough to be trained on processors."""

    plan = TrainingPlan(
        minutes=30, batch_size=32, learning_rate=2e-3, weight_decay=0.02, ema_decay=0.998,
        mixed_precision="bf16", device="cpu",
    )  # fmt: skip

    def prepare(self, data_root: Path, init: Mapping[str, Path]) -> Split:
        """Open the rendered people and the photographs for their backgrounds."""
        return open_perception(data_root)
