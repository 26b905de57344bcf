"""PoCoLD measured on held-out synthetic people, who are given the pose of the next one.

The same people by the full method ("full"), without the pose constraint ("sparse", the paper's B2), and with
cross-attention ("vanilla", B1); what of these has no weights is left out. "autoencoder" is the true picture
through the autoencoder alone: what no method can exceed. "source" is the source picture itself.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..models.perception.pose import CONFIDENCE, PoseDetector, detect_joints, load_pose_detector
from ..models.pocold.checkpoint import load_mini_pocold
from ..models.pocold.networks import PoCoLDModel
from ..models.pocold.sampling import Weights, generate, trace_source
from . import metrics
from .pairs_data import RenderedPairs, render_pairs

log = logging.getLogger(__name__)

SIZE, BATCH = 128, 16
STEPS, WEIGHTS = 25, Weights(2.0, 2.0)
"""The same for all. The paper's 50 steps and weights of 5 are for its own size and data."""
FILES = {
    "vanilla": "pocold_vanilla.safetensors",
    "sparse": "pocold_sparse.safetensors",
    "full": "pocold.safetensors",
}


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
    models = {}
    for name, file in FILES.items():
        if (folder / file).is_file():
            models[name] = load_mini_pocold(folder, file).to(device)
        else:
            log.warning(
                "no %s in %s: %r is left out; figura train %s makes it", file, folder, name, Path(file).stem
            )
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
    figures: dict[str, list[Tensor]] = defaultdict(list)
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
    result = {name: metrics.mean_of(torch.cat(parts)).value for name, parts in sorted(figures.items())}
    return {**result, **order(result), "samples.people": len(seeds)}


def order(result: dict[str, float]) -> dict[str, float]:
    """1 for each of the paper's orders of SSIM (table 3) that holds, of the models that were measured."""
    pairs = (("full", "sparse"), ("sparse", "vanilla"))
    return {
        f"order.ssim.{better}_{worse}": float(result[f"ssim.{better}"] > result[f"ssim.{worse}"])
        for better, worse in pairs
        if f"ssim.{better}" in result and f"ssim.{worse}" in result
    }


def _repose(model: PoCoLDModel, pairs: RenderedPairs, seeds: list[int], steps: int) -> Tensor:
    return generate(
        model, pairs.target_densepose, pairs.source, weights=WEIGHTS, steps=steps, seed=seeds
    ).cpu()


def _measure(family: Family, batch: Batch, figures: dict[str, list[Tensor]]) -> None:
    pairs, anyone = batch.pairs, next(iter(family.models.values()))
    with torch.no_grad():
        through = anyone.decode(anyone.encode(pairs.target)).cpu()
    shown = {"source": pairs.source, "autoencoder": through, **batch.made}
    body = (pairs.target_densepose > 0).float()[:, None]
    for name, pictures in shown.items():
        whole = torch.ones_like(body)
        figures[f"ssim.{name}"].append(metrics.ssim_region(pictures, pairs.target, whole))
        figures[f"psnr.{name}"].append(metrics.psnr_region(pictures, pairs.target, whole))
        figures[f"ssim_body.{name}"].append(metrics.ssim_region(pictures, pairs.target, body))
        figures[f"psnr_body.{name}"].append(metrics.psnr_region(pictures, pairs.target, body))
    for name, pictures in {"truth": pairs.target, **batch.made}.items():
        found = detect_joints(family.detector, pictures).cpu()
        figures[f"joint_err.{name}"].append(joint_errors(found, pairs.target_joints, pictures.shape[-1]))
    for name, model in family.models.items():
        # On the true pictures, so that every model is asked the same.
        traced = trace_source(
            model, pairs.target, pairs.target_densepose, pairs.source, pairs.source_densepose
        )
        figures[f"wrong_mass.{name}"].append(1 - traced.matched.cpu())


def joint_errors(found: Tensor, truth: Tensor, side: int) -> Tensor:
    """Mean distance of the joints (B,18,3) that are in the picture and were found, over its side, (B,); NaN
    where there is none.
    """
    both = (truth[..., 2] > 0) & (found[..., 2] >= CONFIDENCE)
    distance = (found[..., :2] - truth[..., :2]).norm(dim=-1) / side
    return torch.where(both, distance, 0.0).sum(1) / torch.where(both.any(1), both.sum(1), torch.nan)
