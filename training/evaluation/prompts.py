"""The kinds of prompt against one another, and against none, on held-out synthetic people.

Prompts are made from the truth as a careful user would: joints up to a pixel off, boxes with edges up to two
pixels off, the box of the region of interest a little wider than the hidden part. "none" is the pose kind
with a blank prompt picture. Visible masks are the same for all; everything after them is made anew for each
kind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...models.perception.pose import CONFIDENCE, detect_joints
from ...models.phac.networks import PHACModel
from ...models.sentences import typed
from ...people.boxes import Box
from ...people.prompt_kinds import CORNERS, PROMPT_KINDS
from ...people.prompts import PointPrompt, draw_prompt
from ...people.synthetic import SyntheticPeople, render_people, select
from ..data.prompt_images import moved_edges
from ..reports.sheets import Row
from . import metrics
from .loop import BATCH, Method, Metrics, OnDone, in_batches
from .phac import (
    LEAST_HIDDEN,
    SIZE,
    Completion,
    Family,
    Measured,
    Settings,
    complete_people,
    load_family,
    user_prompts,
    visible_masks,
    withheld,
)

log = logging.getLogger(__name__)

NONE = "none"
AS_THE_NODES = Settings()
EDGE_OFF_PX = 2.0
ROI_MARGIN_PX = 3.0
PAPER_ORDER = (
    ("full_box", NONE), ("roi_box", "full_box"), ("pose", "roi_box"), ("pose_roi_box", "pose"),
    ("pose_full_box", "pose"),
)  # fmt: skip
"""Pairs of which the first has the smaller joint error in the paper: full > roi > pose > with box. Its error
without a prompt follows from the gain per point that it gives for the roi box."""


@dataclass(frozen=True)
class PromptBatch:
    """Some people, the prompts of every kind, and the refined pictures made with them; for sheets."""

    people: SyntheticPeople
    prompts: dict[str, list[PointPrompt]]
    refined: dict[str, Tensor]


def evaluate_prompts(
    family: Family,
    seeds: Sequence[int],
    *,
    settings: Settings = AS_THE_NODES,
    size: int = SIZE,
    batch_size: int = BATCH,
    on_batch: Callable[[PromptBatch], None] | None = None,
    on_done: OnDone | None = None,
) -> Metrics:
    """Metrics by kind of prompt: joint errors, gain per point, the paper's order.

    Kinds that the model has no ControlNet for are left out, and the log names them.

    Args:
        family: of `phac.load_family`.
        seeds: of the people.
        settings: steps and guidance.
        size: side of the pictures in pixels.
        batch_size: people in a batch.
        on_batch: gets what a sheet shows of every batch.
        on_done: gets the number of people of every batch that is finished.

    Raises:
        ValueError: when nobody was found in any picture.
    """
    kinds = known_kinds(family.phac)
    measured, points = Measured(), {kind: 0.0 for kind in kinds}

    def measure(part: list[int]) -> PromptBatch | None:
        batch = _measure_batch(family, part, kinds, settings, size, measured)
        if batch is not None:
            for kind in kinds:
                points[kind] += sum(points_given(prompt) for prompt in batch.prompts[kind])
        return batch

    in_batches(seeds, measure, batch_size=batch_size, on_batch=on_batch, on_done=on_done)
    return _summary(measured, points, len(seeds), size)


def known_kinds(model: PHACModel) -> list[str]:
    """The kinds of prompt that the model has a ControlNet for; the log names the others."""
    lacking = [kind for kind in PROMPT_KINDS if kind not in model.controlnets]
    if lacking:
        log.warning("%s has no ControlNet for %s: left out", model.name, ", ".join(lacking))
    return [kind for kind in PROMPT_KINDS if kind in model.controlnets]


def prompts_of_kind(
    kind: str, people: SyntheticPeople, seeds: Sequence[int], pose_prompts: Sequence[PointPrompt]
) -> list[PointPrompt]:
    """Prompts of one kind as a careful user gives them; a person of whom nothing is hidden has no roi box.

    Args:
        kind: of the table `PROMPT_KINDS`.
        people: B of them.
        seeds: of the people; they decide how far the edges of boxes are off.
        pose_prompts: the same people by joints.
    """
    boxes = zip(
        _boxes(people.invisible_mask, ROI_MARGIN_PX, seeds, 0), _boxes(people.amodal_mask, 0.0, seeds, 1)
    )
    return [
        replace(prompt, kind=kind, roi_box=roi, full_box=full)
        for prompt, (roi, full) in zip(pose_prompts, boxes, strict=True)
    ]


def _boxes(masks: Tensor, margin: float, seeds: Sequence[int], salt: int) -> Iterator[Box | None]:
    for mask, seed in zip(masks, seeds, strict=True):
        draw = torch.rand(2, 4, generator=torch.Generator().manual_seed(seed))[salt]
        shifts = (EDGE_OFF_PX * (2 * draw - 1)).tolist()
        box = moved_edges(Box.around_mask(mask[0].cpu()), margin, shifts, mask.shape[-1])
        yield None if box.is_empty else box


def points_given(prompt: PointPrompt) -> int:
    """How many points the user places for this prompt: the hidden joints, and two corners of a box."""
    joints = int((prompt.given & prompt.present).sum()) if prompt.has_joints else 0
    return joints + CORNERS * len(prompt.shown_boxes)


def _measure_batch(
    family: Family, seeds: list[int], kinds: Sequence[str], settings: Settings, size: int, measured: Measured
) -> PromptBatch | None:
    people = render_people(seeds, size=size)
    pose = user_prompts(people, seeds)
    spots = [torch.from_numpy(prompt.visible_joints) for prompt in pose]
    visible = visible_masks(family.sam, people.occluded, spots)
    seen = visible.flatten(1).any(1)
    if not seen.any():
        return None
    prompts = {kind: prompts_of_kind(kind, people, seeds, pose) for kind in kinds}
    prompts[NONE] = [withheld(prompt) for prompt in pose]
    prompts = {name: [each for each, kept in zip(given, seen) if kept] for name, given in prompts.items()}
    people, visible = select(people, seen), visible[seen]
    measured.truth.append(people.joints.cpu())
    measured.hidden.append((people.joints[..., 2] > 0).cpu() & ~people.joint_visible.cpu())
    refined = {}
    for name in (NONE, *kinds):
        done = complete_people(family, people, visible, prompts[name], seeds[0], settings)
        _add_kind(measured, family, name, people, done)
        refined[name] = done.refined.image
    return PromptBatch(people, prompts, refined)


def _add_kind(
    measured: Measured, family: Family, name: str, people: SyntheticPeople, done: Completion
) -> None:
    measured.joints[name].append(detect_joints(family.detector, done.refined.image).cpu())
    measured.joints[f"{name}.coarse"].append(detect_joints(family.detector, done.coarse).cpu())
    region = people.invisible_mask
    counts = region.flatten(1).mean(1) >= LEAST_HIDDEN
    overlap = metrics.iou(done.exact_mask, region)
    measured.add(f"invisible_iou.{name}", torch.where(counts, overlap, torch.nan))
    measured.add(f"ssim_region.{name}", metrics.ssim_region(done.refined.image, people.complete, region))
    measured.see_outside(done.refined, people.occluded)


def _summary(measured: Measured, points: dict[str, float], people: int, size: int) -> Metrics:
    if not measured.truth:
        raise ValueError(
            f"the segmenter found nobody in any picture: let `{typed('train sam')}` run for longer"
        )
    wanted, truth = torch.cat(measured.hidden), torch.cat(measured.truth)
    errors = {
        name: metrics.joint_error(torch.cat(parts), truth, side=size, wanted=wanted, threshold=CONFIDENCE)
        for name, parts in measured.joints.items()
    }
    result = {f"joint_err.{name}": error.error for name, error in errors.items()}
    result |= {f"joint_missing.{name}": error.missing for name, error in errors.items()}
    each = {kind: total / len(truth) for kind, total in points.items()}
    result |= {f"points.{kind}": count for kind, count in each.items()}
    result |= gains({name: error.error for name, error in errors.items() if "." not in name}, each)
    means = measured.means()
    result |= {name: mean.value for name, mean in means.items()}
    result["max_abs_diff_outside"] = measured.largest_outside
    result["samples.people"], result["samples.completed"] = people, len(truth)
    result["samples.hidden_joints"] = int((wanted & (truth[..., 2] > 0)).sum())
    result["samples.invisible_iou"] = means[f"invisible_iou.{NONE}"].known
    return Metrics(result, measured.weighted(size))


def gains(errors: dict[str, float], points: dict[str, float]) -> dict[str, float]:
    """The gain of each kind per point, (JE_none - JE) / points, and 1 or 0 for every part of the order.

    errors: joint error by kind, and of "none". points: how many points the user placed, on average.
    "order.holds" is only said when all kinds were measured.
    """
    result = {
        f"gain_per_point.{kind}": (errors[NONE] - errors[kind]) / max(points[kind], 1e-9) for kind in points
    }
    pairs = [(better, worse) for better, worse in PAPER_ORDER if better in errors and worse in errors]
    held = {f"order.{b}_below_{w}": float(errors[b] < errors[w]) for b, w in pairs}
    held["order.all_below_none"] = float(all(errors[kind] < errors[NONE] for kind in points))
    if len(pairs) == len(PAPER_ORDER):
        held["order.holds"] = float(all(held.values()))
    return result | held


def prompt_rows(batch: PromptBatch) -> Iterable[Row]:
    """What every kind of prompt makes of the people of a batch."""
    people = batch.people
    height, width = people.occluded.shape[-2:]
    stages = {"occluded": people.occluded}
    for name, refined in batch.refined.items():
        if name != "none":
            stages[name] = draw_prompt(batch.prompts[name], height, width)
        stages[f"with {name}"] = refined
    stages["truth"] = people.complete
    for index, caption in enumerate(people.captions):
        yield Row({name: stage[index] for name, stage in stages.items()}, caption)


METHOD = Method(load_family, evaluate_prompts, prompt_rows, pairs=PAPER_ORDER)
