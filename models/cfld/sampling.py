"""CFLD's sampling: a person in another pose, between two people's looks, or with a part dressed anew.

Everything here works at the model's own sizes; other sizes are handled outside (pipeline.py). Pictures are
(B,3,S,S) float 0..1, masks (B,1,S,S), pose pictures (B,21,P,P).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..diffusion.guidance import cfg, cumulative
from ..diffusion.sampling import (
    Kept,
    OnStep,
    draw_noise,
    image_seeds,
    keep_outside,
    sample,
)
from ..diffusion.schedulers import DDPM, scheduler_of
from .attention import predict_noise
from .networks import Appearance, CFLDModel

STEPS, WEIGHT = 50, 2.0


class Weights(NamedTuple):
    """Cumulative guidance: of the pose and of the appearance; 1 and 1 is none."""

    pose: float = WEIGHT
    appearance: float = WEIGHT


class Branch(NamedTuple):
    """What the U-Net sees of the conditions: a prompt, and residuals and biases, or none of these."""

    prompt: Tensor
    residuals: Sequence[Tensor] = ()
    biases: Sequence[Tensor] = ()


@torch.no_grad()
def appearance_of(
    model: CFLDModel, source: Tensor, second: Tensor | None = None, mix: float = 0.0
) -> Appearance:
    """The appearance of people, or a mixture of two people's.

    Args:
        model: CFLD.
        source: square pictures (B,3,s,s) in 0..1.
        second: other people, in the same form; None for no mixture.
        mix: the second one's share, 0..1: 0 is the source alone, 1 the second one alone, bit for bit.

    Returns:
        Prompt and biases of `CFLDNetworks.appearance`.
    """
    model.use(model.networks)
    first = model.networks.appearance(source.to(model.device))
    if second is None:
        return first
    return first.mixed(model.networks.appearance(second.to(model.device)), mix)


@torch.no_grad()
def repose(
    model: CFLDModel,
    appearance: Appearance,
    pose: Tensor,
    *,
    kept: Kept | None = None,
    weights: Weights | None = None,
    scheduler: str = DDPM,
    steps: int = STEPS,
    seed: int | Sequence[int] = 0,
    on_step: OnStep | None = None,
) -> Tensor:
    """People of that appearance in other poses, denoised from pure noise.

    Args:
        model: CFLD with a U-Net, of side S.
        appearance: of `appearance_of`, a batch of B.
        pose: pose pictures (B,21,P,P).
        kept: a reference (B,3,S,S) of which all outside the mask stays.
        weights: of the guidance by pose and appearance; None is 2 and 2.
        scheduler: a name of `schedulers.SCHEDULERS`. ddpm is the released one.
        steps: 1 to 1000.
        seed: one number (picture i is made with seed + i), or one for each picture.
        on_step: called after every prediction; may raise, which ends the sampling.

    Returns:
        Pictures (B,3,S,S) in 0..1.

    Raises:
        ValueError: for an unknown scheduler, too many steps, and seeds that do not match.
    """
    seeds = image_seeds(seed, len(pose))
    noise = draw_noise(seeds, model.latent_shape, model.device)
    steps_of = scheduler_of(scheduler, seeds)
    predict = Guided(model, branches_of(model, appearance, pose), weights or Weights())
    fuse = None if kept is None else keep_outside(kept, model.encode(kept.reference), steps_of, noise)
    return model.decode(sample(predict, noise, steps_of, steps, fuse=fuse, on_step=on_step))


def branches_of(model: CFLDModel, appearance: Appearance, pose: Tensor) -> tuple[Branch, Branch, Branch]:
    """Without any condition, with the pose alone, and with both."""
    model.use(model.networks)
    residuals = model.networks.pose(pose.to(model.device))
    null = model.networks.null_prompt(len(pose))
    return Branch(null), Branch(null, residuals), Branch(appearance.prompt, residuals, appearance.biases)


class Guided:
    """eps(z_t, t) = e(0,0) + w_p (e(p,0) - e(0,0)) + w_a (e(p,a) - e(p,0)).

    The branches run as one batch. Those that cancel are not computed: with w_p = w_a, as released, e(p,0).
    """

    def __init__(self, model: CFLDModel, branches: Sequence[Branch], weights: Weights) -> None:
        self.model = model
        none, posed, full = branches
        pose, appearance = weights
        self.combine: Callable[..., Tensor]
        if pose == appearance == 1.0:
            used, self.combine = [full], lambda only: only
        elif pose == appearance:
            used, self.combine = [none, full], lambda first, last: cfg(first, last, pose)
        elif pose == 1.0:
            used, self.combine = [posed, full], lambda first, last: cfg(first, last, appearance)
        else:
            used = [none, posed, full]
            self.combine = lambda *three: cumulative(three[0], three[1], three[2], pose, appearance)
        self.count, self.branch = len(used), joined(used, full)

    def __call__(self, latents: Tensor, t: Tensor) -> Tensor:
        self.model.use(*self.model.drawing)
        unet = self.model.unet
        inputs = latents.repeat(self.count, 1, 1, 1).to(next(unet.parameters()).dtype)
        branch = Branch(*(_like(inputs, values) for values in self.branch))
        made = predict_noise(unet, inputs, t, *branch).float()
        return self.combine(*made.chunk(self.count))


def _like(inputs: Tensor, values: Any) -> Any:
    """Tensors, or sequences of them, in another's dtype."""
    return values.to(inputs) if isinstance(values, Tensor) else [value.to(inputs) for value in values]


def joined(branches: Sequence[Branch], full: Branch) -> Branch:
    """One branch of as many times the batch; zeros where a branch lacks what `full` has."""

    def together(given: list[Sequence[Tensor]], like: Sequence[Tensor]) -> list[Tensor]:
        return [
            torch.cat([values[number] if values else torch.zeros_like(one) for values in given])
            for number, one in enumerate(like)
        ]

    return Branch(
        torch.cat([branch.prompt for branch in branches]),
        together([branch.residuals for branch in branches], full.residuals),
        together([branch.biases for branch in branches], full.biases),
    )
