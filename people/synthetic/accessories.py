"""Glasses, caps and beanies, and backpacks: things of their own geometry that are worn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws
from .hair import AROUND, SKULL_ROWS, skull
from .haircuts import Cut, Hair
from .layers import Layer, vertex_normals
from .meshes import compact, cut, tube
from .shapes import Shape
from .shells import Cover, Weave
from .skeleton import Figure
from .wardrobe import COLOURS, Cloth, Colour

_EYES = (14, 15)
_EARS = (16, 17)
FRAMES: tuple[Colour, ...] = ((0.06, 0.06, 0.06), (0.25, 0.16, 0.10), (0.55, 0.52, 0.48), (0.45, 0.10, 0.12))


@dataclass(frozen=True)
class Thing:
    """Of one colour; shine 0..1."""

    colour: Colour
    shine: float = 0.3


@dataclass(frozen=True)
class Accessories:
    """glasses: their frames' colour and whether they are dark; hat: "cap" or "beanie", its colour's
    name and cloth; bag: the colour's name of a backpack. None: not worn.
    """

    glasses: tuple[Colour, bool] | None = None
    hat: tuple[str, str, Cloth] | None = None
    bag: str | None = None


def sample_accessories(draws: Draws, shape: Shape, style: Cut) -> Accessories:
    """Glasses for one in four, more of the old; hats where the hair lets them; backpacks."""
    glasses = None
    if draws.chance(0.2 + 0.25 * shape.oldness):
        glasses = (draws.pick(FRAMES), draws.chance(0.2))
    hat = None
    if draws.chance(0.13) and not style.tied and style.top < 0.04:
        name, colour = draws.pick(("cap", "beanie", "beanie")), draws.pick(tuple(COLOURS))
        fabric = "coarse knit" if name == "beanie" else "cotton"
        hat = (name, colour, Cloth(COLOURS[colour], COLOURS[colour], fabric=fabric))
    bag = draws.pick(("black", "navy", "red", "grey", "green", "brown")) if draws.chance(0.08) else None
    return Accessories(glasses, hat, bag)


def make_glasses(figure: Figure, frame: Colour, dark: bool) -> list[Layer]:
    """Two rims, a bridge and temples to the ears; dark glasses have lenses."""
    head, joints = figure.head, figure.joints
    right, left = joints[_EYES[0]], joints[_EYES[1]]
    across, up, front = head.unbind(1)
    turn = torch.arange(20, device=head.device) * (torch.pi / 10)
    bent = torch.stack(
        [turn.cos().sign() * turn.cos().abs() ** 0.7, turn.sin().sign() * turn.sin().abs() ** 0.7], 1
    )
    lines, fills = [], []
    centres = [
        eye + 0.016 * front - 0.003 * up + side * 0.002 * across for eye, side in ((right, -1), (left, 1))
    ]
    for centre in centres:
        rim = (
            centre
            + bent[:, :1] * 0.0235 * across
            + bent[:, 1:] * 0.0175 * up
            - (bent[:, :1] ** 2) * 0.002 * front
        )
        lines.append(torch.cat([rim, rim[:1]]))
        fills.append(torch.cat([centre[None], rim]))
    gap = 0.0225 * across
    lines.append(
        torch.stack([centres[0] + gap, (centres[0] + centres[1]) / 2 + 0.003 * up, centres[1] - gap])
    )
    for centre, ear, side in zip(centres, _EARS, (-1, 1), strict=True):
        hinge = centre + side * 0.0235 * across + 0.004 * up
        behind = joints[ear] + side * 0.012 * across + 0.022 * up
        lines.append(torch.stack([hinge, hinge + side * 0.006 * across - 0.012 * front, behind]))
    made = [_thing("glasses", *_wires(lines, head, 0.0016), Thing(frame, 0.5), 0.004)]
    if dark:
        fan = torch.arange(1, 21, device=head.device)
        faces = torch.stack([torch.zeros_like(fan), fan, fan % 20 + 1], 1)
        made.append(
            _thing(
                "glasses",
                torch.cat(fills),
                torch.cat([faces, faces + 21]),
                Thing((0.05, 0.05, 0.06), 0.9),
                0.003,
            )
        )
    return made


def _wires(lines: list[Tensor], head: Tensor, half: float) -> tuple[Tensor, Tensor]:
    """Vertices and faces of wires with a square section along lines (n,3) in the head's frame."""
    across, up, front = head.unbind(1)
    vertices, faces, start = [], [], 0
    for line in lines:
        corners = torch.stack(
            [
                half * (a * up + b * front + 0.6 * a * b * across)
                for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))
            ]
        )
        vertices.append((line[:, None] + corners[None]).reshape(-1, 3))
        faces.append(tube(len(line), 4).to(line.device) + start)
        start += 4 * len(line)
    return torch.cat(vertices), torch.cat(faces)


