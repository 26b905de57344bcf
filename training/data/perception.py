"""Batches that perception learns from: people of a data set in surroundings, company and frames of all kinds.

A picture is drawn in steps: a kind of picture of the person; a photograph in place of its background;
another person beside, behind or in front; a frame round all or part of the person, turned and mirrored;
something in front; a camera's effects; the picture's own borders, beyond which all is one colour. Joints,
mask and DensePose labels go along, and what gets covered is no longer there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...models.perception.pose import LETTERBOX_GREY
from ...people.densepose import MIRRORED
from ..run.recipe import Split
from .augmentation import Views, exchange_sides, move_joints, random_fill, sampled
from .backgrounds import Backgrounds, open_backgrounds
from .people import PeopleDataset, rows
from .photographic import photographed, random_covers

FOLDER = "perception"
"""Of the data set: people in all views."""
SOURCES = ("occluded", "unoccluded", "complete", "cutout")
SHARES = (0.5, 0.3, 0.1, 0.1)
REPLACED = (0.35, 0.45, 0.35, 0.5)
"""Share of each kind of picture whose background a photograph takes."""
AS_RENDERED = 0.2
"""Share of pictures that are shown as they were rendered, where a recipe has no share of its own."""
IN_FRONT = 0.35
"""How many of the further people stand in front."""
COVERED = 0.3
BORDER_NEAR, BORDER_FAR = -0.05, 0.25
"""Where a border lies, from the person outwards, as a share of the frame's side; it may cut a little off."""
ENDING = 0.8
"""How often the picture ends where the part of a person that is framed does."""
GREY_BORDERS = 0.7


class PerceptionData(NamedTuple):
    """A data set, photographs to set its people in, and whether its pictures are changed at random."""

    people: PeopleDataset
    backgrounds: Backgrounds | None
    augment: bool


@dataclass(frozen=True)
class Company:
    """Further people. shares: of pictures that get one, and then, of all, another; nearest: how far they are
    moved at least, as a share of the side; exchanged: how often the further person is the one that is meant.
    """

    shares: tuple[float, ...] = (0.3,)
    nearest: float = 0.18
    exchanged: float = 0.0


@dataclass(frozen=True)
class Framing:
    """How a person's box (w x h) is framed; the frame's side is over the longer side of the box, or its part.

    upper: share of frames that show the upper part alone. distant: share that are up to `farthest` as wide.
    bordered: share of frames in which the picture ends near the person, by side. together: share of frames
    round the person and the company.
    """

    sides: tuple[float, float] = (1.0, 1.7)
    farthest: float = 3.0
    distant: float = 0.12
    upper: float = 0.4
    degrees: float = 14.0
    stray: float = 0.12
    bordered: float = 0.3
    together: float = 0.0


@dataclass(frozen=True)
class Drawn:
    """images (B,3,S,S) in 0..1; mask (B,1,S,S) of what can be seen of the person; labels (B,1,S,S) DensePose;
    joints (B,18,3) px; present (B,18) 0/1, joints that can be seen; others (B,1,S,S) what can be seen of
    further people.
    """

    images: Tensor
    mask: Tensor
    labels: Tensor
    joints: Tensor
    present: Tensor
    others: Tensor


def open_perception(data_root: Path) -> Split:
    """The people rendered for perception, and photographs beside them; held out are the family's people."""
    root = Path(data_root)
    train, held_out = PeopleDataset.open(root / FOLDER), PeopleDataset.open(root / "held_out")
    return Split(PerceptionData(train, open_backgrounds(root), True), PerceptionData(held_out, None, False))


def draw_people(
    data: PerceptionData,
    indices: np.ndarray,
    generator: torch.Generator,
    framing: Framing = Framing(),
    shares: tuple[float, ...] = SHARES,
    company: Company = Company(),
    only_framed: float = 0.0,
    as_rendered: float = AS_RENDERED,
) -> Drawn:
    """A picture for each index, its kind drawn by `shares`; unchanged without `data.augment`.

    Args:
        data: the people, and photographs for their backgrounds.
        indices: (B,) which of the people.
        generator: where the random numbers come from.
        framing: how the pictures frame the people.
        shares: of SOURCES, sum 1.
        company: how many get somebody beside them, and of what kind.
        only_framed: share of the others that are frames of what was rendered, 0..1.
        as_rendered: share that have not even a frame of their own, 0..1.
    """
    sources = torch.multinomial(torch.tensor(shares), len(indices), replacement=True, generator=generator)
    rendered = images_of(data.people, indices, sources)
    if not data.augment:
        return rendered
    draw = torch.rand(len(indices), generator=generator)
    framed_below = as_rendered + (1 - as_rendered) * only_framed
    drawn = Drawn(*(value.clone() for value in vars(rendered).values()))
    alone = torch.nonzero((draw >= as_rendered) & (draw < framed_below))[:, 0]
    if len(alone):
        put(drawn, alone, framed(of(rendered, alone), framing, generator)[0])
    rest = torch.nonzero(draw >= framed_below)[:, 0]
    if len(rest):
        put(drawn, rest, disturbed(of(rendered, rest), sources[rest], data, generator, framing, company))
    return drawn


