"""PHAC measured on held-out synthetic people, the whole way as a user goes it.

A user's prompt is made from the truth: the visible joints, each up to a pixel off, as the points on the
visible person, and the hidden joints, just as imprecise, as the points given for the hidden part; the
caption is the text. From there on nothing of the truth is used: the visible mask is the mini SAM's, the
invisible mask that of U_iv. `visible_iou.detected` has the visible joints found by the pose detector instead
of a user. "none" is the same model with a blank prompt picture; the visible mask is the same for both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...models.perception.pose import CONFIDENCE, PoseDetector, detect_joints, load_pose_detector
from ...models.perception.sam import visible_mask
from ...models.perception.sam_networks import load_sam
from ...models.phac.checkpoint import load_mini_phac, load_mini_refiner
from ...models.phac.invisible import invisible_images
from ...models.phac.networks import Inpainter, PHACModel
from ...models.phac.pipeline import complete_images, refine_images
from ...models.phac.sampling import Refined
from ...models.sentences import typed
from ...people.prompts import PointPrompt, draw_prompt
from ...people.synthetic import SyntheticPeople, render_people, select
from ..reports.sheets import Row
from . import metrics
from .intervals import Weighted, per_person
from .loop import BATCH, Method, Metrics, OnDone, PerPerson, in_batches

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

SIZE = 128
JITTER_PX = 1.0
LEAST_HIDDEN = 0.02
"""Share of the picture that must be hidden for a person to count in invisible_iou."""
STRENGTH = 0.5
CURVE = (0.1, 0.3, 0.5, 0.7, 0.9)
CURVE_SHARE = 0.25
"""Share of the people on whom the curve over the noise strength s is measured."""


@dataclass(frozen=True)
class Family:
    """The networks that complete a person, and the detector that judges the result."""

    sam: Sam
    detector: PoseDetector
    phac: PHACModel
    refiner: Inpainter


@dataclass(frozen=True)
class Settings:
    """Steps of both sampling stages and the guidance of each: what the nodes default to."""

    steps: int = 20
    cfg: float = 2.0
    refiner_cfg: float = 1.0


@dataclass(frozen=True)
class Completion:
    """Stages A to C of one batch: I_cc, M_iv dilated and before that, and what the refinement gives."""

    coarse: Tensor
    changed_mask: Tensor
    exact_mask: Tensor
    refined: Refined


@dataclass(frozen=True)
class Batch:
    """Some people with what the pipeline made of them; for sheets and metrics."""

    people: SyntheticPeople
    prompts: list[PointPrompt]
    visible: Tensor
    done: Completion


class Measured(PerPerson):
    """Values of all people so far, and joints (B,18,3) by picture."""

    def __init__(self) -> None:
        super().__init__()
        self.joints: dict[str, list[Tensor]] = defaultdict(list)
        self.hidden: list[Tensor] = []
        self.truth: list[Tensor] = []
        self.largest_outside = 0.0

    def weighted(self, size: int = SIZE) -> dict[str, Weighted]:
        """What each person has of every metric; of the joint errors those at that side in pixels."""
        people = super().weighted()
        wanted, truth = torch.cat(self.hidden), torch.cat(self.truth)
        for name, parts in self.joints.items():
            each = metrics.joint_distances(torch.cat(parts), truth, wanted=wanted, threshold=CONFIDENCE)
            people[f"joint_err.{name}"] = per_person(each.distance_px / size, each.found)
            people[f"joint_missing.{name}"] = per_person(1 - each.found.double(), each.wanted)
        return people

    def see_outside(self, refined: Refined, occluded: Tensor) -> None:
        """Remember the largest change outside the mask that was to be changed."""
        difference = metrics.max_abs_diff_outside(refined.image, occluded, refined.changed_mask)
        self.largest_outside = max(self.largest_outside, difference)


def load_family(folder: Path, device: str = "cpu") -> Family:
    """The mini networks from the weight files in `folder`, on `device`."""
    folder = Path(folder)
    family = Family(
        load_sam(folder / "sam.safetensors"),
        load_pose_detector(folder / "pose_detector.safetensors"),
        load_mini_phac(folder),
        load_mini_refiner(folder),
    )
    for field in fields(family):
        getattr(family, field.name).to(device)
    return family


def evaluate_phac(
    family: Family,
    seeds: Sequence[int],
    *,
    settings: Settings = Settings(),
    size: int = SIZE,
    batch_size: int = BATCH,
    on_batch: Callable[[Batch], None] | None = None,
    on_done: OnDone | None = None,
) -> Metrics:
    """Every metric by its name; each person's noise is that of their seed, while all before them are seen.

    The curve over s is measured on those of the first quarter of the people who were seen.

    Args:
        family: of `load_family`.
        seeds: of the people.
        settings: steps and guidance.
        size: side of the pictures in pixels.
        batch_size: people in a batch.
        on_batch: gets what a sheet shows of every batch.
        on_done: gets the number of people of every batch that is finished.
    """
    measured, in_curve = Measured(), set(seeds[: math.ceil(CURVE_SHARE * len(seeds))])

    def measure(part: list[int]) -> Batch | None:
        count = sum(seed in in_curve for seed in part)
        return _measure_batch(family, part, settings, size, count, measured)

    in_batches(seeds, measure, batch_size=batch_size, on_batch=on_batch, on_done=on_done)
    return summary(measured, len(seeds), size)


def summary(measured: Measured, people: int, size: int) -> Metrics:
    """The means of all metrics, the joint errors, and how many people or joints are behind them.

    Raises ValueError when nobody was found in any picture.
    """
    if not measured.truth:
        raise ValueError(
            f"the segmenter found nobody in any picture: let `{typed('train sam')}` run for longer"
        )
    means = measured.means()
    result = {name: mean.value for name, mean in means.items()}
    result["max_abs_diff_outside"] = measured.largest_outside
    wanted, truth = torch.cat(measured.hidden), torch.cat(measured.truth)
    for name, parts in measured.joints.items():
        error = metrics.joint_error(torch.cat(parts), truth, side=size, wanted=wanted, threshold=CONFIDENCE)
        result |= {f"joint_err.{name}": error.error, f"joint_missing.{name}": error.missing}
    result["samples.people"] = people
    result["samples.completed"] = len(truth)
    result["samples.hidden_joints"] = int((wanted & (truth[..., 2] > 0)).sum())
    result["samples.invisible_iou"] = means["invisible_iou"].known
    curve = means.get(f"ssim_region.s{STRENGTH}")
    result["samples.curve"] = curve.known if curve else 0
    return Metrics(result, measured.weighted(size))


# The user's part


def user_prompts(people: SyntheticPeople, seeds: Sequence[int]) -> list[PointPrompt]:
    """Pose prompts as a careful user gives them: all joints up to a pixel off, the hidden ones as given."""
    size = people.occluded.shape[-1]
    joints = people.joints.cpu().clone()
    joints[..., :2] += torch.stack([_jitter(seed) for seed in seeds])
    joints[..., :2] = joints[..., :2].clamp(0, size)
    given = (joints[..., 2] > 0) & ~people.joint_visible.cpu()
    return [
        PointPrompt("pose", size, size, points.numpy(), hidden.numpy())
        for points, hidden in zip(joints, given, strict=True)
    ]


def _jitter(seed: int) -> Tensor:
    """(18,2) offsets, uniform in a disc of JITTER_PX."""
    draw = torch.rand(18, 2, generator=torch.Generator().manual_seed(seed))
    radius, angle = JITTER_PX * draw[:, 0].sqrt(), 2 * torch.pi * draw[:, 1]
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def withheld(prompt: PointPrompt) -> PointPrompt:
    """The prompt without any joint: its picture is black."""
    return replace(prompt, joints=np.zeros_like(prompt.joints), given=np.zeros_like(prompt.given))


# The pipeline


@torch.no_grad()
def visible_masks(sam: Sam, images: Tensor, spots: Sequence[Tensor]) -> Tensor:
    """M_v of every picture (B,1,S,S) from its points (n,2) px on the visible person; empty without points."""
    masks = [_visible_mask(sam, image, points) for image, points in zip(images, spots, strict=True)]
    return torch.stack(masks)[:, None].cpu()


def _visible_mask(sam: Sam, image: Tensor, points: Tensor) -> Tensor:
    if len(points) == 0:
        return torch.zeros_like(image[0])
    return visible_mask(sam, image, points, torch.ones(len(points)))[0].to(image.device)


def complete_people(
    family: Family,
    people: SyntheticPeople,
    visible: Tensor,
    prompts: Sequence[PointPrompt],
    seed: int,
    settings: Settings,
) -> Completion:
    """Stages A, B and C as the nodes run them; picture number i is made with seed + i.

    Args:
        family: the networks.
        people: B of them, S x S pixels.
        visible: M_v (B,1,S,S).
        prompts: one for each.
        seed: of the first picture.
        settings: steps and guidance.
    """
    coarse, _ = complete_images(
        family.phac, people.occluded, visible, prompts, people.captions, seed=seed, steps=settings.steps,
        cfg=settings.cfg,
    )  # fmt: skip
    changed, exact = invisible_images(family.phac, people.occluded, coarse, visible, prompts=prompts)
    refined = refine_people(family.refiner, people, visible, coarse, (changed, exact), seed, settings)
    return Completion(coarse, changed, exact, refined)


def refine_people(
    refiner: Inpainter,
    people: SyntheticPeople,
    visible: Tensor,
    coarse: Tensor,
    invisible: tuple[Tensor, Tensor],
    seed: int,
    settings: Settings,
    strength: float = STRENGTH,
) -> Refined:
    """Stage C.

    Args:
        refiner: the inpainting model.
        people: B of them, S x S pixels.
        visible: M_v (B,1,S,S).
        coarse: I_cc (B,3,S,S) in 0..1.
        invisible: M_iv (B,1,S,S) dilated, and before that.
        seed: of the first picture.
        settings: steps and guidance.
        strength: s of the noise, 0..1.
    """
    changed, exact = invisible
    return refine_images(
        refiner, people.occluded, coarse, visible, changed, people.captions, strength=strength,
        steps=settings.steps, cfg=settings.refiner_cfg, seed=seed, exact_masks=exact,
    )  # fmt: skip


# Measured


def _measure_batch(
    family: Family, seeds: list[int], settings: Settings, size: int, in_curve: int, measured: Measured
) -> Batch | None:
    """Complete people with and without the prompt and add the values; None if nobody was seen."""
    people = render_people(seeds, size=size)
    prompts = user_prompts(people, seeds)
    spots = [torch.from_numpy(prompt.visible_joints) for prompt in prompts]
    visible = visible_masks(family.sam, people.occluded, spots)
    _add_visible(measured, family, people, visible)
    seen = visible.flatten(1).any(1)
    if not seen.any():
        return None
    in_curve = int(seen[:in_curve].sum())
    people, prompts = select(people, seen), [prompt for prompt, kept in zip(prompts, seen) if kept]
    visible = visible[seen]
    done = complete_people(family, people, visible, prompts, seeds[0], settings)
    blank = [withheld(prompt) for prompt in prompts]
    without = complete_people(family, people, visible, blank, seeds[0], settings)
    batch = Batch(people, prompts, visible, done)
    _add_masks(measured, batch)
    _add_joints(measured, family.detector, batch, without)
    _add_images(measured, batch, without)
    if in_curve:
        _add_curve(measured, family.refiner, batch, seeds[0], settings, in_curve)
    return batch


def _add_visible(measured: Measured, family: Family, people: SyntheticPeople, visible: Tensor) -> None:
    measured.add("visible_iou", metrics.iou(visible, people.visible_mask))
    found = detect_joints(family.detector, people.occluded).cpu()
    size = people.occluded.shape[-1]
    inside = ((found[..., :2] >= 0) & (found[..., :2] <= size)).all(-1) & (found[..., 2] >= CONFIDENCE)
    spots = [points[kept, :2] for points, kept in zip(found, inside, strict=True)]
    detected = visible_masks(family.sam, people.occluded, spots)
    measured.add("visible_iou.detected", metrics.iou(detected, people.visible_mask))


def _add_masks(measured: Measured, batch: Batch) -> None:
    truth = batch.people.invisible_mask
    counts = truth.flatten(1).mean(1) >= LEAST_HIDDEN
    overlap = metrics.iou(batch.done.exact_mask, truth)
    measured.add("invisible_iou", torch.where(counts, overlap, torch.nan))
    measured.add("amodal_iou", metrics.iou(batch.done.refined.amodal_mask, batch.people.amodal_mask))


def _add_joints(measured: Measured, detector: PoseDetector, batch: Batch, without: Completion) -> None:
    people, done = batch.people, batch.done
    measured.truth.append(people.joints.cpu())
    measured.hidden.append((people.joints[..., 2] > 0).cpu() & ~people.joint_visible.cpu())
    images = {
        "pose": done.refined.image, "none": without.refined.image, "truth": people.complete,
        "pose.coarse": done.coarse, "none.coarse": without.coarse, "truth.coarse": people.cutout,
    }  # fmt: skip
    for name, image in images.items():
        measured.joints[name].append(detect_joints(detector, image).cpu())


def _add_images(measured: Measured, batch: Batch, without: Completion) -> None:
    people, refined = batch.people, batch.done.refined
    telea = metrics.telea(people.occluded, refined.changed_mask)
    images = {
        "": refined.image, ".composite": refined.composite, ".none": without.refined.image, ".telea": telea,
    }  # fmt: skip
    for suffix, image in images.items():
        _add_region(measured, image, people, suffix)
    for result in (refined, without.refined):
        measured.see_outside(result, people.occluded)


def _add_curve(
    measured: Measured, refiner: Inpainter, batch: Batch, seed: int, settings: Settings, count: int
) -> None:
    """The metrics of the first `count` people of the batch over the noise strength s."""
    first = torch.arange(len(batch.visible)) < count
    people = select(batch.people, first)
    done = batch.done
    visible, coarse = batch.visible[first], done.coarse[first]
    invisible = done.changed_mask[first], done.exact_mask[first]
    for strength in CURVE:
        refined = refine_people(refiner, people, visible, coarse, invisible, seed, settings, strength)
        _add_region(measured, refined.image, people, f".s{strength}")
        measured.see_outside(refined, people.occluded)


def _add_region(measured: Measured, image: Tensor, people: SyntheticPeople, suffix: str) -> None:
    region = people.invisible_mask
    measured.add(f"psnr_region{suffix}", metrics.psnr_region(image, people.complete, region))
    measured.add(f"ssim_region{suffix}", metrics.ssim_region(image, people.complete, region))
    measured.add(f"seam_err{suffix}", metrics.seam_error(image, people.complete, region))


# The contact sheet


def phac_rows(batch: Batch) -> Iterable[Row]:
    """Every stage of PHAC for the people of a batch."""
    people, done = batch.people, batch.done
    height, width = people.occluded.shape[-2:]
    stages = {
        "occluded": people.occluded, "prompt": draw_prompt(batch.prompts, height, width),
        "visible mask": batch.visible, "coarse": done.coarse, "invisible mask": done.changed_mask,
        "composite": done.refined.composite, "refined": done.refined.image, "cutout": done.refined.cutout,
        "truth": people.complete,
    }  # fmt: skip
    for index, caption in enumerate(people.captions):
        yield Row({name: stage[index] for name, stage in stages.items()}, caption)


METHOD = Method(load_family, evaluate_phac, phac_rows, columns=2, pairs=(("pose", "none"),))
