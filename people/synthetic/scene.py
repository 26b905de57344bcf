"""The scene a person stands in, seen by the same camera: drawn by rays, lit by the same lamps, out of focus behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .bystanders import Bystander, put_behind, sample_bystanders
from .camera import Camera
from .draws import Draws
from .finishes import Finish, lively, paint, sample_noise
from .light import Light, sample_light, to_picture
from .parks import sample_park
from .place import Lamp, Place, open_walls, warm
from .raycast import Hits, Things, View, blocked, cast
from .rooms import sample_room
from .seats import Seat, place_seat
from .shadows import Shadows
from .streets import sample_street

_KINDS = ("room", "street", "park", "studio")
_OTHERS = {"room": 0.15, "street": 0.4, "park": 0.25, "studio": 0.0}
_ROOM_AROUND = 0.75
_PHOTOGRAPHS = 0.5
_SHARP, _SOFT = 0.75, 0.5
"""Resolution of what is behind, of the picture's: nothing behind the person is as sharp as they are."""


@dataclass
class Scene:
    """A place, turned about the person by `turn` radians; shift: of its noise; aperture: metres; photograph (3, S, S) if it is one."""

    kind: str
    place: Place
    boxes: Tensor
    balls: Tensor
    shift: float
    turn: float
    aperture: float
    others: list[Bystander]
    photograph: Tensor | None = None

    def light(self, seed: int, device: torch.device | str = "cpu") -> Light:
        """The light in it, in world space."""
        lamps = [
            Lamp(_turned(lamp.position, -self.turn), lamp.colour, lamp.strength, lamp.wide)
            for lamp in self.place.lamps
        ]
        return sample_light(seed, lamps, self.place.above, self.place.below, device)


def sample_scene(
    seed: int, camera: Camera, photographs: Sequence[Tensor] | None = None, seat: Seat | None = None
) -> Scene:
    """A room, a street, a park or a studio around the person of this seed, with a seat where they sit; with
    photographs (3, H, W), one of them for half of the seeds.
    """
    draws = Draws(seed, "background")
    kind = _KINDS[draws.choice([0.42, 0.28, 0.2, 0.1])]
    turn = draws.normal(0, 0.25) if draws.chance(0.7) else draws.uniform(-0.7, 0.7)
    aperture = draws.pick((0.0, 0.004, 0.012, 0.03, 0.05))
    eye = camera.eye.cpu() @ _rotation(turn).T
    near = (float(eye[0]), float(eye[1]), float(eye[2]))
    place = {"room": sample_room, "street": sample_street, "park": sample_park, "studio": sample_studio}[
        kind
    ](draws, near)
    boxes, balls = place.things.cleared(eye, _ROOM_AROUND)
    if seat is not None:
        x, _, z = _turned((seat[0], 0.0, seat[1]), turn)
        own = Things()
        place_seat(draws, own, (x, z, seat[2]), place.indoors)
        more_boxes, more_balls = own.cleared(eye, -9.0)
        boxes, balls = torch.cat([boxes, more_boxes]), torch.cat([balls, more_balls])
    shift = draws.uniform(0, 16)
    photograph = None
    if photographs and draws.chance(_PHOTOGRAPHS):
        photograph = _crop(draws, draws.pick(photographs), camera.size)
    farthest = 9.0 if not place.indoors else max(1.0, -place.walls[4][0] - 0.6)
    others = [] if photograph is not None else sample_bystanders(seed, camera, _OTHERS[kind], farthest)
    return Scene(kind, place, boxes, balls, shift, turn, aperture, others, photograph)


