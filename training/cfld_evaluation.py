"""CFLD measured on held-out synthetic people, who are given the pose of the next one: PoCoLD's pairs.

The same people by the full method ("full"), without the query biases ("no_appearance"), and with one token of
the whole picture as prompt, as of a CLIP image encoder ("clip"); and, beside them, by PoCoLD ("pocold"). What
of these has no weights is left out. "autoencoder" is the true picture through the autoencoder alone: what no
method can exceed. "source" is the source picture itself.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..models.cfld.checkpoint import load_mini_cfld
from ..models.cfld.networks import CFLDModel
from ..models.cfld.pictures import pose_picture
from ..models.cfld.sampling import DDIM, Weights, appearance_of, repose
from ..models.diffusion.networks import decode_latents, encode_image, load_vae
from ..models.perception.pose import PoseDetector, detect_joints, load_pose_detector
from ..models.pocold.checkpoint import load_mini_pocold
from . import metrics
from .pairs_data import RenderedPairs, render_pairs
from .pocold_evaluation import WEIGHTS as POCOLD_WEIGHTS
from .pocold_evaluation import joint_errors

log = logging.getLogger(__name__)

SIZE, BATCH = 128, 16
STEPS, WEIGHTS, SCHEDULER = 25, Weights(2.0, 2.0), DDIM
"""The same for all. The paper's 50 steps of DDPM are for its own size."""
FULL, NO_APPEARANCE, CLIP, POCOLD = "full", "no_appearance", "clip", "pocold"
FILES = {
    FULL: "cfld.safetensors",
    NO_APPEARANCE: "cfld_no_appearance.safetensors",
    CLIP: "cfld_clip.safetensors",
    POCOLD: "pocold.safetensors",
}
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
INTERPOLATIONS = 5

Draw = Callable[[RenderedPairs, Sequence[int], int], Tensor]
"""(pairs, seeds, steps) -> pictures (B,3,S,S) in 0..1, on the CPU."""


@dataclass(frozen=True)
class Family:
    """What draws, by name; the full model where there is one; the autoencoder; the detector that judges."""

    draws: dict[str, Draw]
    full: CFLDModel | None
    vae: Any
    detector: PoseDetector


@dataclass(frozen=True)
class Batch:
    """Some people with what was made of them, and their mixtures with the next one, by share; for sheets."""

    pairs: RenderedPairs
    made: dict[str, Tensor]
    mixtures: dict[float, Tensor]


def load_family(folder: Path, device: str = "cpu") -> Family:
    """The models whose files are in `folder`, on `device`; the log names those that are missing.

    Raises FileNotFoundError when there is no CFLD among them, or autoencoder or detector are missing.
    """
    folder = Path(folder)
    draws: dict[str, Draw] = {}
    full = None
    for name, file in FILES.items():
        if not (folder / file).is_file():
            recipe = Path(file).stem
            log.warning("no %s in %s: %r is left out; figura train %s makes it", file, folder, name, recipe)
        elif name == POCOLD:
            draws[name] = _draw_pocold(load_mini_pocold(folder, file).to(device))
        else:
            model = load_mini_cfld(folder, file).to(device)
            draws[name], full = _draw_cfld(model), model if name == FULL else full
    if not set(draws) - {POCOLD}:
        raise FileNotFoundError(f"no {FILES[FULL]} in {folder}: figura train cfld makes it")
    vae = load_vae(folder / "vae.safetensors").to(device)
    return Family(draws, full, vae, load_pose_detector(folder / "pose_detector.safetensors").to(device))


def _draw_cfld(model: CFLDModel) -> Draw:
    def draw(pairs: RenderedPairs, seeds: Sequence[int], steps: int) -> Tensor:
        return _repose(model, pairs, pairs.source, None, 0.0, seeds, steps)

    return draw


