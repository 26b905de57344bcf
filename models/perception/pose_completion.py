"""Proposes the joints of a person that cannot be seen, from those that can and, if given, the person's box.

A conditional flow (Lipman et al., "Flow Matching for Generative Modeling", arXiv 2210.02747) over the 36
coordinates of a body of 18 joints: noise x_0 round the mean pose becomes a pose x_1 along dx/dt = v(x_t, t |
known joints, box), with v trained on straight lines, v = x_1 - x_0. The known joints stand at their places
all the way. Noise is what makes several plausible proposals; without noise the flow ends in the middle of
them.

Poses are worked on in the unit of the whole person: the origin is the middle of the person's box, and the
box's longer side is 1. That frame comes from the box when there is one. Otherwise it is estimated from the
known joints, by fitting the mean pose to them, and never depends on a joint that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...people.boxes import Box
from ...people.keypoints import BODY_18, DETECTED, PROPOSED, Person
from ..diffusion.checkpoint import built, config_from_metadata, load_file
from ..diffusion.sampling import draw_noise

FILE_KIND = "pose_completion"
JOINTS = len(BODY_18)
STEPS = 12
PRESENT = 0.5
"""A missing joint is proposed when it is at least this probable that a camera could tell it."""
SPREAD = 0.15
"""About how far a joint strays from its place in the mean pose, in the person's unit; the noise as far."""
USUAL_SIZE = 0.84
"""Longer side of a whole person as a share of the picture's, where the known joints do not tell it."""
USUAL_WEIGHT = 0.01
"""How much that counts, beside the known joints' squared distances from their centre in the person's unit: as
much as those of a head, next to nothing for half a body."""
LEAST_BOX_PX = 1.0


@dataclass(frozen=True)
class CompletionConfig:
    """width: of the hidden layers. blocks: how many residual blocks. times: sine and cosine features of t."""

    width: int = 160
    blocks: int = 3
    times: int = 8


class Frame(NamedTuple):
    """Where the unit of the whole person lies in a picture: x_px = origin + scale * x. (B,2) and (B,)."""

    origin: Tensor
    scale: Tensor

    def to_units(self, points_px: Tensor) -> Tensor:
        """Points (B,n,2) px in the person's unit."""
        return (points_px - self.origin[:, None]) / self.scale[:, None, None]

    def to_pixels(self, points: Tensor) -> Tensor:
        """Points (B,n,2) of the person's unit in px."""
        return points * self.scale[:, None, None] + self.origin[:, None]


class Known(NamedTuple):
    """What is known of B people, in their own unit.

    points: (B,18,2), anything where joints is 0. joints: (B,18) float 0 or 1. box: (B,4), zeros where has_box
    (B,) is 0.
    """

    points: Tensor
    joints: Tensor
    box: Tensor
    has_box: Tensor


