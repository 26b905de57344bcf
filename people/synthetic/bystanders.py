"""Other people: behind the person and in front of them, drawn once each and kept, like cut-outs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from .camera import Camera, frame_points, look_at
from .draws import Draws
from .light import Light
from .person import draw_person, make_person, shadows_of
from .place import Lamp
from .poses import sample_pose
from .sheet import Occluder

CUTOUTS = 40
TALL_PX = 176
_FIRST_SEED = 9_000_000
"""Apart from the seeds of the people themselves in training; other ones for the people kept for measuring."""
_HELD_OUT = 10_000_000
_UPRIGHT = (
    "standing",
    "walking",
    "phoning",
    "arms folded",
    "carrying something",
    "hand on hip",
    "waving",
    "pointing",
)
_DISTANCE = 4.5
_RIM_PX = 2.0


@dataclass(frozen=True)
class Cutout:
    """A person cut out: linear colour (3, H, W) under the light of `_studio`, alpha (1, H, W), height in
    metres.
    """

    colour: Tensor
    alpha: Tensor
    height: float


@dataclass(frozen=True)
class Bystander:
    """Somebody standing at (x, z) of the ground."""

    cutout: Cutout
    x: float
    z: float


def sample_bystanders(seed: int, camera: Camera, often: float, farthest: float) -> list[Bystander]:
    """Nobody, or one to four people behind, the farthest first.

    Args:
        seed: of the picture.
        camera: that sees them.
        often: share of pictures with somebody, 0..1.
        farthest: metres behind the person.
    """
    draws = Draws(seed, "bystander")
    if not draws.chance(often):
        return []
    found = []
    for _ in range(draws.pick((1, 1, 2, 2, 3, 4))):
        z = -draws.uniform(0.8, farthest)
        ray = camera.rays(1)[0, 0]
        middle = float(camera.eye[0] + ray[0] / ray[2] * (z - camera.eye[2]))
        reach = 0.6 * camera.size / camera.focal_px * (float(camera.eye[2]) - z)
        found.append(Bystander(_drawn(draws, seed), middle + draws.uniform(-reach, reach), z))
    return sorted(found, key=lambda other: other.z)


def person_in_front(seed: int, share: float, amodal: Tensor, light: Light) -> Occluder | None:
    """Somebody nearer to the camera who hides that share of a mask (S, S); None where they cannot.

    Args:
        seed: of the picture.
        share: of the mask that is hidden, 0..1.
        amodal: (S, S), the whole person.
        light: that falls on both.
    """
    draws = Draws(seed, "bystander")
    cutout, from_right = _drawn(draws, seed), draws.chance(0.5)
    rows = amodal.amax(1).nonzero()[:, 0]
    top, tall = int(rows[0]), int(rows[-1] - rows[0]) + 1
    size, scale = amodal.shape[-1], draws.uniform(1.0, 1.7)
    lift = draws.uniform(-0.08, 0.12) * tall
    for _ in range(3):
        height = round(tall * scale)
        width = max(2, round(height * cutout.alpha.shape[-1] / cutout.alpha.shape[-2]))
        colour, alpha = resized(cutout, height, width, amodal.device)
        if from_right:
            colour, alpha = colour.flip(-1), alpha.flip(-1)
        placed = _shift_to_hide(alpha[0], amodal, round(top - lift), share, from_right)
        if placed is not None:
            left, part = placed
            one, two = (
                _canvas(torch.cat([colour * alpha, alpha]), size, left + step, round(top - lift))
                for step in (0, 1)
            )
            both = torch.lerp(one, two, part)
            covered = F.avg_pool2d(F.pad(both[None, 3:], (1,) * 4, mode="replicate"), 3, 1)[0, 0]
            image = both[:3] / both[3:].clamp_min(0.05) * _relight(light)
            return Occluder((1 - covered) * _RIM_PX / size, partial(_as_it_is, image), 1.0)
        scale *= 1.35
    return None


def _as_it_is(image: Tensor, extent: float) -> Tensor:
    return image


def put_behind(
    others: list[Bystander], camera: Camera, light: Light, image: Tensor, distance: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The linear picture (3, S, S) of surroundings with others standing in it, their mask (1, S, S) 0..1 and
    the distances with them.

    Args:
        others: the farthest first.
        camera: of S pixels a side.
        light: that falls on them.
        image: (3, S, S), linear.
        distance: (S, S) metres.
    """
    mask = torch.zeros_like(image[:1])
    for other in others:
        feet, head = camera.project(
            torch.tensor([[other.x, 0.0, other.z], [other.x, other.cutout.height, other.z]])
        ).tolist()
        height = round(feet[1] - head[1])
        if not 8 <= height <= 3 * camera.size or feet[2] < 0.5:
            continue
        width = max(2, round(height * other.cutout.alpha.shape[-1] / other.cutout.alpha.shape[-2]))
        colour, alpha = resized(other.cutout, height, width, image.device)
        layer = _canvas(torch.cat([colour, alpha]), camera.size, round(feet[0] - width / 2), round(head[1]))
        away = float(torch.tensor([other.x, 0.9, other.z]).sub(camera.eye.cpu()).norm())
        seen = layer[3:] * (distance > away - 0.3)[None]
        image = image * _under_feet(camera, feet, seen)
        image = torch.lerp(image, layer[:3] * _relight(light), seen)
        distance = torch.where(seen[0] > 0.5, torch.full_like(distance, away), distance)
        mask = torch.maximum(mask, seen)
    return image, mask, distance