def _draw_pocold(model: Any) -> Draw:
    from ..models.pocold.sampling import generate

    def draw(pairs: RenderedPairs, seeds: Sequence[int], steps: int) -> Tensor:
        labels = pairs.target_densepose
        return generate(
            model, labels, pairs.source, weights=POCOLD_WEIGHTS, steps=steps, seed=list(seeds)
        ).cpu()

    return draw


def _repose(
    model: CFLDModel,
    pairs: RenderedPairs,
    source: Tensor,
    second: Tensor | None,
    mix: float,
    seeds: Sequence[int],
    steps: int,
) -> Tensor:
    size = model.networks.config.pose_size
    scale = pairs.target_joints.new_tensor([size / source.shape[-1], size / source.shape[-2], 1.0])
    looks = appearance_of(model, source, second, mix)
    made = repose(
        model, looks, pose_picture(pairs.target_joints * scale, size), weights=WEIGHTS, scheduler=SCHEDULER,
        steps=steps, seed=list(seeds),
    )  # fmt: skip
    return made.cpu()


def evaluate_cfld(
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
    mixed = 0
    for start in range(0, len(seeds), batch_size):
        part = list(seeds[start : start + batch_size])
        pairs = render_pairs(part, size)
        made = {name: draw(pairs, part, steps) for name, draw in family.draws.items()}
        count = min(INTERPOLATIONS - mixed, len(part)) if on_batch is not None else 0
        batch = Batch(pairs, made, _mixtures(family, pairs, part, steps, count))
        mixed += count
        _measure(family, batch, figures)
        if on_batch is not None:
            on_batch(batch)
        if on_done is not None:
            on_done(len(part))
    result = {name: metrics.mean_of(torch.cat(parts)).value for name, parts in sorted(figures.items())}
    return {**result, **order(result), "samples.people": len(seeds)}


def order(result: dict[str, float]) -> dict[str, float]:
    """1 where the full method is better than what leaves a part out, for each figure that was measured."""
    held = {}
    for metric, better in (("ssim", 1), ("psnr", 1), ("joint_err", -1)):
        for other in (NO_APPEARANCE, CLIP):
            if {f"{metric}.{FULL}", f"{metric}.{other}"} <= set(result):
                gain = better * (result[f"{metric}.{FULL}"] - result[f"{metric}.{other}"])
                held[f"order.{metric}.{FULL}_{other}"] = float(gain > 0)
    return held


def _mixtures(
    family: Family, pairs: RenderedPairs, seeds: list[int], steps: int, count: int
) -> dict[float, Tensor]:
    """The first `count` people, each on the way to the looks of the next one."""
    if not count or family.full is None:
        return {}
    next_one = pairs.source.roll(-1, 0)[:count]
    few = RenderedPairs(
        **{name: value[:count] for name, value in vars(pairs).items()},
    )
    return {mix: _repose(family.full, few, few.source, next_one, mix, seeds[:count], steps) for mix in MIXES}


def _measure(family: Family, batch: Batch, figures: dict[str, list[Tensor]]) -> None:
    pairs = batch.pairs
    device = next(family.vae.parameters()).device
    with torch.no_grad():
        through = decode_latents(family.vae, encode_image(family.vae, pairs.target.to(device))).cpu()
    body = (pairs.target_densepose > 0).float()[:, None]
    for name, pictures in {"source": pairs.source, "autoencoder": through, **batch.made}.items():
        for suffix, region in (("", torch.ones_like(body)), ("_body", body)):
            figures[f"ssim{suffix}.{name}"].append(metrics.ssim_region(pictures, pairs.target, region))
            figures[f"psnr{suffix}.{name}"].append(metrics.psnr_region(pictures, pairs.target, region))
    for name, pictures in {"truth": pairs.target, **batch.made}.items():
        found = detect_joints(family.detector, pictures).cpu()
        figures[f"joint_err.{name}"].append(joint_errors(found, pairs.target_joints, pictures.shape[-1]))
