"""Cloth on a body: the body's smooth cover, loosened so that it hangs, posed and cut to a garment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .asset import BodyAsset, body_asset
from .layers import Layer, vertex_normals
from .meshes import compact, cut, hem, neighbours, relaxed
from .skeleton import Figure

_ARM = ("upperarm", "lowerarm", "wrist", "finger")
_LEG = ("upperleg", "lowerleg", "foot")
ANGLES, HEIGHTS = 24, 22


@dataclass(frozen=True)
class Fields:
    """Where the cover's v vertices are on the mean body, for cutting and for patterns.

    mean (v,3); arm, leg (v,): share of those limbs' bones; along_arm (v,): metres from the shoulder; axis
    (v,3): the nearest point of the limb's or trunk's middle; sheet (v,3): across, along and deep, in which
    cloth is woven; bone direction (v,3) at rest; beside (v,8) neighbours; near (ANGLES*HEIGHTS,) the
    vertex at each place round the trunk.
    """

    mean: Tensor
    arm: Tensor
    leg: Tensor
    along_arm: Tensor
    segment: Tensor
    place: Tensor
    sheet: Tensor
    direction: Tensor
    beside: Tensor
    near: Tensor
    spot: Tensor
    ends: list[tuple[int, Tensor, Tensor]]


@lru_cache(maxsize=4)
def fields(device: str) -> Fields:
    """Worked out once."""
    asset = body_asset(device)
    span = asset.ranges["tights"]
    mean = asset.mean[span]
    arm, leg = (_share(asset, names)[span] for names in (_ARM, _LEG))
    joints = asset.mean[asset.ranges["joints"]]
    along, segment, place, direction, sheet = _limbs(asset, mean, arm, leg, joints)
    angle = torch.atan2(mean[:, 0], mean[:, 2] - 0.02) / (2 * torch.pi) % 1
    row = ((0.74 - mean[:, 1]) / (0.74 - 0.08) * (HEIGHTS - 1)).clamp(0, HEIGHTS - 1)
    grid = (
        torch.stack(torch.meshgrid(torch.arange(HEIGHTS), torch.arange(ANGLES), indexing="ij"), -1)
        .view(-1, 2)
        .to(mean)
    )
    trunk = arm < 0.35
    apart = (angle[None] - grid[:, 1:] / ANGLES + 0.5) % 1 - 0.5
    far = (apart * 1.2) ** 2 + ((row[None] - grid[:, :1]) / HEIGHTS) ** 2 + 10.0 * ~trunk[None]
    return Fields(
        mean, arm, leg, along, segment, place, sheet, direction,
        neighbours(asset.faces["tights"].cpu() - span.start, len(mean)).to(device), far.argmin(1),
        torch.stack([row, angle * ANGLES], 1), _ends(segment, place),
    )  # fmt: skip


def _share(asset: BodyAsset, names: tuple[str, ...]) -> Tensor:
    own = torch.tensor([name.startswith(names) for name in asset.bone_names], device=asset.mean.device)
    return asset.skinning @ own.float()


def _limbs(
    asset: BodyAsset, mean: Tensor, arm: Tensor, leg: Tensor, joints: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Along the arm, the bone of the nearest limb, the share along it, its direction, woven coordinates."""
    left = mean[:, 0] > 0
    side = torch.where(left, 1.0, -1.0)[:, None] * mean.new_tensor([1.0, 0, 0]) + mean.new_tensor([0.0, 1, 1])
    own = mean * side

    def joint(name: str) -> Tensor:
        return joints[asset.bone(f"{name}.L")]

    shoulder, elbow, wrist = joint("upperarm01"), joint("lowerarm01"), joint("wrist")
    hip, knee, ankle = joint("upperleg01"), joint("lowerleg01"), joint("foot")
    upper, lower = _unit(elbow - shoulder), _unit(wrist - elbow)
    first = (own - shoulder) @ upper
    length = (elbow - shoulder).norm()
    beyond = (own - elbow) @ lower
    on_lower = (first > length) & (beyond > 0)
    along = torch.where(on_lower, length + beyond, first.minimum(length))
    thigh, shin = _unit(knee - hip), _unit(ankle - knee)
    on_shin = (own - knee) @ shin > 0
    is_arm, is_leg = arm > 0.5, leg > 0.5
    start = torch.where(on_lower[:, None], elbow, shoulder)
    direction = torch.where(on_lower[:, None], lower, upper)
    leg_start = torch.where(on_shin[:, None], knee, hip)
    leg_direction = torch.where(on_shin[:, None], shin, thigh)
    origin = torch.where(
        is_arm[:, None], start, torch.where(is_leg[:, None], leg_start, torch.zeros_like(own))
    )
    down = mean.new_tensor([0.0, -1, 0]).expand_as(own)
    direction = torch.where(is_arm[:, None], direction, torch.where(is_leg[:, None], leg_direction, down))
    place = ((own - origin) * direction).sum(1)
    middle = origin + place[:, None] * direction
    middle[:, 2] += torch.where(is_arm | is_leg, 0.0, 0.015)
    out = own - middle
    front = mean.new_tensor([0.0, 0, 1]).expand_as(own)
    ahead = front - (front * direction).sum(1, keepdim=True) * direction
    ahead = ahead / ahead.norm(dim=1, keepdim=True)
    across = torch.linalg.cross(direction, ahead)
    across = across * torch.where(is_arm | is_leg, 1.0, -1.0)[:, None]
    height = torch.where(is_arm, shoulder[1] - along, own[:, 1])
    sheet = torch.stack([(out * across).sum(1) * side[:, 0], height, (out * ahead).sum(1)], 1)
    segment = torch.where(
        is_arm, torch.where(on_lower, 2, 1), torch.where(is_leg, torch.where(on_shin, 4, 3), 0)
    )
    flat = ((own[:, 1] - 0.56) / 0.1).clamp(0, 1) * ~(is_arm | is_leg)
    ahead_by = torch.tanh(sheet[:, 2] / 0.02) * torch.maximum(sheet[:, 2].abs(), 0.11 * flat)
    sheet[:, 2] = torch.lerp(sheet[:, 2], ahead_by, flat)
    return (
        torch.where(is_arm, along, torch.zeros_like(along)),
        segment * side[:, 0].long(),
        place,
        direction * side,
        sheet,
    )


