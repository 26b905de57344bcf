"""PoCoLD's sampling: a person in another pose, from a pose alone, or in somebody else's clothes.

Pictures are (B,3,H,W) float 0..1, labels (B,H,W) DensePose parts 0..24, masks (B,1,H,W) float 0..1. H and W
are multiples of the autoencoder's factor here; other sizes are handled outside (pipeline.py).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..diffusion.compose import composite
from ..diffusion.guidance import cfg, cumulative, decaying
from ..diffusion.placement import ran_out
from ..diffusion.sampling import (
    Kept,
    OnStep,
    draw_noise,
    image_seeds,
    keep_outside,
    noised,
    sample,
)
from ..diffusion.schedulers import PNDM, STABLE_DIFFUSION, pndm_leading, scheduler_of
from .attention import Factors
from .losses import labels_at, part_mass
from .networks import PoCoLDModel

log = logging.getLogger(__name__)

STEPS = 50
WEIGHT = 5.0
FLOOR, FLOOR_OF_POSE_ALONE = 3.0, 2.0
SOURCE_NOISE, REFERENCE_NOISE = 0x85EBCA6B, 0xC2B2AE35
"""Keep the seeds of the noise in latents of pictures apart from those of what sampling starts with."""
RELEASED, PAPER, FIGURA = PROCEDURES = ("released", "paper", "figura")
"""How pictures are made: as by the authors' code, as the paper says, as mini was tried out."""
LOOKED_AT = 200
"""Time step at which `trace_source` looks: the picture is there, but for its details."""


class Weights(NamedTuple):
    """Cumulative guidance: w_p of the pose and w_s of the source; 1 and 1 is none.

    decay: every weight w at time t is max(w t / 1000, 3), of a pose without a source max(w t / 1000, 2), as
    the released code does; weights below that stay.
    """

    pose: float = WEIGHT
    source: float = WEIGHT
    decay: bool = False

    def at(self, t: int, floor: float = FLOOR) -> tuple[float, float]:
        """w_p and w_s at time t, neither below the floor."""
        if not self.decay:
            return self.pose, self.source
        pose, source = (decaying(w, t, min(floor, w)) for w in (self.pose, self.source))
        return pose, source


PAPER_WEIGHTS = Weights()


class Procedure(NamedTuple):
    """released: PNDM along the time steps of Stable Diffusion 1.5 (981, ..., 1) to the scheduler's own end,
    in place of those from 999 on to a clean end; and latents of pictures that are a sample of the
    autoencoder's posterior, in place of its mean. weights: of the guidance.
    """

    released: bool
    weights: Weights


def procedure_of(model: PoCoLDModel, name: str | None, weights: Weights) -> Procedure:
    """What a name of PROCEDURES stands for; None is "released" for networks of the released sizes, "figura"
    for others. The paper says nothing of time steps and latents, so that its procedure has the released ones.

    Args:
        model: PoCoLD.
        name: of the procedure.
        weights: as chosen; whether they fall, "figura" leaves to them.

    Raises:
        ValueError: for another name.
    """
    name = name or (RELEASED if model.released else FIGURA)
    if name not in PROCEDURES:
        raise ValueError(f"procedure is {name!r}; it is one of {', '.join(PROCEDURES)}")
    if name == FIGURA:
        return Procedure(False, weights)
    return Procedure(True, weights._replace(decay=name == RELEASED))


