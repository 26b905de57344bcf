"""Proposed joints against the truth, beside the mean pose, on held-out people partly covered by something.

Known are the joints that nothing covers; in the metrics ".box" the whole person's box as well. The baseline
is the mean pose, fitted to the known joints, or to the box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...models.diffusion.sampling import draw_noise
from ...models.perception.pose_completion import (
    PRESENT,
    USUAL_SIZE,
    Frame,
    Known,
    PoseCompletion,
    frame_of,
    known_in,
    load_pose_completion,
    propose,
)
from ...people.boxes import Box
from ...people.keypoints import LIMBS
from ...people.skeleton import draw_skeleton
from ...people.synthetic import SyntheticPeople, render_people
from ..reports.sheets import Row
from .intervals import per_person
from .loop import Method, Metrics, OnDone, in_batches

WEIGHTS = "complete_pose.safetensors"
BATCH = 32
SIZE = 128
DRAWS = 8
SHOWN_DRAWS = 3
GROUPS = ((1, 3), (4, 6), (7, 9), (10, 18))
FACE = (0, 14, 15, 16, 17)
Values = tuple[Tensor, Tensor]
"""Values (N,J) of joints or limbs, and which of them count (N,J) bool."""


class Batch(NamedTuple):
    """Some people, whose boxes (B,4) in px are those of the whole person, and the network; for sheets."""

    net: PoseCompletion
    people: SyntheticPeople
    boxes: Tensor


def load_network(folder: Path, device: str = "cpu") -> PoseCompletion:
    """The network from its file in `folder`, on `device`."""
    return load_pose_completion(Path(folder) / WEIGHTS).to(device)


def evaluate_pose_completion(
    net: PoseCompletion,
    seeds: Sequence[int],
    *,
    on_batch: Callable[[Batch], object] | None = None,
    on_done: OnDone | None = None,
) -> Metrics:
    """Every metric by its name; see `completion_scores`.

    Args:
        net: the flow.
        seeds: of the people.
        on_batch: gets what a sheet shows of every batch.
        on_done: gets the number of people of every batch that is finished.
    """
    batches: list[Batch] = []

    def measure(part: list[int]) -> Batch:
        people = render_people(part, size=SIZE)
        boxes = torch.tensor([Box.around_mask(mask[0]) for mask in people.amodal_mask])
        batches.append(Batch(net, people, boxes))
        return batches[-1]

    in_batches(seeds, measure, batch_size=BATCH, on_batch=on_batch, on_done=on_done)
    joints, visible, boxes = (
        torch.cat(parts)
        for parts in zip(*((b.people.joints, b.people.joint_visible, b.boxes) for b in batches), strict=True)
    )
    return completion_scores(net, joints, visible, boxes, SIZE)


def completion_scores(
    net: PoseCompletion, joints: Tensor, visible: Tensor, boxes: Tensor, size: int
) -> Metrics:
    """Metrics by name over people of whose joints some are known.

    joint_err: of the covered joints, as a fraction of the side `size`: the middle proposal (no suffix), one
    drawn (sample), the best of 8 drawn (best_of_8), and the mean pose (mean_pose). limb_err: difference of
    the lengths of limbs with a covered end, as a fraction of the person's longer side. told: share of joints
    the camera could not tell, or could, that were recognised as such. "box": with the box; "hidden_1_3":
    people with so many covered.

    Args:
        net: the network.
        joints: (N,18,3) px and presence.
        visible: (N,18) bool, the joints that are known.
        boxes: (N,4) px, of the whole persons.
        size: side of the pictures in pixels.
    """
    values: dict[str, Values] = {}
    hidden = (joints[..., 2] > 0) & ~visible
    counts = hidden.sum(1)
    for suffix, boxed in (("", False), (".box", True)):
        # Somebody of whom nothing at all is known has no place without a box.
        kept = (counts > 0) & (visible.any(1) | boxed)
        part = joints[kept], visible[kept].float(), boxes[kept].float()
        values |= _values(net, *part, hidden[kept], boxed, size, suffix)
    result = {name: _mean(*each) for name, each in values.items()}
    for low, high in GROUPS:
        result[f"samples.hidden_{low}_{high}"] = int(((counts >= low) & (counts <= high)).sum())
    result |= {"samples.people": len(joints), "samples.hidden_joints": int(hidden.sum())}
    return Metrics(result, {name: per_person(*each) for name, each in values.items()})


def _values(
    net: PoseCompletion,
    joints: Tensor,
    seen: Tensor,
    boxes: Tensor,
    hidden: Tensor,
    boxed: bool,
    size: int,
    suffix: str,
) -> dict[str, Values]:
    frame, known = frame_and_known(net, joints, seen, boxes, boxed, size)
    proposals, present = proposals_of(net, known, frame)
    errors = {name: _joint_errors(points, joints, hidden) / size for name, points in proposals.items()}
    drawn = torch.stack([errors.pop(f"draw_{number}") for number in range(DRAWS)])
    means = (drawn * hidden).sum(2) / hidden.sum(1)
    best = drawn[means.argmin(0), torch.arange(len(joints))]
    errors |= {"sample": drawn[0], "best_of_8": best}
    result: dict[str, Values] = {}
    counts = hidden.sum(1)
    for name, error in errors.items():
        base = f"joint_err{suffix}" + (f".{name}" if name != "middle" else "")
        result[base] = error, hidden
        for low, high in GROUPS:
            those = hidden & ((counts >= low) & (counts <= high))[:, None]
            if those.any():
                result[f"{base}.hidden_{low}_{high}"] = error, those
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(1)
    for name in ("middle", "draw_0", "mean_pose"):
        base = {"middle": "", "draw_0": ".sample"}.get(name, f".{name}")
        result[f"limb_err{suffix}{base}"] = limb_errors(proposals[name], joints, hidden, longer)
    missing = (seen == 0)[:, list(FACE)]
    right = (present >= PRESENT) == (joints[..., 2] > 0)
    result[f"told{suffix}"] = right[:, list(FACE)].float(), missing
    return result


def frame_and_known(
    net: PoseCompletion, joints: Tensor, seen: Tensor, boxes: Tensor, boxed: bool, size: int
) -> tuple[Frame, Known]:
    """The person's unit and what is known in it.

    Args:
        net: the flow.
        joints: (B,18,2+) x, y in pixels.
        seen: (B,18) 1 where a joint is known, else 0.
        boxes: (B,4) x0, y0, x1, y1 of the whole people in pixels.
        boxed: whether the boxes are known.
        size: side of the pictures in pixels.
    """
    has_box = torch.full((len(joints),), float(boxed))
    given = (joints[..., :2], seen, boxes, has_box)
    frame = frame_of(net, *given, torch.full_like(has_box, USUAL_SIZE * size))
    return frame, known_in(frame, *given)


def proposals_of(net: PoseCompletion, known: Known, frame: Frame) -> tuple[dict[str, Tensor], Tensor]:
    """Poses (N,18,2) px by name: middle, draw_0 ..., mean_pose; and the middle one's presence (N,18)."""
    count = len(known.joints)
    points, present = propose(net, known, torch.zeros_like(known.points))
    poses = {"middle": points}
    for number in range(DRAWS):
        noise = draw_noise(range(number * count, (number + 1) * count), (18, 2))
        poses[f"draw_{number}"], _ = propose(net, known, noise.to(points))
    there = known.joints[..., None] > 0
    poses["mean_pose"] = torch.where(there, known.points, net.mean_pose.expand_as(points))
    return {name: frame.to_pixels(pose) for name, pose in poses.items()}, present