def of(drawn: Drawn, where: Tensor) -> Drawn:
    """A copy of the pictures with these numbers (n,)."""
    return Drawn(*(value[where] for value in vars(drawn).values()))


def put(drawn: Drawn, where: Tensor, part: Drawn) -> None:
    """Replace the pictures with these numbers (n,) by the n of `part`."""
    for name, value in vars(drawn).items():
        value[where] = getattr(part, name)


def disturbed(
    drawn: Drawn,
    sources: Tensor,
    data: PerceptionData,
    generator: torch.Generator,
    framing: Framing,
    company: Company,
) -> Drawn:
    """People with all that can happen to a picture of them.

    Args:
        drawn: B pictures as rendered; changed in place.
        sources: (B,) numbers of SOURCES.
        data: photographs, and whom company is taken from.
        generator: where the random numbers come from.
        framing: how the pictures frame the people.
        company: how many get somebody beside them, and of what kind.
    """
    if data.backgrounds is not None:
        drawn = with_photographs(drawn, sources, data.backgrounds, generator)
    for share in company.shares:
        drawn = with_company(drawn, data.people, generator, replace(company, shares=(share,)))
    drawn, ends = framed(drawn, framing, generator)
    drawn = behind_things(drawn, data.backgrounds, generator)
    drawn = replace(drawn, images=photographed(drawn.images, generator))
    return within_borders(drawn, ends, framing.bordered, generator)


def images_of(people: PeopleDataset, indices: np.ndarray, sources: Tensor) -> Drawn:
    """The pictures as rendered; kinds (B,) number SOURCES."""
    joints, size = rows(people.joints, indices).float(), people.size
    images = torch.empty(len(indices), 3, size, size)
    for number, source in enumerate(SOURCES):
        where = np.flatnonzero(sources.numpy() == number)
        if len(where):
            images[where] = people.images(source, indices[where])
    occluded = sources[:, None] == SOURCES.index("occluded")
    visible = people.images("visible_mask", indices) > 0.5
    mask = torch.where(occluded[:, :, None, None], visible, people.images("amodal_mask", indices) > 0.5)
    uncovered = rows(people.joint_visible, indices) | ~occluded
    labels = rows(people.densepose_i, indices)[:, None].float() * mask
    present = ((joints[..., 2] > 0) & uncovered).float()
    return Drawn(images, mask.float(), labels, joints, present, torch.zeros_like(labels))


def with_photographs(
    drawn: Drawn, sources: Tensor, backgrounds: Backgrounds, generator: torch.Generator
) -> Drawn:
    """A photograph in place of all but the person in some of the pictures.

    Args:
        drawn: B pictures; changed in place.
        sources: (B,) numbers of SOURCES, which decide how often.
        backgrounds: the photographs.
        generator: where the random numbers come from.
    """
    chance = torch.tensor(REPLACED)[sources]
    where = torch.nonzero(torch.rand(len(sources), generator=generator) < chance)[:, 0]
    if len(where):
        crops = backgrounds.crops(len(where), drawn.images.shape[-1], generator)
        drawn.images[where] = torch.lerp(crops, drawn.images[where], drawn.mask[where])
    return drawn


def with_company(
    drawn: Drawn, people: PeopleDataset, generator: torch.Generator, company: Company = Company()
) -> Drawn:
    """Another of the data set's people beside, behind or in front of some; who is meant may change.

    Args:
        drawn: the people, each alone.
        people: where the others come from.
        generator: where the random numbers come from.
        company: how many get somebody, how near, and how often the other one is meant.
    """
    count = len(drawn.images)
    where = torch.nonzero(torch.rand(count, generator=generator) < company.shares[0])[:, 0]
    if not len(where):
        return drawn
    chosen = torch.randint(len(people), (len(where),), generator=generator).numpy()
    views = _beside(len(where), drawn.images.shape[-1], company.nearest, generator)
    other = _moved(images_of(people, chosen, torch.full((len(where),), SOURCES.index("unoccluded"))), views)
    front = (torch.rand(len(where), 1, 1, 1, generator=generator) < IN_FRONT).float()
    own = of(drawn, where)
    shape = other.mask * torch.maximum(1 - own.mask, front)
    image = torch.lerp(own.images, other.images, shape)
    further = own.others * (1 - shape)
    own, other = hidden_by(own, shape), hidden_by(other, 1 - shape)
    exchanged = torch.rand(len(where), generator=generator) < company.exchanged
    meant = replace(own, images=image, others=torch.maximum(further, shape))
    instead = replace(other, images=image, others=torch.maximum(further, own.mask))
    whole = {name: value.clone() for name, value in vars(drawn).items()}
    for name, value in whole.items():
        first, second = getattr(meant, name), getattr(instead, name)
        value[where] = torch.where(exchanged.reshape(-1, *(1,) * (first.ndim - 1)), second, first)
    return Drawn(**whole)