def sample_studio(draws: Draws, eye: tuple[float, float, float]) -> Place:
    """Paper or cloth behind, soft boxes at the sides, now and then a light from behind."""
    colour = lively(draws, 0.5) if draws.chance(0.5) else (draws.uniform(0.15, 0.9),) * 3
    paper = Finish(colour, grain=draws.pick((0.02, 0.25)), grain_size=(0.8, 0.8))
    side = draws.pick((-1, 1))
    lamps = [
        Lamp(
            (side * draws.uniform(1, 3), draws.uniform(1.6, 3), draws.uniform(1.5, 3)),
            warm(5600),
            draws.uniform(0.7, 1.2),
            draws.uniform(0.3, 0.8),
        ),
        Lamp((-side * 2.5, 1.8, 2.0), warm(draws.uniform(4500, 6500)), draws.uniform(0.1, 0.5), 0.8),
    ]
    if draws.chance(0.5):
        lamps.append(
            Lamp((-side * 1.8, 2.4, -1.6), warm(draws.uniform(3500, 7000)), draws.uniform(0.4, 0.9), 0.2)
        )
    wide, back = max(4.0, abs(eye[0]) + 1), -draws.uniform(1.2, 3.0)
    walls = [
        (-wide, False, paper),
        (wide, False, paper),
        (0.0, False, paper),
        (max(5.0, eye[1] + 1), False, paper),
        (back, False, paper),
        (eye[2] + 2, False, paper),
    ]
    return Place(Things(), walls, lamps, (0.28, 0.28, 0.28), (0.2, 0.2, 0.2), True)


def draw_behind(
    scene: Scene, light: Light, camera: Camera, size: int, shadows: Shadows | None = None
) -> Tensor:
    """(3, S, S) 0..1: what is behind the person, their shadow on it."""
    return draw_surroundings(scene, light, camera, size, shadows)[0]


def draw_surroundings(
    scene: Scene, light: Light, camera: Camera, size: int, shadows: Shadows | None = None
) -> tuple[Tensor, Tensor]:
    """(3, S, S) 0..1: what is behind the person, their shadow on it; (1, S, S) of 0 and 1: other people in it."""
    if scene.photograph is not None:
        return scene.photograph.to(light.colours), torch.zeros_like(scene.photograph[:1]).to(light.colours)
    blur_far = scene.aperture * camera.focal_px * size / camera.size / max(float(camera.eye.norm()), 0.3)
    side = max(round(size * (_SHARP if blur_far < 0.018 * size else _SOFT)), 12)
    rotation = _rotation(scene.turn).to(camera.eye)
    rays = camera.rays(side).to(light.colours).reshape(-1, 3) @ rotation.T
    small = camera.resized(side)
    view = View(rotation @ camera.eye, rays, side, lambda points: small.project(points @ rotation))
    shell = torch.tensor([[at, float(sky), *finish.row()] for at, sky, finish in scene.place.walls]).to(rays)
    hits = cast(view, scene.boxes.to(rays), scene.balls.to(rays), shell)
    linear, key_share = _lit(scene, light, hits, rays, shell, camera, side)
    if shadows is not None:
        linear = linear * shadows.on_ground(hits.point @ rotation, hits.normal @ rotation, key_share)[:, None]
    linear = torch.where(hits.sky[:, None], _sky(scene, rays), _hazy(scene, linear, hits.distance))
    picture, distance = linear.T.reshape(3, side, side), hits.distance.view(side, side)
    picture, others, distance = put_behind(scene.others, small, light, picture, distance)
    aperture_px = scene.aperture * camera.focal_px * side / camera.size
    picture = _focus(picture[None], distance[None, None], aperture_px, float(camera.eye.norm()))
    both = F.interpolate(
        torch.cat([picture, others[None]], 1), (size, size), mode="bilinear", align_corners=False
    )[0]
    return to_picture(both[:3]), (both[3:] >= 0.5).float()


def load_backgrounds(folder: str | Path) -> list[Tensor]:
    """Photographs (3, H, W) 0..1 of a folder and the folders in it, at most 1024 pixels a side.

    Raises ValueError for a folder without pictures.
    """
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    found = sorted(
        p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
    )
    pictures = []
    for path in found:
        with Image.open(path) as picture:
            small = picture.convert("RGB")
            small.thumbnail((1024, 1024))
            pictures.append(pil_to_tensor(small).float() / 255)
    if not pictures:
        raise ValueError(f"no .jpg, .png or .webp in {folder}; give a folder of photographs without people")
    return pictures


# -- light on surroundings ------------------------------------------------------------------------------------


