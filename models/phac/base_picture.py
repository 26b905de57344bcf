"""I_base (PHAC, stage C): the hidden part of the coarse person pasted into the picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..diffusion.compose import close_gaps, composite, default_dilation, feather_inside


class Base(NamedTuple):
    """I_base and its masks, (B,1,H,W).

    image: I_base (B,3,H,W). part: float 0 or 1, what comes from the coarse picture. amodal: float 0 or 1, the
    whole person. alpha: float 0..1, how far what is made of I_base counts in the end: soft towards the edge
    of what may change, 1 on `part`.
    """

    image: Tensor
    part: Tensor
    amodal: Tensor
    alpha: Tensor


def compose_base(
    occluded: Tensor,
    coarse: Tensor,
    visible: Tensor,
    changed: Tensor,
    exact: Tensor,
    feather_px: float | None = None,
) -> Base:
    """I_base = I_ic outside the hidden part of the person, I_cc in it.

    Args:
        occluded: I_ic, (B,3,H,W) in 0..1.
        coarse: I_cc, (B,3,H,W) in 0..1.
        visible: M_v, (B,1,H,W) float 0 or 1.
        changed: the dilated M_iv, (B,1,H,W) float 0 or 1; everything else stays.
        exact: M_iv before dilation, (B,1,H,W) float 0 or 1.
        feather_px: width of the soft inner edge; None is half the usual dilation.
    """
    amodal = joined_person(visible, exact * changed, changed)
    part = amodal * (1.0 - visible)
    soft = feather_inside(changed, _gap_px(changed) if feather_px is None else feather_px)
    return Base(composite(occluded, coarse, part), part, amodal, torch.maximum(soft, part) * changed)


def joined_person(visible: Tensor, exact: Tensor, changed: Tensor) -> Tensor:
    """The whole person: visible and completed part, and the crack between them as far as it may change.

    All masks (B,1,H,W) float 0 or 1.
    """
    person = torch.maximum(visible, (exact > 0.5).float())
    return torch.maximum(person, close_gaps(person, _gap_px(person)) * changed)


def _gap_px(mask: Tensor) -> float:
    return default_dilation(*mask.shape[-2:]) / 2
