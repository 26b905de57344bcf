"""Rays from the camera against boxes, balls and the walls around: enough for furniture, houses and trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .finishes import ROW, Finish, sample_noise

_NEAR = 0.15
_CORNERS = [[bool(i & 1), bool(i & 2), bool(i & 4)] for i in range(8)]


@dataclass
class Things:
    """Boxes and balls, listed while a scene is put together. Groups stand or go together."""

    boxes: list[list[float]] = field(default_factory=list)
    balls: list[list[float]] = field(default_factory=list)
    group: int = 0

    def begin(self) -> None:
        """What follows is one piece."""
        self.group += 1

    def box(self, low: tuple[float, float, float], high: tuple[float, float, float], finish: Finish) -> None:
        """A box from its lower to its upper corner, metres."""
        self.boxes.append([*low, *high, self.group, *finish.row()])

    def ball(
        self,
        centre: tuple[float, float, float],
        radius: tuple[float, float, float],
        finish: Finish,
        ragged: float = 0.0,
    ) -> None:
        """An ellipsoid.

        Args:
            centre: x, y, z in metres.
            radius: along the three axes, in metres.
            finish: of its surface.
            ragged: 0..1, how far noise eats into its outline, as of foliage.
        """
        self.balls.append([*centre, *radius, ragged, self.group, *finish.row()])

    def cleared(self, eye: Tensor, room: float) -> tuple[Tensor, Tensor]:
        """Boxes (n, 7 + ROW) and balls (m, 8 + ROW) of the groups that leave a corridor of `room` metres from
        the camera to the person, who stands at the origin.
        """
        boxes = torch.tensor(self.boxes, dtype=torch.float32).reshape(-1, 7 + ROW)
        balls = torch.tensor(self.balls, dtype=torch.float32).reshape(-1, 8 + ROW)
        steps = torch.linspace(0, 1, 12)[:, None] * eye[None, [0, 2]].cpu()
        low, high = boxes[:, [0, 2]], boxes[:, [3, 5]]
        gap = (torch.maximum(low - steps[:, None], steps[:, None] - high)).clamp_min(0).norm(dim=-1).amin(0)
        boxes_bad = (gap < room) & (boxes[:, 4] > 0.03) & (boxes[:, 1] < 2.1)
        ball_gap = ((balls[:, [0, 2]] - steps[:, None]).norm(dim=-1) - balls[:, 3]).amin(0)
        balls_bad = (ball_gap < room) & (balls[:, 1] - balls[:, 4] < 2.3)
        bad = torch.cat([boxes[boxes_bad, 6], balls[balls_bad, 7]])
        return boxes[~torch.isin(boxes[:, 6], bad)], balls[~torch.isin(balls[:, 7], bad)]


@dataclass
class Hits:
    """R rays: distance (R,), point and normal (3, R), finish rows (ROW, R), u and v (R,) metres along the
    surface; sky (R,) bool where a ray meets nothing.
    """

    distance: Tensor
    point: Tensor
    normal: Tensor
    rows: Tensor
    u: Tensor
    v: Tensor
    sky: Tensor


@dataclass
class View:
    """Rays of a picture of `side` pixels from one eye, in the place's own frame: eye (3,); rays (3, side *
    side) unit; project: points (n, 3) to x_px, y_px, depth (n, 3).
    """

    eye: Tensor
    rays: Tensor
    side: int
    project: Callable[[Tensor], Tensor]

    def frames(self, low: Tensor, high: Tensor) -> list[tuple[int, int, int, int] | None]:
        """Left, top, right, bottom of each of n boxes in the picture; None outside it."""
        pick = torch.tensor(_CORNERS, dtype=torch.bool, device=low.device)
        corners = torch.where(pick[None], low[:, None], high[:, None])
        seen = self.project(corners.reshape(-1, 3)).reshape(-1, 8, 3)
        behind = seen[..., 2] < 0.06
        first = (seen[..., :2].amin(1).floor().clamp(-9, self.side + 9)).long().tolist()
        last = (seen[..., :2].amax(1).ceil().clamp(-9, self.side + 9)).long().tolist()
        some, all_behind = behind.any(1).tolist(), behind.all(1).tolist()
        return [self._frame(*item) for item in zip(first, last, some, all_behind, strict=True)]

    def _frame(
        self, first: list[int], last: list[int], some: bool, hidden: bool
    ) -> tuple[int, int, int, int] | None:
        if some:
            return None if hidden else (0, 0, self.side, self.side)
        left, top = max(first[0], 0), max(first[1], 0)
        right, bottom = min(last[0] + 1, self.side), min(last[1] + 1, self.side)
        return (left, top, right, bottom) if right > left and bottom > top else None


def cast(view: View, boxes: Tensor, balls: Tensor, shell: Tensor) -> Hits:
    """What each ray meets first. shell (6, 2 + ROW): the walls around, one row a face in the order x low, x
    high, ground, ceiling, z low, z high: its place on its axis, 1 where it is sky, its finish.

    Args:
        view: the eye and R rays.
        boxes: one a row.
        balls: one a row.
        shell: (6, 2 + ROW), the walls around.
    """
    eye, rays = view.eye, view.rays
    distance, axis, which = _shell_distance(eye, rays, shell)
    _nearest_boxes(view, boxes, distance, which)
    leaves = sample_noise(rays[0] * 26, rays[1] * 26) if len(balls) else distance
    _nearest_balls(view, leaves, balls, distance, which, 6 + len(boxes))
    point = torch.addcmul(eye[:, None], distance, rays)
    at = ((which >= 6) & (which < 6 + len(boxes))).nonzero()[:, 0]
    box = boxes[:, :6].T.contiguous().index_select(1, which[at] - 6)
    x, y, z = ((point[:, at] - (box[:3] + box[3:]) / 2).abs() / (box[3:] - box[:3])).unbind(0)
    axis[at] = torch.where(z > torch.maximum(x, y), 2, (y > x).long())
    normal = -torch.stack([axis == 0, axis == 1, axis == 2]).float() * rays.sign()
    at = (which >= 6 + len(boxes)).nonzero()[:, 0]
    axis[at] = 2
    ball = balls[:, :7].T.contiguous().index_select(1, which[at] - 6 - len(boxes))
    normal[:, at] = _ball_normal(point[:, at], ball, leaves[at])
    origins = torch.cat([torch.zeros_like(shell[:, :3]), boxes[:, :3], balls[:, :3]]).T.contiguous()
    rows = torch.cat([shell[:, 2:], boxes[:, 7:], balls[:, 8:]]).T.contiguous().index_select(1, which)
    x, y, z = (point - origins.index_select(1, which)).unbind(0)
    u, v = torch.where(axis == 0, z, x), torch.where(axis == 1, z, y)
    sky = F.pad(shell[:, 1], (0, len(boxes) + len(balls))) > 0.5
    return Hits(distance, point, normal, rows, u, v, sky.index_select(0, which))


def _shell_distance(eye: Tensor, rays: Tensor, shell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distance at which each ray leaves the box around, the axis and the face through which it does."""
    ahead = rays > 0
    place = torch.where(ahead, shell[1::2, :1], shell[0::2, :1])
    x, y, z = ((place - eye[:, None]) / _not_zero(rays)).unbind(0)
    near = torch.minimum(x, y)
    axis = torch.where(z < near, 2, (y < x).long())
    positive = torch.where(axis == 0, ahead[0], torch.where(axis == 1, ahead[1], ahead[2]))
    return torch.minimum(near, z), axis, axis * 2 + positive.long()