def _lit(
    scene: Scene, light: Light, hits: Hits, rays: Tensor, shell: Tensor, camera: Camera, side: int
) -> tuple[Tensor, Tensor]:
    """Linear colour (R, 3) of what the rays met, and the first lamp's share of the light there (R,)."""
    facing = (hits.normal * rays).sum(1).abs().clamp_min(0.08)
    footprint = hits.distance * camera.size / (camera.focal_px * side) / facing
    colour, glow = paint(hits.rows, hits.u + scene.shift, hits.v, footprint)
    albedo = colour.T
    up = (0.5 + 0.5 * hits.normal[:, 1])[:, None]
    around = (
        torch.lerp(light.below.expand_as(albedo), light.above.expand_as(albedo), up)
        * (_corners(scene, hits, shell) * _under_things(scene, hits, side))[:, None]
    )
    total, first = around, torch.zeros_like(glow)
    rotation = _rotation(scene.turn).to(rays)
    for index, lamp in enumerate(light.lamps):
        position = rotation @ torch.tensor(lamp.position).to(rays)
        away = position - hits.point
        distance = away.norm(dim=1, keepdim=True)
        toward = (hits.normal * away).sum(1) / distance[:, 0].clamp_min(1e-3)
        wrap = 0.35 * lamp.wide
        amount = ((toward + wrap) / (1 + wrap)).clamp_min(0) * lamp.strength
        if scene.place.indoors:
            reach = float(position.norm())
            amount = amount * ((reach * reach + 4.0) / (distance[:, 0] ** 2 + 4.0)).clamp_max(1.35)
        elif index == 0 and lamp.wide < 0.5:
            amount = amount * _sunlit(scene, hits, position / position.norm(), side)
        total = total + amount[:, None] * torch.tensor(lamp.colour).to(rays)
        first = amount * sum(lamp.colour) / 3 if index == 0 else first
    linear = albedo * total + albedo * glow[:, None]
    return linear, (first / total.mean(1).clamp_min(1e-4)).clamp(0, 1)


def _corners(scene: Scene, hits: Hits, shell: Tensor) -> Tensor:
    """(R,) 0..1: darker where walls meet."""
    if not scene.place.indoors:
        return torch.ones_like(hits.distance)
    flat = 1 - hits.normal.abs()
    open_share = torch.ones_like(hits.distance)
    for places in (hits.point - shell[0::2, 0], shell[1::2, 0] - hits.point):
        near = (1 - 0.45 * torch.exp(-places.clamp_min(0) / 0.35) * flat).unbind(1)
        open_share = open_share * near[0] * near[1] * near[2]
    return open_share


def _under_things(scene: Scene, hits: Hits, side: int) -> Tensor:
    """(R,) 0..1: darker on the floor under and beside what stands there."""
    boxes = scene.boxes[(scene.boxes[:, 1] < 0.9) & (scene.boxes[:, 4] > 0.05)].to(hits.point)
    coarse, points = _every_other(hits.point, side)
    if not len(boxes):
        return torch.ones_like(hits.distance)
    x, z = points[:, 0].contiguous(), points[:, 2].contiguous()
    shaded = torch.zeros_like(x)
    for box in boxes[:, :6].tolist():
        gap = (box[0] - x).clamp_min(x - box[3]).clamp_min(0) + (box[2] - z).clamp_min(z - box[5]).clamp_min(
            0
        )
        shaded = torch.maximum(shaded, torch.exp(gap * (-1 / 0.16) - max(box[1], 0) / 0.7))
    return 1 - 0.6 * _back_to_all(shaded, coarse, side) * (hits.point[:, 1] < 0.03)


def _sunlit(scene: Scene, hits: Hits, sun: Tensor, side: int) -> Tensor:
    """(R,) 0..1: where no house and no tree keeps the sun away."""
    coarse, points = _every_other(hits.point + hits.normal * 0.02, side)
    boxes = scene.boxes[scene.boxes[:, 4] > 0.2].to(points)
    return 1 - _back_to_all(blocked(points, sun, boxes, scene.balls.to(points)), coarse, side)