@torch.no_grad()
def generate(
    model: PoCoLDModel,
    target: Tensor,
    source: Tensor | None = None,
    *,
    kept: Kept | None = None,
    weights: Weights = PAPER_WEIGHTS,
    procedure: str | None = None,
    scheduler: str = PNDM,
    steps: int = STEPS,
    seed: int | Sequence[int] = 0,
    on_step: OnStep | None = None,
) -> Tensor:
    """People in the pose of labels, denoised from pure noise.

    Args:
        model: PoCoLD.
        target: DensePose labels (B,H,W), 0..24.
        source: the people's looks, (B,3,H',W') in 0..1; None draws people from the pose alone.
        kept: what is outside its mask stays, bit for bit where the mask is 0.
        weights: of the guidance by pose and source.
        procedure: see `procedure_of`.
        scheduler: a name of `schedulers.SCHEDULERS`; pndm is the authors', and the only one whose time steps
            follow the procedure.
        steps: 1 to 1000.
        seed: one number (picture i is made with seed + i), or one for each picture.
        on_step: called after every prediction; may raise, which ends the sampling.

    Returns:
        Pictures (B,3,H,W) in 0..1.

    Raises:
        ValueError: for an unknown scheduler or procedure, too many steps, and seeds that do not match.
    """
    side = target.shape[-2] // model.factor, target.shape[-1] // model.factor
    shape = (model.networks.config.latent_channels, *side)
    seeds = image_seeds(seed, len(target))
    noise = draw_noise(seeds, shape, model.device)
    chosen = procedure_of(model, procedure, weights)
    walked = chosen.released and scheduler == PNDM
    steps_of = pndm_leading(STABLE_DIFFUSION) if walked else scheduler_of(scheduler, seeds)
    drawn = seeds if chosen.released else None
    labels = latent_labels(target.to(model.device), side)
    predict = Branches(model, labels, source_maps(model, source, drawn), chosen.weights)
    fuse = None
    if kept is not None:
        known = picture_latents(model, kept.reference, drawn, REFERENCE_NOISE)
        fuse = keep_outside(kept, known, steps_of, noise)
    latents = sample(predict, noise, steps_of, steps, fuse=fuse, on_step=on_step, clean_end=not walked)
    made = model.decode(latents)
    if kept is None:
        return made
    return composite(kept.reference.to(made), made, kept.mask.to(made))