def _not_zero(rays: Tensor) -> Tensor:
    """The same directions, none 0; what is not above 0 is put below it, since the planes behind are taken."""
    return torch.where(rays.abs() < 1e-6, torch.where(rays > 0, 1e-6, -1e-6), rays)


def _nearest_boxes(view: View, boxes: Tensor, distance: Tensor, which: Tensor) -> None:
    """Lower `distance` (R,) to boxes that are nearer and write their numbers into `which`."""
    planes = (1 / _not_zero(view.rays)).view(3, view.side, view.side)
    best, number = distance.view(view.side, view.side), which.view(view.side, view.side)
    start = view.eye.tolist()
    numbers = boxes[:, :6].tolist()
    for index, (frame, box) in enumerate(zip(view.frames(boxes[:, :3], boxes[:, 3:6]), numbers, strict=True)):
        if frame is None:
            continue
        rows, columns = slice(frame[1], frame[3]), slice(frame[0], frame[2])
        way = planes[:, rows, columns].unbind(0)
        enter, leave = _within(
            [way[axis] * (box[axis] - start[axis]) for axis in range(3)],
            [way[axis] * (box[3 + axis] - start[axis]) for axis in range(3)],
        )
        hit = (enter < leave) & (enter > _NEAR) & (enter < best[rows, columns])
        best[rows, columns] = torch.where(hit, enter, best[rows, columns])
        number[rows, columns] = torch.where(hit, index + 6, number[rows, columns])


