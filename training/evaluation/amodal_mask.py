"""Amodal masks from points against the truth, on held-out people partly covered by something.

What is given beside the true visible mask stands in the metric's name: `joints`, all that the camera could
tell; `three_hidden`, three drawn from the hidden ones; `three_any`, three of all; `seen`, those that nothing
covers; `box`, the whole person's box; `joints_box`; `none`. Only people with at least HIDDEN_PART of the
picture hidden count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...models.phac.amodal_mask import AmodalMaskNet, complete_mask, load_amodal_mask
from ...people.boxes import Box
from ...people.skeleton import draw_skeleton
from ...people.synthetic import SyntheticPeople, render_people
from ..reports.sheets import Row
from .loop import Method, Metrics, OnDone, PerPerson, in_batches

WEIGHTS = "amodal_mask.safetensors"
SIZE = 128
HIDDEN_PART = 0.02
DRAWS = 4
PROMPTS = ("joints", "three_hidden", "three_any", "seen", "box", "joints_box", "none")
SHOWN = ("joints", "three_hidden", "none")


class Batch(NamedTuple):
    """Some people and the network, for sheets."""

    net: AmodalMaskNet
    people: SyntheticPeople


def load_network(folder: Path, device: str = "cpu") -> AmodalMaskNet:
    """The network from its file in `folder`, on `device`."""
    return load_amodal_mask(Path(folder) / WEIGHTS).to(device)


def evaluate_amodal_masks(
    net: AmodalMaskNet,
    seeds: Sequence[int],
    *,
    on_batch: Callable[[Batch], object] | None = None,
    on_done: OnDone | None = None,
) -> Metrics:
    """Every metric by its name; see `add_person`.

    Args:
        net: the network.
        seeds: of the people.
        on_batch: gets the people of every batch.
        on_done: gets their number.
    """
    measured, numbers = PerPerson(), count()

    def measure(part: list[int]) -> Batch:
        people = render_people(part, size=SIZE)
        fields = (people.visible_mask, people.amodal_mask, people.joints, people.joint_visible)
        for row in zip(*fields, strict=True):
            add_person(measured, net, *row, number=next(numbers))
        return Batch(net, people)

    in_batches(seeds, measure, on_batch=on_batch, on_done=on_done)
    return summary(measured)


def amodal_scores(
    net: AmodalMaskNet, visible: Tensor, amodal: Tensor, joints: Tensor, joint_visible: Tensor
) -> Metrics:
    """Metrics by name over people; see `add_person`.

    Args:
        net: the network.
        visible, amodal: (N,1,H,W) of 0 and 1.
        joints: (N,18,3) px and presence.
        joint_visible: (N,18), those that nothing covers.
    """
    measured = PerPerson()
    for number, row in enumerate(zip(visible, amodal, joints, joint_visible, strict=True)):
        add_person(measured, net, *row, number=number)
    return summary(measured)


def summary(measured: PerPerson) -> Metrics:
    """The mean of every metric, and how many people had enough hidden."""
    means = {name: mean.value for name, mean in measured.means().items()}
    means["samples.measured"] = measured.count(f"invisible_iou.{PROMPTS[0]}")
    return Metrics(means, measured.weighted())


def add_person(
    measured: PerPerson,
    net: AmodalMaskNet,
    visible: Tensor,
    amodal: Tensor,
    joints: Tensor,
    joint_visible: Tensor,
    *,
    number: int,
) -> None:
    """Add one person's values, unless too little is hidden.

    invisible_iou.PROMPT: IoU of the hidden part, the middle completion. invisible_iou.PROMPT.drawn: the mean
    of DRAWS seeds at full variety; .best: the best of them. spread.PROMPT: 1 - IoU between two of them.

    Args:
        measured: what is added to.
        net: the network.
        visible, amodal: (1,H,W) of 0 and 1.
        joints: (18,3) px and presence.
        joint_visible: (18,), those that nothing covers.
        number: of the person, as of `prompt_of`.
    """
    truth, seen = amodal[0] > 0.5, visible[0] > 0.5
    if int((truth & ~seen).sum()) < HIDDEN_PART * truth.numel():
        return
    for name in PROMPTS:
        given, box = prompt_of(name, joints, joint_visible, truth, number)
        drawn = complete_mask(net, seen.float(), given, box, range(DRAWS), variety=1.0)[:, 0] > 0.5
        middle = complete_mask(net, seen.float(), given, box)[0, 0] > 0.5
        ious = torch.tensor([_iou(mask & ~seen, truth & ~seen) for mask in drawn])
        measured.add(f"invisible_iou.{name}", torch.tensor([_iou(middle & ~seen, truth & ~seen)]))
        measured.add(f"invisible_iou.{name}.drawn", ious.mean()[None])
        measured.add(f"invisible_iou.{name}.best", ious.max()[None])
        measured.add(f"spread.{name}", torch.tensor([1 - _iou(drawn[0] & ~seen, drawn[1] & ~seen)]))


def prompt_of(
    name: str, joints: Tensor, seen: Tensor, truth: Tensor, number: int
) -> tuple[Tensor, Box | None]:
    """The joints (18,3) and the box that one of PROMPTS gives of a person.

    Args:
        name: of the prompt.
        joints: (18,3) px and presence.
        seen: (18,), those that nothing covers.
        truth: amodal mask (H,W).
        number: of the person; three joints are drawn by it.
    """
    there, seen = joints[:, 2] > 0, seen.bool()
    box = Box.around_mask(truth.float()) if name.endswith("box") else None
    choices = {"joints": there, "joints_box": there, "seen": there & seen, "three_any": there}
    given = choices.get(name, torch.zeros_like(there))
    if name.startswith("three"):
        pool = torch.nonzero(there if name == "three_any" else there & ~seen).flatten()
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(number))
        given = torch.zeros_like(there)
        given[pool[order[:3]]] = True
    return joints * given[:, None], box


def _iou(first: Tensor, second: Tensor) -> float:
    either = int((first | second).sum())
    return int((first & second).sum()) / either if either else 1.0


def amodal_rows(batch: Batch) -> list[Row]:
    """Each person's picture (which the network does not see), what is given, completions, and the truth."""
    net, people = batch
    rows = []
    for index, caption in enumerate(people.captions):
        seen, truth = people.visible_mask[index, 0] > 0.5, people.amodal_mask[index, 0] > 0.5
        stages = {"occluded": people.occluded[index]}
        for name in SHOWN:
            given, box = prompt_of(name, people.joints[index], people.joint_visible[index], truth, index)
            drawn = draw_skeleton(given[None], SIZE, SIZE)[0]
            stages[f"given: {name}"] = torch.maximum(drawn, 0.35 * seen.float()[None])
            masks = complete_mask(net, seen.float(), given, box, range(2), variety=1.0)
            masks = torch.cat([complete_mask(net, seen.float(), given, box), masks])
            for label, mask in zip(("middle", "drawn", "drawn 2"), masks, strict=True):
                stages[f"{name}, {label}"] = shaded(mask[0] > 0.5, seen)
        stages["truth"] = shaded(truth, seen)
        rows.append(Row(stages, caption))
    return rows


def shaded(amodal: Tensor, visible: Tensor) -> Tensor:
    """A picture (3,H,W): the visible part grey, the rest of the person white."""
    return (amodal.float() - 0.5 * (amodal & visible).float()).expand(3, -1, -1)


METHOD = Method(load_network, evaluate_amodal_masks, amodal_rows)
