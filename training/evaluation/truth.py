"""How well the synthetic people's pictures, masks, joints and labels belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...models.diffusion.compose import dilate
from ...people.synthetic import SyntheticPeople, render_people
from ..reports.sheets import synthetic_row
from .loop import Method, Metrics, OnDone, PerPerson, in_batches


def evaluate_truth(
    networks: None,
    seeds: Sequence[int],
    *,
    on_batch: Callable[[list[int]], object] | None = None,
    on_done: OnDone | None = None,
) -> Metrics:
    """Metrics of the people themselves, at 128 pixels.

    hidden_share: of the person. person_share: of the picture. joints_on_person, hidden_joints: of the
    marked joints. split_err: pixels that are not either visible or invisible or neither. outside_diff:
    largest difference of the complete and the occluded picture a pixel away from the person.

    Args:
        networks: there are none.
        seeds: of the people.
        on_batch: gets what a sheet shows of every batch.
        on_done: gets the number of people of every batch that is finished.
    """
    measured = PerPerson()

    def measure(part: list[int]) -> list[int]:
        for name, values in _values(render_people(part)).items():
            measured.add(name, values)
        return part

    in_batches(seeds, measure, on_batch=on_batch, on_done=on_done)
    means = {name: mean.value for name, mean in measured.means().items()}
    means["split_err"] *= len(seeds)
    means["outside_diff"] = float(torch.cat(measured.values["outside_diff"]).max())
    people = measured.weighted()
    del people["split_err"], people["outside_diff"]  # a sum and a maximum
    return Metrics(means, people)


def _values(people: SyntheticPeople) -> dict[str, Tensor]:
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


METHOD = Method(
    lambda folder, device: None, evaluate_truth, lambda seeds: map(synthetic_row, seeds), columns=2
)