class Branches:
    """eps(z_t, t) under cumulative guidance: e(0,0) + w_p (e(p,0) - e(0,0)) + w_s (e(p,s) - e(p,0)).

    Branches without source skip every attention. They run as one batch, until memory does not allow it.
    Branches that count nothing are not computed: with w_p = w_s, as in the paper, e(p,0) cancels.
    """

    def __init__(
        self, model: PoCoLDModel, labels: Tensor, maps: Sequence[Tensor] | None, weights: Weights
    ) -> None:
        self.model, self.labels, self.maps, self.weights = model, labels, maps, weights
        self.together = True

    def __call__(self, latents: Tensor, t: Tensor) -> Tensor:
        if self.maps is None:
            return self._with_pose(latents, t, self.weights.at(int(t), FLOOR_OF_POSE_ALONE)[0])
        pose, source = self.weights.at(int(t))
        full = self._predict(latents, t, self.labels, self.maps)
        if pose == source:
            return full if pose == 1.0 else cfg(self._without_pose(latents, t), full, pose)
        if pose == 1.0:
            return cfg(self._predict(latents, t, self.labels, None), full, source)
        return cumulative(*self._without_source(latents, t), full, pose, source)

    def _with_pose(self, latents: Tensor, t: Tensor, weight: float) -> Tensor:
        if weight == 1.0:
            return self._predict(latents, t, self.labels, None)
        return cfg(*self._without_source(latents, t), weight)

    def _without_pose(self, latents: Tensor, t: Tensor) -> Tensor:
        return self._predict(latents, t, None, None)

    def _without_source(self, latents: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """e(0,0) and e(p,0)."""
        if self.together:
            try:
                return self._in_one_batch(latents, t)
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error):
                    raise
            log.warning("PoCoLD: not enough memory for two branches at once; going on one by one")
            self.together = False
        return self._without_pose(latents, t), self._predict(latents, t, self.labels, None)

    def _in_one_batch(self, latents: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        networks = self.model.networks
        inputs = latents.to(networks.mapper.weight.dtype)
        pose = torch.cat([networks.map_labels(labels, inputs) for labels in (None, self.labels)])
        none, posed = networks.unet(inputs.repeat(2, 1, 1, 1), t, pose).float().chunk(2)
        return none, posed

    def _predict(
        self, latents: Tensor, t: Tensor, labels: Tensor | None, maps: Sequence[Tensor] | None
    ) -> Tensor:
        inputs = latents.to(self.model.networks.mapper.weight.dtype)
        return self.model.networks(inputs, t, labels, maps).float()


def source_maps(
    model: PoCoLDModel, source: Tensor | None, seeds: Sequence[int] | None = None
) -> list[Tensor] | None:
    """The maps of H_S of the source pictures, made once for all steps. seeds: see `picture_latents`."""
    if source is None:
        return None
    latents = picture_latents(model, source, seeds, SOURCE_NOISE)
    return model.networks.encoder(latents.to(model.networks.mapper.weight.dtype))


def picture_latents(model: PoCoLDModel, pictures: Tensor, seeds: Sequence[int] | None, salt: int) -> Tensor:
    """Scaled latents (B,C,h,w) of pictures.

    Args:
        model: PoCoLD.
        pictures: (B,3,H,W) in 0..1.
        seeds: one for each, of the sample that is drawn of the posterior; None takes its mean.
        salt: another number draws other samples of the same seeds.
    """
    return model.encode(pictures) if seeds is None else model.sample_latents(pictures, seeds, salt)


def latent_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Labels (B,H,W) at the latent size (B,h,w): that of the pixel in the middle of each cell."""
    return F.interpolate(labels[:, None].float(), tuple(size), mode="nearest-exact")[:, 0].to(labels.dtype)


# Looking at the attention


class Traced(NamedTuple):
    """carried: (B,3,H,W), every pixel in the mean of the source's colours that it attends to. matched: (B,)
    share of the attention of the body's pixels that goes to the same body part; NaN without source labels.
    """

    carried: Tensor
    matched: Tensor


@torch.no_grad()
def trace_source(
    model: PoCoLDModel, made: Tensor, target: Tensor, source: Tensor, source_labels: Tensor | None = None
) -> Traced:
    """Where made pictures take their appearance from: attention of the finest level, its last module, and how
    much of the attention of all modules goes to like parts.

    Args:
        model: PoCoLD.
        made: (B,3,H,W) in 0..1.
        target: labels (B,H,W) that they were made with.
        source: (B,3,H',W') in 0..1.
        source_labels: (B,H',W'); None measures no shares.
    """
    size = made.shape[-2] // model.factor, made.shape[-1] // model.factor
    labels, device = latent_labels(target.to(model.device), size), model.device
    theirs = None
    if source_labels is not None:
        size_of_source = source.shape[-2] // model.factor, source.shape[-1] // model.factor
        theirs = latent_labels(source_labels.to(device), size_of_source)
    looks = Looks(labels, theirs)
    latents = model.encode(made)
    # The same for all pictures: what is seen of one does not hang on its place in a batch.
    noise = draw_noise([0] * len(made), latents.shape[1:], device)
    inputs = noised(scheduler_of(PNDM), latents, noise, LOOKED_AT).to(model.networks.mapper.weight.dtype)
    maps = source_maps(model, source)
    model.networks(inputs, torch.tensor(LOOKED_AT, device=device), labels, maps, looks)
    return Traced(looks.carried(source.to(device), made.shape[-2:]), looks.matched())


class Looks:
    """Observes attention: keeps the latest factors, and the share that goes to like parts in each module.

    Only rows of the body whose part the source shows count, as in the paper's constraint.
    """

    def __init__(self, target: Tensor, source: Tensor | None) -> None:
        self.target, self.source = target, source
        self.shares: list[Tensor] = []
        self.last: Factors | None = None

    def __call__(self, factors: Factors) -> None:
        self.last = factors
        if self.source is not None:
            self.shares.append(self._share(factors, self.source))

    def _share(self, factors: Factors, source_labels: Tensor) -> Tensor:
        target, source = labels_at(self.target, factors.queries), labels_at(source_labels, factors.sources)
        mass = part_mass(factors, target, source)
        shown = torch.stack([(source == part).any(1) for part in range(1, mass.shape[1])], 1)
        rows = mass[:, 1:].sum(2) * shown
        return (mass.diagonal(dim1=1, dim2=2)[:, 1:] * shown).sum(1) / rows.sum(1)

    def matched(self) -> Tensor:
        """(B,): mean over the modules in which any part is on both sides; NaN where there is none."""
        if not self.shares:
            return torch.full((len(self.target),), torch.nan, device=self.target.device)
        return torch.stack(self.shares).nanmean(0)

    def carried(self, source: Tensor, size: Sequence[int]) -> Tensor:
        """The source's colours as the last attention carries them, mean of its heads, (B,3,*size)."""
        if self.last is None:
            raise ValueError("no attention was used: a source picture is needed to trace it")
        (h, w), sources = self.last.queries, self.last.sources
        colours = F.adaptive_avg_pool2d(source, sources).flatten(2).mT[:, None]
        carried = self.last.distribution @ (self.last.extraction @ colours.to(self.last.extraction))
        small = carried.mean(1).mT.unflatten(2, (h, w))
        return F.interpolate(small, tuple(size), mode="nearest").clamp(0, 1)