def _thing(
    name: str, vertices: Tensor, faces: Tensor, material: object, lift: float, part: int = 24
) -> Layer:
    label = torch.full((len(vertices),), part, device=vertices.device)
    middle = torch.full_like(vertices[:, :2], 0.5)
    return Layer(name, vertices, faces, vertices, middle, label, middle, material, two_sided=True, lift=lift)


def make_hat(figure: Figure, hair: Hair, style: str, cloth: Cloth) -> list[Layer]:
    """A beanie or a cap over the skull and what hair there is; a cap has a peak.

    Args:
        figure: who wears it.
        hair: what is under it.
        style: a beanie or a cap.
        cloth: what it is made of.
    """
    known = skull(str(figure.rest.device))
    base = (figure.rest[known.near] * known.shares[..., None]).sum(1)
    beanie = style == "beanie"
    up = ((known.height + 5) / 80).clamp(0, 1)
    thick = 0.016 + (0.03 if beanie else 0.016) * up**2 + 0.4 * hair.style.top
    rest = base + known.out * thick[:, None]
    world = figure.pose_rigid(rest, "head")
    front = torch.cos(torch.deg2rad(known.angle))
    inside = known.place[:, 1] - (0.945 + 0.012 * front)
    faces = tube(SKULL_ROWS, AROUND).flip(1).to(world.device)
    angle = torch.deg2rad(known.angle)
    sheet = torch.stack([angle.sin() * 0.1, known.place[:, 1], angle.cos() * 0.1], 1)
    along = -figure.head[:, 1].expand_as(world)
    table = torch.cat([world, vertex_normals(world, faces), sheet, along, inside[:, None]], 1)
    table, _, faces, _ = cut(table, faces, inside)
    table, faces, _ = compact(table, faces)
    world, normals, sheet, along, edge = table.split([3, 3, 3, 3, 1], 1)
    part, middle = torch.where(sheet[:, 0] > 0, 24, 23), torch.full_like(world[:, :2], 0.5)
    weave = Weave(sheet, along, edge[:, 0], torch.zeros_like(edge[:, 0]), torch.full_like(edge[:, 0], 0.1))
    made = [
        Layer(
            "hat",
            world,
            faces,
            sheet,
            middle,
            part,
            middle,
            (cloth, weave),
            two_sided=True,
            lift=0.03,
            normals=normals,
        )
    ]
    if not beanie:
        made.append(_peak(figure, rest, known.angle, known.place, cloth))
    return made