def _moved(drawn: Drawn, views: Views) -> Drawn:
    """People under views that mirror nobody."""
    grid, joints = views.grid(), move_joints(views, drawn.joints)
    image, mask = sampled(torch.cat([drawn.images, drawn.mask], dim=1), grid).split([3, 1], dim=1)
    mask = (mask > 0.5).float()
    labels = sampled(drawn.labels, grid, mode="nearest") * mask
    return Drawn(image, mask, labels, joints, drawn.present * (joints[..., 2] > 0), torch.zeros_like(mask))


def _beside(count: int, size: int, nearest: float, generator: torch.Generator) -> Views:
    """Views that move people to either side, some nearer and some farther away."""
    draw = torch.rand(count, 4, generator=generator)
    scale = 0.6 * 2 ** draw[:, 0]
    side = torch.where(draw[:, 1] < 0.5, -1.0, 1.0)
    shift = torch.stack([side * (nearest + 0.35 * draw[:, 2]), 0.24 * draw[:, 3] - 0.12], dim=1) * size
    matrix = scale[:, None, None] * torch.eye(2)
    return Views(matrix, shift, torch.zeros(count, dtype=torch.bool), size)


def framed(drawn: Drawn, framing: Framing, generator: torch.Generator) -> tuple[Drawn, Tensor]:
    """Every picture as a frame round the person shows it, and the line (B,) px at which an upper part ends,
    infinite for whole people.
    """
    together = torch.rand(len(drawn.images), 1, 1, 1, generator=generator) < framing.together
    framed_ones = torch.maximum(drawn.mask, drawn.others * together)
    boxes, upper = part_boxes(mask_boxes(framed_ones), framing.upper, generator)
    views = person_views(boxes, drawn.images.shape[-1], framing, generator)
    moved, grid = move_joints(views, drawn.joints), views.grid()
    labels = sampled(drawn.labels, grid, mode="nearest")
    mirrored = torch.tensor(MIRRORED, dtype=torch.float32)[labels.long()]
    labels = torch.where(views.flipped[:, None, None, None], mirrored, labels)
    present = exchange_sides(views, drawn.present) * (moved[..., 2] > 0)
    images = sampled(drawn.images, grid, random_fill(drawn.images, generator))
    mask, others = (sampled(torch.cat([drawn.mask, drawn.others], dim=1), grid) > 0.5).float().chunk(2, dim=1)
    bottom = torch.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], dim=1)
    ends = torch.where(upper, views.move(bottom[:, None])[:, 0, 1], torch.inf)
    return Drawn(images, mask, labels, moved, present, others), ends


