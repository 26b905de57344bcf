"""PoCoLD measured on held-out synthetic people, who are given the pose of the next one.

The same people by the full method ("full"), without the pose constraint ("sparse", the paper's B2), with
cross-attention ("vanilla", B1), with ten times the constraint ("strong"), and with one that counts attention
itself in place of its squares ("mass"); what of these has no weights is left out. "autoencoder" is the true
picture through the autoencoder alone: what no method can exceed. "source" is the source picture itself.
Joints are judged by the shipped detector, whose own error on the true pictures is under "truth".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models.perception.pose import PoseDetector, load_pose_detector
from ...models.pocold.checkpoint import load_mini_pocold
from ...models.pocold.networks import PoCoLDModel
from ...models.pocold.sampling import Weights, generate, trace_source
from ...models.sentences import trained_weights, typed
from ..data.pairs import RenderedPairs, render_pairs
from ..reports.sheets import Row, label_colours
from .loop import Method, Metrics, PerPerson, in_batches
from .reposing import SIZE, STEPS, Reposed, measure, plain_targets, reposed_rows, summary, there

WEIGHTS = Weights(2.0, 2.0)
"""The same for all. The paper's weights of 5 are for its own size and data."""
FILES = {
    "vanilla": "pocold_vanilla.safetensors",
    "sparse": "pocold_sparse.safetensors",
    "full": "pocold.safetensors",
    "strong": "pocold_strong.safetensors",
    "mass": "pocold_mass.safetensors",
}
ORDER = (("full", "sparse"), ("sparse", "vanilla"))
"""The first is the better one, by the SSIM and LPIPS of the paper's ablation."""
FURTHER = (("strong", "sparse"), ("mass", "sparse"))
"""Other constraints that ought to be better than none as well."""


@dataclass(frozen=True)
class Family:
    """The models by name, and the detector that judges."""

    models: dict[str, PoCoLDModel]
    detector: PoseDetector


def load_family(folder: Path, device: str = "cpu") -> Family:
    """The models whose files are in `folder`, on `device`; the log names those that are missing.

    Raises FileNotFoundError when there is none of them.
    """
    folder = Path(folder)
    models = {name: load_mini_pocold(folder, file).to(device) for name, file in there(folder, FILES).items()}
    if not models:
        raise FileNotFoundError(
            f"none of {', '.join(FILES.values())} in {folder}: copy one there from where "
            f"`{typed('train pocold')}` writes it, {trained_weights()}"
        )
    return Family(models, load_pose_detector(folder / "pose_detector.safetensors").to(device))


def evaluate_pocold(family: Family, seeds: Sequence[int], *, steps: int = STEPS, **batches: Any) -> Metrics:
    """Every metric by its name over the people of `seeds`, and whether the paper's order holds.

    batches: as `in_batches` takes them.
    """
    measured = PerPerson()

    def measure_batch(part: list[int]) -> Reposed:
        pairs = render_pairs(part, SIZE)
        made = {name: _repose(model, pairs, part, steps) for name, model in family.models.items()}
        batch = Reposed(pairs, made)
        _measure(family, batch, measured, plain_targets(part, SIZE))
        return batch

    in_batches(seeds, measure_batch, **batches)
    return summary(measured, ORDER + FURTHER, len(seeds))


def _repose(model: PoCoLDModel, pairs: RenderedPairs, seeds: list[int], steps: int) -> Tensor:
    return generate(
        model, pairs.target_densepose, pairs.source, weights=WEIGHTS, steps=steps, seed=seeds
    ).cpu()


def _measure(family: Family, batch: Reposed, measured: PerPerson, plain: Tensor) -> None:
    pairs, anyone = batch.pairs, next(iter(family.models.values()))
    with torch.no_grad():
        through = anyone.decode(anyone.encode(pairs.target)).cpu()
    measure(measured, pairs, batch.made, through, family.detector, plain)
    for name, model in family.models.items():
        # On the true pictures, so that every model is asked the same.
        traced = trace_source(
            model, pairs.target, pairs.target_densepose, pairs.source, pairs.source_densepose
        )
        measured.add(f"wrong_mass.{name}", 1 - traced.matched.cpu())


def pocold_rows(batch: Reposed) -> Iterable[Row]:
    """Source, pose, what every model makes of them, and the truth."""
    return reposed_rows(batch, label_colours(batch.pairs.target_densepose))


PAIRS = (*ORDER, *FURTHER, ("full", "plain"))
METHOD = Method(load_family, evaluate_pocold, pocold_rows, columns=2, pairs=PAIRS)