def _peak(figure: Figure, rest: Tensor, angle: Tensor, place: Tensor, cloth: Cloth) -> Layer:
    """The peak of a cap: from the rim over the forehead, forwards and a little down."""
    columns = torch.linspace(-55, 55, 13, device=rest.device)
    level = (place[:, 1] - 0.957).abs() * 40
    near = (level[None] + ((angle[None] - columns[:, None]) / 20) ** 2).argmin(1)
    rim = rest[near]
    a = torch.deg2rad(columns)
    reach = 0.075 * torch.cos(a * 1.55).clamp_min(0.0)
    forward = rest.new_tensor([0.0, -0.30, 1.0])
    rows = [
        rim
        + forward * (reach * share)[:, None]
        - rest.new_tensor([0.0, 0.012, 0]) * (a[:, None] ** 2) * share
        for share in (0.0, 0.5, 1.0)
    ]
    world = figure.pose_rigid(torch.cat(rows), "head")
    index = (torch.arange(2)[:, None] * 13 + torch.arange(12)[None]).flatten().to(rest.device)
    faces = torch.cat(
        [torch.stack([index, index + 13, index + 1], 1), torch.stack([index + 1, index + 13, index + 14], 1)]
    )
    return _thing("hat", world, faces, Thing(tuple(0.9 * c for c in cloth.colour), 0.1), 0.008)  # type: ignore[arg-type]


def make_backpack(worn: Cover, colour: str) -> list[Layer]:
    """A bag on the back and two straps over the shoulders."""
    known = worn.fields
    x, y, z = known.mean.unbind(1)
    moves = worn.moves[((x.abs() < 0.06) & (y > 0.42) & (y < 0.62) & (z < 0)).nonzero()[:, 0]].mean(0)
    back = worn.rest[(x.abs() < 0.1) & (y > 0.3) & (y < 0.7), 2].amin()
    foot = worn.rest[:, 1].amin() - known.mean[:, 1].amin()
    turn = torch.arange(20, device=x.device) * (torch.pi / 10)
    c, s = turn.cos(), turn.sin()
    rings = []
    for height, wide, deep in (
        (0.27, 0.08, 0.03),
        (0.28, 0.135, 0.07),
        (0.45, 0.145, 0.085),
        (0.62, 0.13, 0.07),
        (0.67, 0.09, 0.04),
    ):
        ring = torch.stack(
            [wide * c.sign() * c.abs() ** 0.5, torch.full_like(c, height), deep * s.sign() * s.abs() ** 0.6],
            1,
        )
        rings.append(ring + torch.stack([back * 0, foot, back - 0.062]))
    rest = torch.cat(rings)
    world = rest @ moves[:9].view(3, 3).T + moves[9:]
    material = Thing(COLOURS[colour], 0.15)
    made = [_thing("bag", world, tube(5, 20).to(world.device), material, 0.0, 1)]
    return made + [_strap(worn, side, material) for side in (-1, 1)]


def _strap(worn: Cover, side: int, material: Thing) -> Layer:
    """A strap from under the arm over the shoulder, on top of the clothes."""
    points = (
        (0.15, 0.40, -0.04),
        (0.155, 0.38, 0.03),
        (0.13, 0.38, 0.10),
        (0.105, 0.46, 0.14),
        (0.105, 0.56, 0.14),
        (0.10, 0.64, 0.10),
        (0.095, 0.71, 0.06),
        (0.09, 0.74, 0.0),
        (0.085, 0.71, -0.06),
        (0.08, 0.65, -0.09),
    )
    mean = worn.rest.new_tensor([(side * a, b, c) for a, b, c in points])
    trunk = (worn.fields.arm < 0.3).nonzero()[:, 0]
    near = trunk[torch.cdist(mean, worn.fields.mean[trunk]).argmin(1)]
    world = torch.cat([
        ((worn.moves[near][:, :9].view(-1, 3, 3) @ place[..., None])[..., 0] + worn.moves[near][:, 9:])
        for offset in (-0.024, 0.024)
        for place in [worn.rest[near] + 0.018 * worn.normals[near] + worn.rest.new_tensor([offset, 0, 0])]
    ])  # fmt: skip
    i = torch.arange(len(points) - 1, device=world.device)
    n = len(points)
    faces = torch.cat([torch.stack([i, i + n, i + 1], 1), torch.stack([i + 1, i + n, i + n + 1], 1)])
    return _thing("bag", world, faces, material, 0.035, 2)