def part_boxes(boxes: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Boxes (B,4), of a share of people their upper part, and which these are (B,) bool."""
    draw = torch.rand(len(boxes), 2, generator=generator)
    upper = draw[:, 0] < share
    part = torch.where(upper, 0.25 + 0.55 * draw[:, 1], 1.0)
    height = boxes[:, 3] - boxes[:, 1]
    return torch.cat([boxes[:, :3], (boxes[:, 1] + part * height)[:, None]], dim=1), upper


def person_views(boxes: Tensor, size: int, framing: Framing, generator: torch.Generator) -> Views:
    """A frame round each box; turned and mirrored at random.

    Args:
        boxes: (B,4) x0, y0, x1, y1 in pixels.
        size: side of the views in pixels.
        framing: how far, how wide, how much turned.
        generator: where the random numbers come from.
    """
    count = len(boxes)
    draw = torch.rand(count, 6, generator=generator)
    low, high = boxes[:, :2], boxes[:, 2:]
    nearest, widest = framing.sides
    wide = torch.where(draw[:, 0] < framing.distant, framing.farthest, widest)
    side = (high - low).amax(1).clamp_min(8) * (nearest * (wide / nearest) ** draw[:, 1])
    centre = (low + high) / 2 + (draw[:, 2:4] * 2 - 1) * framing.stray * side[:, None]
    angle = torch.randn(count, generator=generator).clamp(-3, 3) * (framing.degrees * torch.pi / 180)
    flipped, scale = draw[:, 4] < 0.5, size / side
    mirror = torch.where(flipped, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    lines = [torch.stack([cos * mirror, -sin], dim=1), torch.stack([sin * mirror, cos], dim=1)]
    matrix = torch.stack(lines, dim=1)
    shift = -(matrix @ (centre - size / 2)[:, :, None])[..., 0]
    return Views(matrix, shift, flipped, size)


def within_borders(drawn: Drawn, ends: Tensor, share: float, generator: torch.Generator) -> Drawn:
    """The pictures end near the person on some sides.

    Beyond, all is grey, as where a frame reaches out of a photograph, or of another colour.

    Args:
        drawn: B pictures.
        ends: (B,) the line in pixels where a part of the person ends; most often the picture ends there.
        share: how often it ends at a side, 0..1; above half as often.
        generator: where the random numbers come from.
    """
    count, size = len(ends), drawn.images.shape[-1]
    x0, y0, x1, y1 = mask_boxes(drawn.mask).unbind(1)
    draw = torch.rand(count, 9, generator=generator)
    margin = (BORDER_NEAR + (BORDER_FAR - BORDER_NEAR) * draw[:, :4]) * size
    far = torch.full((count,), float(size))
    used = draw[:, 4:8] < torch.tensor([share, share / 2, share, share])
    left = torch.where(used[:, 0], x0 - margin[:, 0], 0.0)
    top = torch.where(used[:, 1], y0 - margin[:, 1], 0.0)
    right = torch.where(used[:, 2], x1 + margin[:, 2], far)
    bottom = torch.where(used[:, 3], y1 + margin[:, 3], far)
    bottom = torch.where(draw[:, 8] < ENDING, torch.minimum(bottom, ends), bottom)
    axis = torch.arange(size) + 0.5
    across = (axis >= left[:, None]) & (axis < right[:, None])
    down = (axis >= top[:, None]) & (axis < bottom[:, None])
    beyond = ~(down[:, None, :, None] & across[:, None, None, :])
    colours = torch.rand(count, 3, 1, 1, generator=generator)
    grey = torch.rand(count, 1, 1, 1, generator=generator) < GREY_BORDERS
    images = torch.where(beyond, torch.where(grey, LETTERBOX_GREY, colours), drawn.images)
    return hidden_by(replace(drawn, images=images), beyond.float())


def mask_boxes(masks: Tensor) -> Tensor:
    """Boxes (B,4) px round masks (B,1,S,S); all of the picture for an empty one."""
    (x0, x1), (y0, y1) = (_extent(masks[:, 0].amax(dim=dim)) for dim in (1, 2))
    return torch.stack([x0, y0, x1, y1], dim=1).float()


def _extent(line: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last index where rows of `line` (B,n) are set; (0, n) where nothing is."""
    length = line.shape[1]
    positions = torch.arange(length)
    low = torch.where(line > 0, positions, length).amin(dim=1)
    high = torch.where(line > 0, positions + 1, 0).amax(dim=1)
    empty = high == 0
    return torch.where(empty, 0, low), torch.where(empty, length, high)


def behind_things(drawn: Drawn, backgrounds: Backgrounds | None, generator: torch.Generator) -> Drawn:
    """Rectangles and ellipses of photographs, or of one colour, in front of some."""
    count, size = len(drawn.images), drawn.images.shape[-1]
    cover = random_covers(count, size, COVERED, generator)
    where = torch.nonzero(cover.flatten(1).any(1))[:, 0]
    if not len(where):
        return drawn
    things = torch.rand(len(where), 3, 1, 1, generator=generator).expand(-1, -1, size, size).clone()
    if backgrounds is not None:
        half = len(where) // 2
        things[half:] = backgrounds.crops(len(where) - half, size, generator)
    drawn.images[where] = torch.lerp(drawn.images[where], things, cover[where])
    return hidden_by(drawn, cover)


def hidden_by(drawn: Drawn, cover: Tensor) -> Drawn:
    """The same with what lies under `cover` (B,1,S,S) 0/1 no longer to be seen."""
    size = cover.shape[-1]
    column, line = (drawn.joints[..., axis].long().clamp(0, size - 1) for axis in (0, 1))
    under = cover.flatten(1).gather(1, line * size + column)
    open_ = 1 - cover
    present = drawn.present * (under < 0.5)
    return Drawn(
        drawn.images, drawn.mask * open_, drawn.labels * open_, drawn.joints, present, drawn.others * open_
    )