def _ends(segment: Tensor, place: Tensor) -> list[tuple[int, Tensor, Tensor]]:
    """The vertices round the beginning and the end of each limb's halves: their middles are its line."""
    found = []
    for number in (-4, -3, -2, -1, 1, 2, 3, 4):
        own = (segment == number).nonzero()[:, 0]
        low, high = torch.quantile(place[own], torch.tensor([0.3, 0.75], device=place.device)).tolist()
        found.append((number, own[(place[own] - low).abs() < 0.03], own[(place[own] - high).abs() < 0.03]))
    return found


def _unit(v: Tensor) -> Tensor:
    return v / v.norm()


@dataclass(frozen=True)
class Cover:
    """A person's cover: at rest, its normals, how each vertex moves (v,12), and the bones' lines at rest."""

    figure: Figure
    fields: Fields
    rest: Tensor
    normals: Tensor
    moves: Tensor
    out: Tensor
    radius: Tensor
    middle: Tensor
    bend: Tensor


def cover(figure: Figure) -> Cover:
    """The cover of that person, as it is at rest and how the pose moves it."""
    asset = figure.asset
    known = fields(str(figure.rest.device))
    span = asset.ranges["tights"]
    rest = figure.rest[span]
    faces = asset.faces["tights"] - span.start
    moves = asset.skinning[span] @ torch.cat([figure.bone_rotation.flatten(1), figure.bone_shift], 1)
    middle = rest * rest.new_tensor([0.0, 1, 0]) + rest.new_tensor([0.0, 0, 0.015])
    for segment, start, end in known.ends:
        own = known.segment == segment
        first, last = rest[start].mean(0), rest[end].mean(0)
        line = _unit(last - first)
        middle[own] = first + ((rest[own] - first) @ line)[:, None] * line
    out = rest - middle
    radius = out.norm(dim=1)
    normals, out = vertex_normals(rest, faces), out / radius[:, None].clamp_min(1e-4)
    return Cover(figure, known, rest, normals, moves, out, radius, middle, bending(known, moves))


def hanging(worn: Cover, points: Tensor, fit: float) -> Tensor:
    """Points of the trunk moved outwards to where cloth falls straight from chest and belly; fit 0 clings,
    1 hangs free.
    """
    known = worn.fields
    flat = (points - points.new_tensor([0.0, 0, 0.015])) * points.new_tensor([1.0, 0, 1])
    radius = flat.norm(dim=1)
    grid = radius[known.near].view(HEIGHTS, ANGLES)
    grid = (grid.roll(1, 1) + 2 * grid + grid.roll(-1, 1)) / 4
    fallen = grid.cummax(0).values
    grid = grid + fit * (fallen - grid)
    grid = torch.maximum(grid, (grid.roll(1, 1) + grid.roll(-1, 1)) / 2)
    row, column = known.spot.unbind(1)
    r0, c0 = row.floor().long().clamp(0, HEIGHTS - 2), column.floor().long() % ANGLES
    fr, fc, c1 = row - r0, column - column.floor(), (c0 + 1) % ANGLES
    top = torch.lerp(grid[r0, c0], grid[r0, c1], fc)
    wanted = torch.lerp(top, torch.lerp(grid[r0 + 1, c0], grid[r0 + 1, c1], fc), fr)
    trunk = ((0.4 - known.arm) * 5).clamp(0, 1) * ((known.mean[:, 1] - 0.02) * 20).clamp(0, 1)
    more = (wanted - radius).clamp(0, 0.12) * trunk
    return points + flat / radius[:, None].clamp_min(1e-4) * more[:, None]


