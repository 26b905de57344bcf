"""PoCoLD on pictures of any size; checks what comes in. Results are on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..diffusion.batches import chunks, in_chunks
from ..diffusion.sampling import Kept, OnStep, check_kept
from .networks import PoCoLDModel
from .sampling import generate, trace_source

log = logging.getLogger(__name__)

FAR_OFF = 2.0
"""A picture this many times longer or shorter than those the model was trained on is worth a word."""


class Reposed(NamedTuple):
    """image, carried: (B,3,H,W) float 0..1; matched: (B,). See `sampling.trace_source`; without a source
    carried is black and matched NaN.
    """

    image: Tensor
    carried: Tensor
    matched: Tensor


class Given(NamedTuple):
    """What a picture is made from, all of one batch and, but for the source's, of one size.

    target: labels (B,H,W) uint8. source: (B,3,H',W') 0..1. source_labels: (B,H',W'). reference: (B,3,H,W)
    and mask (B,1,H,W), 1 where the picture changes.
    """

    target: Tensor
    source: Tensor | None = None
    source_labels: Tensor | None = None
    reference: Tensor | None = None
    mask: Tensor | None = None


def repose_images(
    model: PoCoLDModel,
    given: Given,
    *,
    seed: int = 0,
    trace: bool = True,
    on_step: OnStep | None = None,
    **settings: Any,
) -> Reposed:
    """Pictures of the size of the target labels; sides that are no multiple of the autoencoder's factor are
    padded for the model and cropped back.

    Args:
        model: PoCoLD.
        given: what the pictures are made from, all of one batch of B.
        seed: picture i is made with seed + i.
        trace: look at the attention once more when the pictures are made, which takes a pass of the network;
            without it carried and matched are as without a source.
        on_step: called after every prediction; may raise, which ends the sampling.
        settings: weights, procedure, steps and scheduler of `sampling.generate`.

    Returns:
        Pictures (B,3,H,W) in 0..1 and what the attention carried, on the CPU.

    Raises:
        ValueError: as `check_given`.
    """
    check_given(given)
    warn_of_size(model, given.target)

    def work(rows: slice, step: OnStep | None) -> tuple[Tensor, ...]:
        part = _changed(given, lambda value: value[rows])
        return _repose(model, part, seed + rows.start, trace, step, settings)

    return Reposed(*in_chunks(chunks(len(given.target)), work, on_step))


def _repose(
    model: PoCoLDModel,
    given: Given,
    seed: int,
    trace: bool,
    on_step: OnStep | None,
    settings: dict[str, Any],
) -> tuple[Tensor, Tensor, Tensor]:
    height, width = given.target.shape[-2:]
    padded = _changed(given, lambda value: pad_to_multiple(value, model.factor))
    kept = None
    if padded.reference is not None and padded.mask is not None:
        kept = Kept(padded.reference, padded.mask)
    made = generate(model, padded.target, padded.source, kept=kept, seed=seed, on_step=on_step, **settings)
    carried, matched = torch.zeros_like(made), torch.full((len(made),), torch.nan)
    if trace and padded.source is not None:
        carried, matched = trace_source(model, made, padded.target, padded.source, padded.source_labels)
    return made[..., :height, :width].cpu(), carried[..., :height, :width].cpu(), matched.cpu()


def _changed(given: Given, change: Callable[[Tensor], Tensor]) -> Given:
    """The same of everything that is there."""
    others = (None if value is None else change(value) for value in given[1:])
    return Given(change(given.target), *others)


def check_given(given: Given) -> None:
    """ValueError, naming the inputs, for a mask without reference or a reference without mask, sizes that do
    not match, and a mask that is empty.
    """
    check_kept(given.reference, given.mask, "appearance transfer")
    if given.source_labels is not None and given.source is None:
        raise ValueError("source_densepose came without a source: connect the source picture, or neither")
    _check_size("target_densepose", given.target, reference=given.reference, mask=given.mask)
    if given.source is not None:
        _check_size("source", given.source, source_densepose=given.source_labels)


def _check_size(name: str, first: Tensor, **others: Tensor | None) -> None:
    for other, value in others.items():
        if value is not None and value.shape[-2:] != first.shape[-2:]:
            both = [f"{each.shape[-1]} x {each.shape[-2]}" for each in (value, first)]
            raise ValueError(
                f"{other} has {both[0]} pixels but {name} has {both[1]}: both must be of the same picture. "
                f"Make {other} from the picture that {name} is of"
            )


def warn_of_size(model: PoCoLDModel, target: Tensor) -> None:
    """Log when pictures are much larger or smaller than those that the model has learnt from."""
    height, width = target.shape[-2:]
    ratio = ((height * width) / (model.networks.config.sides[0] * model.networks.config.sides[1])) ** 0.5
    if not 1 / FAR_OFF < ratio < FAR_OFF:
        trained = " x ".join(str(side) for side in reversed(model.networks.config.sides))
        log.warning(
            "%s was trained on pictures of %s pixels; expect little at %d x %d. Resize the inputs",
            model.name, trained, width, height,
        )  # fmt: skip


def pad_to_multiple(values: Tensor, multiple: int) -> Tensor:
    """Pictures (B,C,H,W), by their last row and column, or labels (B,H,W), by background, grown at the right
    and at the bottom to sides that are multiples; nothing is changed where they are already.
    """
    height, width = values.shape[-2:]
    right, below = -width % multiple, -height % multiple
    if not right and not below:
        return values
    if values.ndim == 3:
        return F.pad(values, (0, right, 0, below))
    return F.pad(values, (0, right, 0, below), mode="replicate")