def limb_errors(points: Tensor, joints: Tensor, hidden: Tensor, longer: Tensor) -> Values:
    """Differences of the lengths of limbs (N,L) over `longer` (N,); those with a hidden end count.

    Args:
        points: (N,18,2) px, proposed.
        joints: (N,18,3) px and presence; limbs lacking there do not count.
        hidden: (N,18) bool.
        longer: (N,) px, the longer side of each person's box.
    """
    starts, ends = (torch.tensor(side) for side in zip(*LIMBS, strict=True))
    lengths, truths = ((each[:, starts] - each[:, ends]).norm(dim=2) for each in (points, joints[..., :2]))
    present = (joints[:, starts, 2] > 0) & (joints[:, ends, 2] > 0)
    counts = present & (hidden[:, starts] | hidden[:, ends])
    return (lengths - truths).abs() / longer[:, None], counts


def _joint_errors(points: Tensor, joints: Tensor, hidden: Tensor) -> Tensor:
    return (points - joints[..., :2]).norm(dim=2) * hidden


def _mean(values: Tensor, counted: Tensor) -> float:
    return float(values[counted].double().mean()) if counted.any() else 0.0


def completion_rows(batch: Batch) -> list[Row]:
    """What is known of each person, the proposals, and the truth."""
    net, people, boxes = batch
    seen, size = people.joint_visible.float(), people.occluded.shape[-1]
    boxed = not bool(people.joint_visible.any(1).all())
    frame, known = frame_and_known(net, people.joints, seen, boxes.float(), boxed, size)
    proposals, present = proposals_of(net, known, frame)
    shown = torch.maximum(seen, (present >= PRESENT).float())
    bodies = {"known": torch.cat([people.joints[..., :2], seen[..., None]], 2)}
    for name in ("middle", *(f"draw_{number}" for number in range(SHOWN_DRAWS)), "mean_pose"):
        bodies[name] = torch.cat([proposals[name], shown[..., None]], 2)
    bodies["truth"] = people.joints
    stages = {"occluded": people.occluded}
    stages |= {name: draw_skeleton(body, size, size) for name, body in bodies.items()}
    return [
        Row({name: stage[index] for name, stage in stages.items()}, caption)
        for index, caption in enumerate(people.captions)
    ]


METHOD = Method(load_network, evaluate_pose_completion, completion_rows)
