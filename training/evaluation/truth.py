"""How well the synthetic people's pictures, masks, joints and labels belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...models.diffusion.compose import dilate
from ...people.synthetic import SyntheticPeople, render_people
from .metrics import mean_of

BATCH = 16


def evaluate_truth(
    seeds: Sequence[int], on_done: Callable[[int], object] = lambda count: None
) -> dict[str, float]:
    """Figures of the people of `seeds` at 128 pixels.

    hidden_share: of the person. person_share: of the picture. joints_on_person, hidden_joints: of the
    marked joints. split_err: pixels that are not either visible or invisible or neither. outside_diff:
    largest difference of the complete and the occluded picture a pixel away from the person.
    """
    rows: list[dict[str, Tensor]] = []
    for start in range(0, len(seeds), BATCH):
        people = render_people(seeds[start : start + BATCH])
        rows.append(_figures(people))
        on_done(len(people.captions))
    means = {name: mean_of(torch.cat([row[name] for row in rows])).value for name in rows[0]}
    means["split_err"] *= len(seeds)
    means["outside_diff"] = float(torch.cat([row["outside_diff"] for row in rows]).max())
    return means


def _figures(people: SyntheticPeople) -> dict[str, Tensor]:
    """Each (B,)."""
    amodal, present = people.amodal_mask, people.joints[..., 2] > 0
    area = amodal.flatten(1).sum(1)
    away = 1 - dilate(amodal, 1)
    return {
        "person_share": amodal.flatten(1).mean(1),
        "hidden_share": people.invisible_mask.flatten(1).sum(1) / area,
        "joints_on_person": (_at(amodal, people.joints) * present).sum(1) / present.sum(1),
        "hidden_joints": (present & ~people.joint_visible).sum(1) / present.sum(1),
        "split_err": (people.visible_mask + people.invisible_mask != amodal).flatten(1).sum(1).float(),
        "outside_diff": ((people.complete - people.occluded).abs() * away).flatten(1).amax(1),
    }


def _at(mask: Tensor, joints: Tensor) -> Tensor:
    """(B,18): the mask at every joint."""
    size = mask.shape[-1]
    column, line = (joints[..., axis].long().clamp(0, size - 1) for axis in (0, 1))
    return mask.flatten(1).gather(1, line * size + column)