def _within(one: list[Tensor], two: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Where rays come between all three pairs of planes that bound a box, and where they leave."""
    near = [torch.minimum(a, b) for a, b in zip(one, two, strict=True)]
    far = [torch.maximum(a, b) for a, b in zip(one, two, strict=True)]
    enter = torch.maximum(torch.maximum(near[0], near[1]), near[2])
    return enter, torch.minimum(torch.minimum(far[0], far[1]), far[2])


def _nearest_balls(
    view: View, leaves: Tensor, balls: Tensor, distance: Tensor, which: Tensor, number_from: int
) -> None:
    """The same for balls, numbered from `number_from`; ragged ones lack bites where `leaves` (R,) is high."""
    planes = view.rays.view(3, view.side, view.side)
    bites = leaves.view(view.side, view.side)
    best, number = distance.view(view.side, view.side), which.view(view.side, view.side)
    start = view.eye.tolist()
    frames = view.frames(balls[:, :3] - balls[:, 3:6], balls[:, :3] + balls[:, 3:6])
    for index, (frame, ball) in enumerate(zip(frames, balls[:, :7].tolist(), strict=True)):
        if frame is None:
            continue
        rows, columns = slice(frame[1], frame[3]), slice(frame[0], frame[2])
        square = [1 / ball[3 + axis] ** 2 for axis in range(3)]
        offset = [start[axis] - ball[axis] for axis in range(3)]
        x, y, z = planes[0, rows, columns], planes[1, rows, columns], planes[2, rows, columns]
        a = x * x * square[0] + y * y * square[1] + z * z * square[2]
        b = x * (offset[0] * square[0]) + y * (offset[1] * square[1]) + z * (offset[2] * square[2])
        reach = 1 - ball[6] * (0.3 + 0.45 * bites[rows, columns]).clamp(0, 0.95)
        inside = b * b - a * (sum(o * o * q for o, q in zip(offset, square, strict=True)) - reach * reach)
        near = (-b - inside.clamp_min(0).sqrt()) / a
        hit = (inside > 0) & (near > _NEAR) & (near < best[rows, columns])
        best[rows, columns] = torch.where(hit, near, best[rows, columns])
        number[rows, columns] = torch.where(hit, index + number_from, number[rows, columns])


def _ball_normal(point: Tensor, ball: Tensor, leaves: Tensor) -> Tensor:
    """Outwards, in disorder where the ball is ragged."""
    outward = _unit((point - ball[:3]) / ball[3:6] ** 2)
    rough = ball[6] * leaves
    return _unit(outward + 1.1 * torch.stack([rough, rough.abs() * 0.6, -rough]))


def _unit(vectors: Tensor) -> Tensor:
    x, y, z = vectors.unbind(0)
    return vectors * (x * x + y * y + z * z).clamp_min(1e-9).rsqrt()


def blocked(start: Tensor, toward: Tensor, boxes: Tensor, balls: Tensor) -> Tensor:
    """(R,) 0..1: how much things keep from points (3, R) of the light of a far lamp in direction (3,).

    Args:
        start: (3, R), metres.
        toward: (3,), unit.
        boxes: one a row.
        balls: one a row.
    """
    shut = torch.zeros_like(start[0])
    way = [1 / t if abs(t) > 1e-5 else 1e5 for t in toward.tolist()]
    for box in boxes[:, :6].tolist():
        enter, leave = _within(
            [(box[axis] - start[axis]) * way[axis] for axis in range(3)],
            [(box[3 + axis] - start[axis]) * way[axis] for axis in range(3)],
        )
        shut = torch.where((enter < leave) & (leave > 0.01), torch.ones_like(shut), shut)
    if len(balls):
        square = 1 / balls[:, 3:6] ** 2
        out = start.T[:, None] - balls[:, :3]
        b = (out * (square * toward)).sum(-1)
        miss = (out * out * square).sum(-1) - b * b / (square * toward * toward).sum(-1)
        shut = torch.maximum(shut, 0.85 * ((miss < 1 - 0.5 * balls[:, 6]) & (b < 0)).any(1).float())
    return shut
