"""PoCoLD measured on held-out synthetic people, who are given the pose of the next one.

The same people by the full method ("full"), without the pose constraint ("sparse", the paper's B2), and with
cross-attention ("vanilla", B1); what of these has no weights is left out. "autoencoder" is the true picture
through the autoencoder alone: what no method can exceed. "source" is the source picture itself. Joints are
judged by the shipped detector, whose own error on the true pictures is under "truth".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...models.perception.pose import PoseDetector, load_pose_detector
from ...models.pocold.checkpoint import load_mini_pocold
from ...models.pocold.networks import PoCoLDModel
from ...models.pocold.sampling import Weights, generate, trace_source
from ..data.pairs import RenderedPairs, render_pairs
from .reposing import BATCH, SIZE, STEPS, Figures, add, means, measure, order, there

WEIGHTS = Weights(2.0, 2.0)
"""The same for all. The paper's weights of 5 are for its own size and data."""
FILES = {
    "vanilla": "pocold_vanilla.safetensors",
    "sparse": "pocold_sparse.safetensors",
    "full": "pocold.safetensors",
}
ORDER = (("full", "sparse"), ("sparse", "vanilla"))
"""The first is the better one, by the paper's table 3."""


@dataclass(frozen=True)
class Family:
    """The models by name, and the detector that judges."""

    models: dict[str, PoCoLDModel]
    detector: PoseDetector


@dataclass(frozen=True)
class Batch:
    """Some people with what was made of them; for sheets."""

    pairs: RenderedPairs
    made: dict[str, Tensor]


def load_family(folder: Path, device: str = "cpu") -> Family:
    """The models whose files are in `folder`, on `device`; the log names those that are missing.

    Raises FileNotFoundError when there is none of them.
    """
    folder = Path(folder)
    models = {name: load_mini_pocold(folder, file).to(device) for name, file in there(folder, FILES).items()}
    if not models:
        raise FileNotFoundError(
            f"none of {', '.join(FILES.values())} in {folder}: figura train pocold makes one"
        )
    return Family(models, load_pose_detector(folder / "pose_detector.safetensors").to(device))


def evaluate_pocold(
    family: Family,
    seeds: Sequence[int],
    *,
    size: int = SIZE,
    steps: int = STEPS,
    batch_size: int = BATCH,
    on_batch: Callable[[Batch], None] | None = None,
    on_done: Callable[[int], object] | None = None,
) -> dict[str, float]:
    """Every metric by its name over the people of `seeds`, and whether the paper's order holds."""
    figures: Figures = {}
    for start in range(0, len(seeds), batch_size):
        part = list(seeds[start : start + batch_size])
        pairs = render_pairs(part, size)
        batch = Batch(
            pairs, {name: _repose(model, pairs, part, steps) for name, model in family.models.items()}
        )
        _measure(family, batch, figures)
        if on_batch is not None:
            on_batch(batch)
        if on_done is not None:
            on_done(len(part))
    result = means(figures)
    return {**result, **order(result, ORDER), "samples.people": len(seeds)}


def _repose(model: PoCoLDModel, pairs: RenderedPairs, seeds: list[int], steps: int) -> Tensor:
    return generate(
        model, pairs.target_densepose, pairs.source, weights=WEIGHTS, steps=steps, seed=seeds
    ).cpu()


def _measure(family: Family, batch: Batch, figures: Figures) -> None:
    pairs, anyone = batch.pairs, next(iter(family.models.values()))
    with torch.no_grad():
        through = anyone.decode(anyone.encode(pairs.target)).cpu()
    measure(figures, pairs, batch.made, through, family.detector)
    for name, model in family.models.items():
        # On the true pictures, so that every model is asked the same.
        traced = trace_source(
            model, pairs.target, pairs.target_densepose, pairs.source, pairs.source_densepose
        )
        add(figures, f"wrong_mass.{name}", 1 - traced.matched.cpu())