class PoseCompletion(nn.Module):
    """v(x_t, t | known) and whether a joint could be told at all (a nose cannot from behind)."""

    mean_pose: Tensor
    pair_squares: Tensor

    def __init__(self, config: CompletionConfig = CompletionConfig()) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = nn.Linear(3 * JOINTS + 5 + 2 * config.times, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.velocity = nn.Linear(width, 2 * JOINTS)
        self.presence = nn.Linear(width, JOINTS)
        # What people look like on average, set before training: (18,2), and E|x_i - x_j|^2 as (18,18).
        self.register_buffer("mean_pose", torch.zeros(JOINTS, 2))
        self.register_buffer("pair_squares", 1.0 - torch.eye(JOINTS))

    def forward(self, points: Tensor, times: Tensor, known: Known) -> tuple[Tensor, Tensor]:
        """x_t (B,18,2), times (B,) in 0..1 -> velocity (B,18,2), logits (B,18) that a joint can be told."""
        there = known.joints[..., None] > 0
        place = (torch.where(there, known.points, points) - self.mean_pose) / SPREAD
        features = [place.flatten(1), known.joints, known.box, known.has_box[:, None], self._waves(times)]
        x = self.stem(torch.cat(features, dim=1))
        for block in self.blocks:
            x = block(x)
        x = F.silu(self.norm(x))
        return SPREAD * self.velocity(x).view(-1, JOINTS, 2), self.presence(x)

    def _waves(self, times: Tensor) -> Tensor:
        angles = times[:, None] * torch.pi * torch.arange(1, self.config.times + 1, device=times.device)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResidualBlock(nn.Module):
    """LayerNorm and two layers, added to the input. (B,width) -> (B,width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter, self.leave = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.leave(F.silu(self.enter(F.silu(self.norm(x)))))


# The person's own unit


def frame_of(
    net: PoseCompletion,
    points_px: Tensor,
    joints: Tensor,
    boxes_px: Tensor,
    has_box: Tensor,
    usual_px: Tensor,
) -> Frame:
    """The unit of each person, from the box where there is one, else from the known joints alone.

    Args:
        net: knows the mean pose and how far its joints are from each other.
        points_px: (B,18,2); places of joints that are not known do not matter.
        joints: (B,18) 1 where a joint is known, else 0.
        boxes_px: (B,4) x0, y0, x1, y1 of the whole people.
        has_box: (B,) 0 or 1.
        usual_px: (B,) the longer side of a person, where the known joints say little about it.
    """
    count = joints.sum(1).clamp(min=1)
    weight = joints[..., None]
    points_px = torch.where(weight > 0, points_px, torch.zeros_like(points_px))
    centre = (points_px * weight).sum(1) / count[:, None]
    squares = ((points_px - centre[:, None]).square() * weight).sum((1, 2))
    # Of n points, the squared distances of all pairs add up to n times those to their centre.
    expected = torch.einsum("bi,bj,ij->b", joints, joints, net.pair_squares) / (2 * count)
    scale = ((squares + USUAL_WEIGHT * usual_px.square()) / (expected + USUAL_WEIGHT)).sqrt()
    middle = (net.mean_pose * weight).sum(1) / count[:, None]
    boxed = has_box > 0
    low, high = boxes_px[:, :2], boxes_px[:, 2:]
    longer = (high - low).amax(1).clamp(min=LEAST_BOX_PX)
    origin = torch.where(boxed[:, None], (low + high) / 2, centre - scale[:, None] * middle)
    return Frame(origin, torch.where(boxed, longer, scale))


def known_in(frame: Frame, points_px: Tensor, joints: Tensor, boxes_px: Tensor, has_box: Tensor) -> Known:
    """What is known, in the person's unit; the places of missing joints do not matter.

    Args:
        frame: of `frame_of` for the same people.
        points_px: (B,18,2).
        joints: (B,18) 1 where a joint is known, else 0.
        boxes_px: (B,4) x0, y0, x1, y1.
        has_box: (B,) 0 or 1.
    """
    points = torch.where(joints[..., None] > 0, frame.to_units(points_px), torch.zeros_like(points_px))
    corners = frame.to_units(boxes_px.view(-1, 2, 2)).flatten(1)
    return Known(points, joints, corners * has_box[:, None], has_box)


# Proposals


@torch.no_grad()
def propose(net: PoseCompletion, known: Known, noise: Tensor, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """Whole poses (B,18,2) in the person's unit, and the probability (B,18) that a camera could tell a joint.

    Args:
        net: the flow.
        known: joints and box of each person; known joints come back as they were.
        noise: (B,18,2), standard normal; less of it gives proposals nearer to the middle, zeros the middle.
        steps: of the midpoint rule along the flow.
    """
    there = known.joints[..., None] > 0
    x = net.mean_pose + SPREAD * noise
    for step in range(steps):
        times = torch.full((len(x),), step / steps, device=x.device)
        middle = x + net(x, times, known)[0] * (0.5 / steps)
        x = x + net(middle, times + 0.5 / steps, known)[0] / steps
    x = torch.where(there, known.points, x)
    present = net(x, torch.ones(len(x), device=x.device), known)[1].sigmoid()
    return x, present


def complete_person(
    net: PoseCompletion,
    person: Person,
    size: tuple[int, int],
    seed: int,
    variety: float = 1.0,
    box: Box | None = None,
) -> Person:
    """The person with the missing joints proposed; those that were there keep every bit, and their states.

    Args:
        net: the flow.
        person: any number of the 18 joints, in pixels.
        size: (height, width) of the picture; a proposal outside it is left out.
        seed: another one is another proposal.
        variety: 0 is the middle of the plausible poses, whatever the seed; 1 is all of their width.
        box: of the whole person in pixels.

    Raises:
        ValueError: when neither a joint nor a box is known.
    """
    if box is None and not person.is_present:
        raise ValueError(
            "there is nothing to complete a pose from: connect a pose with at least one joint, or the box of "
            "the whole person"
        )
    device = next(net.parameters()).device
    body = torch.from_numpy(person.body)[None].to(device)
    joints = (body[..., 2] > 0).float()
    boxes = body.new_tensor([box or (0, 0, 0, 0)])
    has_box = body.new_tensor([float(box is not None)])
    usual = body.new_tensor([USUAL_SIZE * max(size)])
    frame = frame_of(net, body[..., :2], joints, boxes, has_box, usual)
    known = known_in(frame, body[..., :2], joints, boxes, has_box)
    points, present = propose(net, known, variety * draw_noise([seed], (JOINTS, 2), device))
    return _with_proposals(person, frame.to_pixels(points)[0].cpu().numpy(), present[0].cpu().numpy(), size)


def _with_proposals(person: Person, points: np.ndarray, present: np.ndarray, size: tuple[int, int]) -> Person:
    height, width = size
    missing = person.body[:, 2] <= 0
    inside = (points >= 0).all(1) & (points[:, 0] <= width) & (points[:, 1] <= height)
    added = missing & inside & (present >= PRESENT) & np.isfinite(points).all(1)
    body = person.body.copy()
    body[added] = np.concatenate([points[added], np.ones((added.sum(), 1))], 1).astype(np.float32)
    before = person.states or (DETECTED,) * JOINTS
    states = tuple(
        PROPOSED if new else (state if point[2] > 0 else None)
        for new, state, point in zip(added, before, body, strict=True)
    )
    return replace(person, body=body, states=states)


# Files


def load_pose_completion(path: str | Path) -> PoseCompletion:
    """The network from its weights file, in eval mode; errors name the file."""
    tensors, meta = load_file(path, file_kind=FILE_KIND)
    net = built(
        lambda: PoseCompletion(config_from_metadata(CompletionConfig, meta["config"])), tensors, str(path)
    )
    return net.eval()
