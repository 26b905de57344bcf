"""CFLD measured on held-out synthetic people, who are given the pose of the next one: PoCoLD's pairs.

The same people by the full method ("full"), without the query biases ("no_appearance"), and with one token of
the whole picture as prompt, as of a CLIP image encoder ("clip"); and, beside them, by PoCoLD ("pocold"). What
of these has no weights is left out. "autoencoder" is the true picture through the autoencoder alone: what no
method can exceed. "source" is the source picture itself. Joints are judged by the shipped detector, whose own
error on the true pictures is under "truth".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models.cfld.checkpoint import load_mini_cfld
from ...models.cfld.networks import CFLDModel
from ...models.cfld.pipeline import pose_image
from ...models.cfld.sampling import Weights, appearance_of, repose
from ...models.diffusion.networks import decode_latents, encode_image, load_vae
from ...models.diffusion.schedulers import DDIM
from ...models.perception.pose import PoseDetector, load_pose_detector
from ...models.pocold.checkpoint import load_mini_pocold
from ...models.sentences import trained_weights, typed
from ...people.skeleton import draw_skeleton
from ..data.pairs import RenderedPairs, render_pairs
from ..reports.sheets import Row
from .loop import Method, Metrics, PerPerson, in_batches
from .pocold import WEIGHTS as POCOLD_WEIGHTS
from .reposing import SIZE, STEPS, Reposed, measure, plain_targets, reposed_rows, summary, there

WEIGHTS, SCHEDULER = Weights(2.0, 2.0), DDIM
"""Of CFLD. The released code has DDPM, for its 50 steps."""
FULL, NO_APPEARANCE, CLIP, POCOLD = "full", "no_appearance", "clip", "pocold"
FILES = {
    FULL: "cfld.safetensors",
    NO_APPEARANCE: "cfld_no_appearance.safetensors",
    CLIP: "cfld_clip.safetensors",
    POCOLD: "pocold.safetensors",
}
ORDER = ((FULL, NO_APPEARANCE), (FULL, CLIP))
"""The first is the better one, as the released ablations have it: the whole method is the best."""
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
class Batch(Reposed):
    """With the people's mixtures with the next one, by share."""

    mixtures: dict[float, Tensor]


def load_family(folder: Path, device: str = "cpu") -> Family:
    """The models whose files are in `folder`, on `device`; the log names those that are missing.

    Raises FileNotFoundError when there is no CFLD among them, or autoencoder or detector are missing.
    """
    folder = Path(folder)
    draws: dict[str, Draw] = {}
    full = None
    for name, file in there(folder, FILES).items():
        if name == POCOLD:
            draws[name] = _draw_pocold(load_mini_pocold(folder, file).to(device))
        else:
            model = load_mini_cfld(folder, file).to(device)
            draws[name], full = _draw_cfld(model), model if name == FULL else full
    if not set(draws) - {POCOLD}:
        raise FileNotFoundError(
            f"no {FILES[FULL]} in {folder}: copy it there from where "
            f"`{typed('train cfld')}` writes it, {trained_weights()}"
        )
    vae = load_vae(folder / "vae.safetensors").to(device)
    return Family(draws, full, vae, load_pose_detector(folder / "pose_detector.safetensors").to(device))


def _draw_cfld(model: CFLDModel) -> Draw:
    def draw(pairs: RenderedPairs, seeds: Sequence[int], steps: int) -> Tensor:
        return _repose(model, pairs, pairs.source, None, 0.0, seeds, steps)

    return draw


def _draw_pocold(model: Any) -> Draw:
    from ...models.pocold.sampling import generate

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
        model, looks, pose_image(pairs.target_joints * scale, size), weights=WEIGHTS, scheduler=SCHEDULER,
        steps=steps, seed=list(seeds),
    )  # fmt: skip
    return made.cpu()


def evaluate_cfld(family: Family, seeds: Sequence[int], *, steps: int = STEPS, **batches: Any) -> Metrics:
    """Every metric by its name over the people of `seeds`, and whether the paper's order holds.

    batches: as `in_batches` takes them.
    """
    measured, mixed = PerPerson(), set(seeds[:INTERPOLATIONS] if batches.get("on_batch") else ())

    def measure_batch(part: list[int]) -> Batch:
        pairs = render_pairs(part, SIZE)
        made = {name: draw(pairs, part, steps) for name, draw in family.draws.items()}
        through, plain = _through(family.vae, pairs.target), plain_targets(part, SIZE)
        measure(measured, pairs, made, through, family.detector, plain)
        count = sum(seed in mixed for seed in part)
        return Batch(pairs, made, _mixtures(family, pairs, part, steps, count))

    in_batches(seeds, measure_batch, **batches)
    return summary(measured, ORDER, len(seeds))


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


@torch.no_grad()
def _through(vae: Any, images: Tensor) -> Tensor:
    """Pictures through the autoencoder alone."""
    device = next(vae.parameters()).device
    return decode_latents(vae, encode_image(vae, images.to(device))).cpu()


def cfld_rows(batch: Batch) -> Iterable[Row]:
    """Source, pose, what every model makes of them, and the truth."""
    height, width = batch.pairs.target.shape[-2:]
    return reposed_rows(batch, draw_skeleton(batch.pairs.target_joints, height, width))


def mixture_rows(batch: Batch) -> Iterable[Row]:
    """People on the way to the looks of the next one."""
    sources = batch.pairs.source
    stages = {f"{100 * mix:.0f} %": made for mix, made in batch.mixtures.items()}
    for index in range(len(next(iter(stages.values()), ()))):
        made = {name: stage[index] for name, stage in stages.items()}
        second = sources[(index + 1) % len(sources)]
        yield Row({"source": sources[index], **made, "second source": second}, batch.pairs.captions[index])


METHOD = Method(
    load_family,
    evaluate_cfld,
    cfld_rows,
    columns=2,
    more={"mixtures": (mixture_rows, INTERPOLATIONS)},
    pairs=ORDER,
)