def _under_feet(camera: Camera, feet: list[float], seen: Tensor) -> Tensor:
    """(1, S, S): shade on the ground where somebody stands."""
    line = torch.arange(camera.size, device=seen.device) + 0.5
    wide = 0.3 * camera.focal_px / feet[2]
    flat = wide * max(0.12, abs(float(camera.eye[1])) / feet[2])
    away = ((line[None, :] - feet[0]) / wide) ** 2 + ((line[:, None] - feet[1]) / flat) ** 2
    return 1 - 0.65 * torch.exp(-away)[None] * bool(seen.amax() > 0.5)


def resized(cutout: Cutout, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Colour (3, H, W) and alpha (1, H, W) of a cut-out at another size.

    Args:
        cutout: of any size.
        height: H in pixels.
        width: W in pixels.
        device: of the tensors.
    """
    both = torch.cat([cutout.colour * cutout.alpha, cutout.alpha])[None].to(device)
    both = F.interpolate(both, (height, width), mode="bilinear", align_corners=False, antialias=True)[0]
    alpha = both[3:].clamp(0, 1)
    return (both[:3] / alpha.clamp_min(0.02)).clamp(0, 2), alpha


@lru_cache(maxsize=2 * CUTOUTS)
def cutout(seed: int) -> Cutout:
    """The upright person of that seed, or of the next one who is upright."""
    pose = sample_pose(Draws(seed, "pose"))
    for step in range(1, 40):
        if pose.name in _UPRIGHT:
            break
        pose = sample_pose(Draws(seed + step * CUTOUTS, "pose"))
    person = make_person(seed, pose)
    points = person.vertices
    camera = frame_points(
        look_at(torch.tensor([0.0, 0.9, 0.0]), _DISTANCE, 1.5, 0.0), points, 0.97, (0.5, 0.5), TALL_PX
    )
    light = _studio()
    drawing = draw_person(person, camera, light, shadows_of(person, light))
    lines, columns = (
        (drawing.coverage[0] > 0.02).any(1).nonzero()[:, 0],
        (drawing.coverage[0] > 0.02).any(0).nonzero()[:, 0],
    )
    box = (
        slice(None),
        slice(int(lines[0]), int(lines[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
    return Cutout(
        (drawing.colour[box] ** 2).contiguous(), drawing.coverage[box].contiguous(), float(points[:, 1].max())
    )


def draw_all_cutouts(seed: int) -> None:
    """Draw everybody who may stand about the person of that seed; pictures draw them when they need them."""
    for number in range(CUTOUTS):
        cutout(_first_cutout(seed) + number)


def _first_cutout(seed: int) -> int:
    return _FIRST_SEED + (_HELD_OUT if seed >= _HELD_OUT else 0)


def _drawn(draws: Draws, seed: int) -> Cutout:
    kept = cutout(_first_cutout(seed) + draws.choice([1.0] * CUTOUTS))
    if draws.chance(0.5):
        return Cutout(kept.colour.flip(-1), kept.alpha.flip(-1), kept.height)
    return kept


def _studio() -> Light:
    """Soft light from above and before."""
    key = torch.tensor([[0.35, 0.7, 0.62]])
    lamp = Lamp((1.0, 3.2, 1.8), (1.0, 1.0, 1.0), 0.7, 0.8)
    return Light(
        key / key.norm(), torch.full((1, 3), 0.7), torch.full((3,), 0.5), torch.full((3,), 0.25), 0.8, [lamp]
    )


def _relight(light: Light) -> Tensor:
    """(3, 1, 1): how much brighter than in the studio people are in another light."""
    return (_facing(light) / _facing(_studio()).to(light.above)).clamp(0.05, 2.5)[:, None, None]


def _facing(light: Light) -> Tensor:
    normal = light.directions.new_tensor([0.0, 0.35, 0.94])
    toward = (light.directions @ normal).clamp_min(0.1)[:, None]
    return 0.6 * light.above + 0.4 * light.below + (toward * light.colours).sum(0)


def _canvas(layer: Tensor, size: int, left: int, top: int) -> Tensor:
    """(C, S, S): a layer with its corner at a place of an empty picture, which may cut it."""
    height, width = layer.shape[-2:]
    canvas = layer.new_zeros(len(layer), size, size)
    rows, columns = slice(max(top, 0), min(top + height, size)), slice(max(left, 0), min(left + width, size))
    if rows.stop > rows.start and columns.stop > columns.start:
        part = layer[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        canvas[:, rows, columns] = part
    return canvas


def _shift_to_hide(
    alpha: Tensor, amodal: Tensor, top: int, share: float, from_right: bool
) -> tuple[int, float] | None:
    """Left edge, and the part of the way to the next pixel, where alpha (h, w) hides that share of a mask
    (S, S).
    """
    size, (height, width) = amodal.shape[-1], alpha.shape
    rows = amodal.new_zeros(size, width)
    low, high = max(top, 0), min(top + height, size)
    rows[low:high] = (alpha[low - top : high - top] > 0.5).float()
    padded = F.pad(amodal, (width, width))[None]
    hidden = F.conv1d(padded, rows[:, None], groups=size).sum((0, 1)) / amodal.sum()
    order = hidden.flip(0) if from_right else hidden
    enough = (order >= share).nonzero()[:, 0]
    if not len(enough) or share <= 0:
        return None
    first = int(enough[0])
    before, here = float(order[first - 1]), float(order[first])
    part = (share - before) / max(here - before, 1e-6)
    place = first - 1 + part
    left = (len(hidden) - 1 - place if from_right else place) - width
    return int(left // 1), float(left % 1)
