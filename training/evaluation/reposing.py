"""What the evaluations of re-posing share, so that PoCoLD and CFLD are measured alike on the same pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...models.perception.pose import CONFIDENCE, PoseDetector, detect_joints
from ...models.sentences import trained_weights, typed
from ...people.synthetic import render_people
from ..data.pairs import RenderedPairs
from ..reports.sheets import Row
from . import metrics
from .loop import Metrics, PerPerson

log = logging.getLogger(__name__)

SIZE, STEPS = 128, 25
"""The same for all. The papers' 50 steps are for their own sizes."""
BETTER = {"ssim": 1, "psnr": 1, "pattern_sim": 1, "joint_err": -1, "wrong_mass": -1}
"""1: more is better; -1: less is."""


@dataclass(frozen=True)
class Reposed:
    """Some people with what was made of them, (B,3,S,S) by name; for sheets."""

    pairs: RenderedPairs
    made: dict[str, Tensor]


def reposed_rows(batch: Reposed, pose: Tensor) -> Iterable[Row]:
    """Source, pose as the methods were shown it (B,3,S,S), what every model made, and the truth."""
    pairs = batch.pairs
    stages = {"source": pairs.source, "pose": pose, **batch.made, "truth": pairs.target}
    for index, caption in enumerate(pairs.captions):
        yield Row({name: stage[index] for name, stage in stages.items()}, caption)


def there(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Those of `files` (name -> file) that are in the folder; the log names the others."""
    for name, file in files.items():
        if not (folder / file).is_file():
            command = typed(f"train {Path(file).stem}")
            made = f"{command} makes it in {trained_weights()}"
            log.warning("no %s in %s: %r is left out; %s", file, folder, name, made)
    return {name: file for name, file in files.items() if (folder / file).is_file()}


def measure(
    measured: PerPerson,
    pairs: RenderedPairs,
    made: Mapping[str, Tensor],
    through: Tensor,
    detector: PoseDetector,
    plain: Tensor,
) -> None:
    """Add the values of each person to `measured`, under METRIC.NAME.

    Joints are judged by the detector, whose own error on the true pictures is under "truth". "source" are the
    source pictures themselves.

    Args:
        measured: what is added to.
        pairs: the people, S x S pixels.
        made: pictures (B,3,S,S) in 0..1 by name.
        through: the true ones through the autoencoder alone ("autoencoder").
        detector: finds the joints.
        plain: the true people (B,3,S,S) in clothes without patterns ("plain"): `plain_targets`.
    """
    body = (pairs.target_densepose > 0).float()[:, None]
    for name, images in {"source": pairs.source, "autoencoder": through, **made}.items():
        for suffix, region in (("", torch.ones_like(body)), ("_body", body)):
            measured.add(f"ssim{suffix}.{name}", metrics.ssim_region(images, pairs.target, region))
            measured.add(f"psnr{suffix}.{name}", metrics.psnr_region(images, pairs.target, region))
    for name, images in {"truth": pairs.target, "plain": plain, "autoencoder": through, **made}.items():
        similarity = metrics.pattern_similarity(images, pairs.target, plain)
        measured.add(f"pattern_sim.{name}", similarity)
    for name, images in {"truth": pairs.target, "autoencoder": through, **made}.items():
        found = detect_joints(detector, images).cpu()
        measured.add(f"joint_err.{name}", joint_errors(found, pairs.target_joints, images.shape[-1]))
        measured.add(f"joint_missing.{name}", joints_missing(found, pairs.target_joints))


def plain_targets(seeds: Sequence[int], size: int) -> Tensor:
    """The targets (B,3,S,S) of `render_pairs`, in clothes without patterns."""
    poses = [seed + 1 for seed in seeds]
    return render_people(seeds, size, occlusion=0.0, pose_seeds=poses, patterns=False).cutout


def summary(measured: PerPerson, pairs: Sequence[tuple[str, str]], people: int) -> Metrics:
    """The mean of every metric, whether the order of `pairs` holds in each, and how many people these are."""
    means = {name: mean.value for name, mean in sorted(measured.means().items())}
    return Metrics({**means, **order(means, pairs), "samples.people": people}, measured.weighted())


def order(result: Mapping[str, float], pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """1 for each metric in which the first of a pair is better than the second, 0 where it is not; metrics
    that were not measured of both are left out.
    """
    held = {}
    for metric, sign in BETTER.items():
        for better, worse in pairs:
            if {f"{metric}.{better}", f"{metric}.{worse}"} <= set(result):
                gain = sign * (result[f"{metric}.{better}"] - result[f"{metric}.{worse}"])
                held[f"order.{metric}.{better}_{worse}"] = float(gain > 0)
    return held


def joint_errors(found: Tensor, truth: Tensor, side: int) -> Tensor:
    """Mean distance of the joints (B,18,3) that are in the picture and were found, over its side, (B,); NaN
    where there is none.
    """
    both = (truth[..., 2] > 0) & (found[..., 2] >= CONFIDENCE)
    distance = (found[..., :2] - truth[..., :2]).norm(dim=-1) / side
    return torch.where(both, distance, 0.0).sum(1) / torch.where(both.any(1), both.sum(1), torch.nan)


def joints_missing(found: Tensor, truth: Tensor) -> Tensor:
    """Share of the joints (B,18,3) in the picture that were not found, (B,); NaN where there is none. Beside
    `joint_errors`, which a picture without anybody to find does not raise.
    """
    present = truth[..., 2] > 0
    missing = (present & (found[..., 2] < CONFIDENCE)).sum(1)
    return torch.where(present.any(1), missing / present.sum(1).clamp_min(1), torch.nan)