def loosened(worn: Cover, base: float, sleeve: Tensor, fit: float, rounds: int = 4) -> Tensor:
    """The cover at rest (v,3), `base` metres off the skin, limbs wider by sleeve (v,) metres, hanging.

    Args:
        worn: the cover.
        base: metres off the skin.
        sleeve: (v,) metres.
        fit: 0 clings, 1 hangs free.
        rounds: of smoothing.
    """
    points = worn.rest + base * worn.normals + (sleeve[:, None] * worn.out)
    if fit > 0:
        points = hanging(worn, points, fit)
    points = relaxed(points, worn.fields.beside, 0.6, rounds, worn.normals)
    short = (base * 0.8 - ((points - worn.rest) * worn.normals).sum(1)).clamp_min(0)
    return points + short[:, None] * worn.normals


def posed(worn: Cover, points: Tensor) -> Tensor:
    """Points (v,3) of the cover at rest, moved as the pose moves it."""
    return (worn.moves[:, :9].view(-1, 3, 3) @ points[..., None])[..., 0] + worn.moves[:, 9:]


@dataclass(frozen=True)
class Weave:
    """What paint needs of each vertex of cloth: sheet (v,3) woven coordinates in metres, along (v,3) the
    direction down the limb or trunk in the world, edge (v,): metres to the nearest edge of the garment, bend
    (v,): 0..1 how much the joint near by is bent, girth (v,): metres from the middle of trunk or limb.
    """

    sheet: Tensor
    along: Tensor
    edge: Tensor
    bend: Tensor
    girth: Tensor

    def table(self) -> Tensor:
        """(v,9): sheet, edge, bend, girth, along."""
        alone = torch.stack([self.edge, self.bend, self.girth], 1)
        return torch.cat([self.sheet, alone, self.along], 1)


def garment(
    name: str,
    worn: Cover,
    points: Tensor,
    field: Tensor,
    material: object,
    lift: float,
    thickness: float = 0.006,
    rounds: int = 2,
    upper: bool = False,
) -> Layer:
    """A layer of cloth: the cover at rest, posed, relaxed, and cut where field is below 0.

    Args:
        name: of the layer.
        worn: the cover.
        points: (v,3) of the cover at rest.
        field: (v,), below 0 where it is cut.
        material: what it is made of.
        lift: metres by which it is drawn nearer than it is.
        thickness: metres.
        rounds: of smoothing.
        upper: whether it is cloth of the trunk that goes on over the thighs.
    """
    asset, known = worn.figure.asset, worn.fields
    span = asset.ranges["tights"]
    faces = asset.faces["tights"] - span.start
    turned = (worn.moves[:, :9].view(-1, 3, 3) @ worn.normals[..., None])[..., 0]
    world = relaxed(posed(worn, points), known.beside, 0.5, rounds, turned)
    normals = vertex_normals(world, faces)
    along = (worn.moves[:, :9].view(-1, 3, 3) @ known.direction[..., None])[..., 0]
    sheet = torch.where(
        (upper & (known.leg > 0.5))[:, None], known.mean - known.mean.new_tensor([0.0, 0, 0.015]), known.sheet
    )
    thigh = (known.leg > 0.5) & (not upper)
    girth = torch.where(known.arm > 0.5, 0.045, torch.where(thigh, 0.075, 0.125))
    table = torch.cat([world, normals, sheet, asset.uv[span], asset.part_uv[span], along, field[:, None],
                       worn.bend[:, None], girth[:, None]], 1)  # fmt: skip
    return cloth_layer(name, table, faces, field, asset.part[span], material, lift, thickness)


def cloth_layer(
    name: str, table: Tensor, faces: Tensor, field: Tensor, part: Tensor, material: object, lift: float,
    thickness: float,
) -> Layer:  # fmt: skip
    """A layer from a table (v,19): place, normal, sheet, uv, part_uv, along, edge, bend, girth; cut.

    Args:
        name: of the layer.
        table: (v,19).
        faces: (f,3).
        field: (v,), below 0 where it is cut.
        part: body part of each corner.
        material: what it is made of.
        lift: metres by which it is drawn nearer than it is.
        thickness: metres.
    """
    table, source, faces, edges = cut(table, faces, field)
    table, source, faces = hem(table, source, faces, edges, thickness)
    table, faces, kept = compact(table, faces)
    columns = table.split([3, 3, 3, 2, 2, 3, 1, 1, 1], 1)
    place, normals, sheet, uv, part_uv, along, edge, bend, girth = columns
    weave = Weave(sheet, along, edge[:, 0], bend[:, 0], girth[:, 0])
    return Layer(
        name,
        place,
        faces,
        sheet,
        uv,
        part[source[kept]],
        part_uv,
        (material, weave),
        cloth=True,
        two_sided=True,
        lift=lift,
        normals=normals,
    )


def bending(known: Fields, moves: Tensor) -> Tensor:
    """(v,) 0..1: how much cloth is bent where it is: elbows, knees, hips and waist."""
    turn = moves[:, :9].view(-1, 3, 3)
    here = (turn @ known.direction[..., None])[..., 0]
    other = here[known.beside]
    apart = (1 - (other * here[:, None]).sum(2)).clamp_min(0).amax(1)
    return relaxed(apart[:, None].clamp_max(0.4), known.beside, 0.7, 2)[:, 0].mul(5).clamp(0, 1)
