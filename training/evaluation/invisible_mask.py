"""U_iv on what other people's generators and segmenters give it, on held-out people.

The coarse picture is the true person ("perfect") or what PHAC's own coarse stage draws from the true joints
(".drawn"); its ground is white but where the metric's name says otherwise. The visible mask is the true one,
or has the fault that the name says. Wanted is the hidden part of the person that the given mask leaves: M_iv
lies outside the visible mask by definition. Only people with HIDDEN_PART or more of the picture hidden count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...models.phac.checkpoint import load_mini_phac
from ...models.phac.ground import split_ground
from ...models.phac.invisible import invisible_images
from ...models.phac.networks import PHACModel
from ...models.phac.pipeline import complete_images
from ...people.synthetic import SyntheticPeople, render_people
from ..data.masks import blobs, dilate_square
from ..reports.sheets import Row
from . import metrics
from .loop import Method, Metrics, OnDone, PerPerson, in_batches
from .phac import user_prompts

SIZE = 128
HIDDEN_PART = 0.02
REACH_PX, SPILL_PX = 3, 10
OFF_WHITE, GREY = (0.93, 0.9, 0.86), (0.5, 0.5, 0.5)
PHOTOGRAPHS = ("coffee", "rocket")
"""Of scikit-image; training does not see them."""
GROUNDS = ("perfect", "off_white", "grey", "photograph", "scene")
MASKS = ("eroded", "dilated", "spilling", "holes")


class Batch(NamedTuple):
    """Some people, and by the names of the metrics what U_iv was given, (B,3,S,S) and (B,1,S,S), and gave."""

    people: SyntheticPeople
    coarse: dict[str, Tensor]
    visible: dict[str, Tensor]
    found: dict[str, Tensor]


def evaluate_invisible_masks(
    model: PHACModel,
    seeds: Sequence[int],
    *,
    on_batch: Callable[[Batch], object] | None = None,
    on_done: OnDone | None = None,
) -> Metrics:
    """invisible_iou.NAME and invisible_iou.NAME.drawn, NAME one of GROUNDS and MASKS.

    Args:
        model: PHAC.
        seeds: of the people.
        on_batch: gets every batch.
        on_done: gets the number of its people.
    """
    measured = PerPerson()

    def measure(part: list[int]) -> Batch:
        batch = _look(model, part)
        hidden = batch.people.invisible_mask
        counts = hidden.flatten(1).mean(1) >= HIDDEN_PART
        for name, mask in batch.found.items():
            wanted = hidden * (batch.visible[name] <= 0.5)
            overlap = torch.where(counts, metrics.iou(mask, wanted), torch.nan)
            measured.add(f"invisible_iou.{name}", overlap)
        return batch

    in_batches(seeds, measure, on_batch=on_batch, on_done=on_done)
    means = measured.means()
    values = {name: mean.value for name, mean in means.items()}
    return Metrics(values | {"samples.measured": means["invisible_iou.perfect"].known}, measured.weighted())


@torch.no_grad()
def _look(model: PHACModel, seeds: list[int]) -> Batch:
    people = render_people(seeds, size=SIZE)
    prompts = user_prompts(people, seeds)
    drawn, _ = complete_images(
        model, people.occluded, people.visible_mask, prompts, people.captions, seed=seeds[0]
    )
    coarse: dict[str, Tensor] = {}
    visible: dict[str, Tensor] = {}
    sources = {"": (people.cutout, people.amodal_mask), ".drawn": (drawn, split_ground(drawn).person)}
    for suffix, (picture, person) in sources.items():
        for name in GROUNDS:
            ground = _ground(name, people, seeds)
            coarse[name + suffix] = torch.where(person > 0.5, picture, ground)
            visible[name + suffix] = people.visible_mask
        for name in MASKS:
            coarse[name + suffix] = picture
            visible[name + suffix] = with_fault(name, people.visible_mask, seeds)
    found = {
        name: invisible_images(
            model, people.occluded, picture, visible[name], prompts=prompts, dilation_px=0
        )[1]
        for name, picture in coarse.items()
    }
    return Batch(people, coarse, visible, found)


def with_fault(name: str, masks: Tensor, seeds: Sequence[int]) -> Tensor:
    """Visible masks (B,1,S,S) with one of the faults MASKS; places are drawn by the people's seeds."""
    size = masks.shape[-1]
    if name == "eroded":
        return dilate_square(masks, -REACH_PX)
    if name == "dilated":
        return dilate_square(masks, REACH_PX)
    if name not in MASKS:
        raise ValueError(f"unknown fault {name!r}; those that are measured are {', '.join(MASKS)}")
    places = torch.stack([blobs(size, torch.Generator().manual_seed(seed)) for seed in seeds])
    if name == "spilling":
        return torch.maximum(masks, dilate_square(masks, SPILL_PX) * places)
    more = torch.stack([blobs(size, torch.Generator().manual_seed(seed + 1)) for seed in seeds])
    return masks * (1 - places * more)


def _ground(name: str, people: SyntheticPeople, seeds: Sequence[int]) -> Tensor:
    """(B,3,S,S) or what broadcasts to it."""
    if name == "scene":
        return people.occluded
    if name == "photograph":
        return torch.stack([photograph(seed, people.occluded.shape[-1]) for seed in seeds])
    colour = {"perfect": (1.0, 1.0, 1.0), "off_white": OFF_WHITE, "grey": GREY}[name]
    return torch.tensor(colour).reshape(1, 3, 1, 1).expand_as(people.occluded)


def photograph(seed: int, size: int) -> Tensor:
    """A square part (3,size,size) of one of PHOTOGRAPHS, drawn by the seed."""
    data = metrics.optional_import("skimage.data", "scikit-image", "grounds of photographs")
    generator = torch.Generator().manual_seed(seed)
    picture = torch.from_numpy(getattr(data, PHOTOGRAPHS[seed % len(PHOTOGRAPHS)])()).permute(2, 0, 1) / 255
    height, width = picture.shape[-2:]
    side = int(torch.randint(2 * size, min(height, width) + 1, (1,), generator=generator))
    top = int(torch.randint(height - side + 1, (1,), generator=generator))
    left = int(torch.randint(width - side + 1, (1,), generator=generator))
    part = picture[None, :, top : top + side, left : left + side]
    return torch.nn.functional.interpolate(
        part, (size, size), mode="bilinear", align_corners=False, antialias=True
    )[0]


def mask_rows(batch: Batch) -> list[Row]:
    """Each person, and for some inputs the coarse picture with what U_iv found of it in red."""
    rows = []
    for index, caption in enumerate(batch.people.captions):
        stages = {"occluded": batch.people.occluded[index]}
        for name in (
            "perfect",
            "perfect.drawn",
            "photograph.drawn",
            "scene.drawn",
            "spilling.drawn",
            "holes.drawn",
        ):
            red = torch.tensor([1.0, 0.1, 0.1]).reshape(3, 1, 1)
            inside = batch.found[name][index]
            seen = 0.5 * batch.coarse[name][index] + 0.5 * batch.visible[name][index]
            stages[name] = torch.where(inside > 0.5, red, seen)
        stages["truth"] = batch.people.invisible_mask[index].expand(3, -1, -1)
        rows.append(Row(stages, caption))
    return rows


def load_phac(folder: Path, device: str = "cpu") -> PHACModel:
    """The mini PHAC out of `folder`, on `device`."""
    return load_mini_phac(folder).to(device)


METHOD = Method(load_phac, evaluate_invisible_masks, mask_rows)