def _every_other(points: Tensor, side: int) -> tuple[int, Tensor]:
    """Every other of the points of a picture in both directions: what varies slowly is worked out for these."""
    coarse = (side + 1) // 2
    return coarse, points.view(side, side, 3)[::2, ::2].reshape(-1, 3)


def _back_to_all(values: Tensor, coarse: int, side: int) -> Tensor:
    picture = values.view(1, 1, coarse, coarse)
    return F.interpolate(picture, (side, side), mode="bilinear", align_corners=False).reshape(-1)


def _sky(scene: Scene, rays: Tensor) -> Tensor:
    """(R, 3) linear: blue above, pale at the horizon, clouds."""
    place = scene.place
    zenith, horizon = (torch.tensor(c).to(rays) ** 2 for c in (place.zenith, place.horizon))
    height = rays[:, 1].clamp(0, 1)
    colour = torch.lerp(horizon.expand_as(rays), zenith.expand_as(rays), (height**0.55)[:, None])
    u, v = rays[:, 0] / (height + 0.12) * 3, rays[:, 2] / (height + 0.12) * 3
    amount = ((1.6 * sample_noise(u * 0.7 + scene.shift, v) + 1.6 * place.clouds - 0.6) * 0.8).clamp(0, 0.9)
    return torch.lerp(colour, torch.full_like(colour, 0.92), amount[:, None])


def _hazy(scene: Scene, linear: Tensor, distance: Tensor) -> Tensor:
    if scene.place.haze <= 0:
        return linear
    air = (torch.tensor(scene.place.horizon).to(linear) ** 2).expand_as(linear)
    return torch.lerp(linear, air, (1 - torch.exp(-distance * scene.place.haze))[:, None])


def _focus(picture: Tensor, distance: Tensor, aperture_px: float, focus: float) -> Tensor:
    """Blur what is behind or before the person as a lens of this aperture does."""
    circle = aperture_px * (1 / distance.clamp_min(0.2) - 1 / max(focus, 0.3)).abs()
    widest = float(circle.max())
    if widest < 0.6:
        return _softened(picture)
    levels = [_softened(picture)] + [_blurred(picture, widest * share) for share in (0.33, 1.0)]
    place = (_blurred(circle, 1.0) / widest * 3).clamp(0, 3)
    near = torch.lerp(levels[0], levels[1], place.clamp(0, 1))
    return torch.lerp(near, levels[2], ((place - 1) / 2).clamp(0, 1))


def _softened(picture: Tensor) -> Tensor:
    """A lens's own softness, so that edges do not step."""
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    across = 0.5 * padded[..., 1:-1] + 0.25 * (padded[..., :-2] + padded[..., 2:])
    return 0.5 * across[..., 1:-1, :] + 0.25 * (across[..., :-2, :] + across[..., 2:, :])


def _blurred(picture: Tensor, diameter: float) -> Tensor:
    """Two box blurs that together spread about as a disc of this diameter in pixels."""
    reach = max(1, min(round(diameter * 0.35), picture.shape[-1] // 4))
    for _ in range(2):
        padded = F.pad(picture, (reach,) * 4, mode="replicate")
        picture = F.avg_pool2d(padded, 2 * reach + 1, 1)
    return picture


def _crop(draws: Draws, photograph: Tensor, size: int) -> Tensor:
    """A square of a photograph, perhaps mirrored, perhaps out of focus."""
    height, width = photograph.shape[-2:]
    side = int(min(height, width) * draws.uniform(0.45, 1.0))
    top, left = int(draws.uniform(0, height - side)), int(draws.uniform(0, width - side))
    part = photograph[None, :, top : top + side, left : left + side]
    part = F.interpolate(part, (size, size), mode="bilinear", align_corners=False, antialias=True)
    part = part.flip(-1) if draws.chance(0.5) else part
    if draws.chance(0.35):
        part = _blurred(part, draws.uniform(0.01, 0.06) * size)
    return part[0].clamp(0, 1)


def _rotation(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _turned(point: tuple[float, float, float], angle: float) -> tuple[float, float, float]:
    c, s = math.cos(angle), math.sin(angle)
    return (c * point[0] + s * point[2], point[1], -s * point[0] + c * point[2])
