"""The scene a person stands in, seen by the same camera: drawn by rays, lit by the same lamps, out of focus
behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .bystanders import Bystander, put_behind, sample_bystanders
from .camera import Camera
from .draws import Draws
from .finishes import Finish, lively
from .focus import blurred, focus
from .light import Light, sample_light, to_image
from .parks import sample_park
from .place import Lamp, Place, warm
from .raycast import Hits, Things, View, cast
from .rooms import sample_room
from .seats import Seat, place_seat
from .shadows import Shadows
from .streets import sample_street
from .surroundings import in_haze, light_surroundings, sky

_SETTINGS = ("room", "street", "park", "studio")
_OTHERS = {"room": 0.15, "street": 0.4, "park": 0.25, "studio": 0.0}
_ROOM_AROUND = 0.75
_PHOTOGRAPHS = 0.5
_SHARP, _SOFT = 0.75, 0.5
"""Resolution of what is behind, of the picture's: nothing behind the person is as sharp as they are."""


@dataclass
class Scene:
    """A place, turned about the person by `turn` radians; shift: of its noise; aperture: metres; photograph
    (3, S, S) if it is one.
    """

    setting: str
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

    Args:
        seed: of the person.
        camera: that sees it.
        photographs: (3, H, W), or None.
        seat: where they sit, or None.
    """
    draws = Draws(seed, "background")
    setting = _SETTINGS[draws.choice([0.42, 0.28, 0.2, 0.1])]
    turn = draws.normal(0, 0.25) if draws.chance(0.7) else draws.uniform(-0.7, 0.7)
    aperture = draws.pick((0.0, 0.004, 0.012, 0.03, 0.05))
    eye = camera.eye.cpu() @ _rotation(turn).T
    near = (float(eye[0]), float(eye[1]), float(eye[2]))
    place = {"room": sample_room, "street": sample_street, "park": sample_park, "studio": sample_studio}[
        setting
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
    others = [] if photograph is not None else sample_bystanders(seed, camera, _OTHERS[setting], farthest)
    return Scene(setting, place, boxes, balls, shift, turn, aperture, others, photograph)


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
    """(3, S, S) 0..1: what is behind the person, their shadow on it; light, camera, size and shadows as of
    `draw_surroundings`.
    """
    return draw_surroundings(scene, light, camera, size, shadows)[0]


def draw_surroundings(
    scene: Scene, light: Light, camera: Camera, size: int, shadows: Shadows | None = None
) -> tuple[Tensor, Tensor]:
    """(3, S, S) 0..1: what is behind the person, their shadow on it; (1, S, S) of 0 and 1: other people in
    it.

    Args:
        scene: the place.
        light: that falls on it.
        camera: that sees it.
        size: S in pixels.
        shadows: the person's; None: nobody.
    """
    if scene.photograph is not None:
        return scene.photograph.to(light.colours), torch.zeros_like(scene.photograph[:1]).to(light.colours)
    blur_far = scene.aperture * camera.focal_px * size / camera.size / max(float(camera.eye.norm()), 0.3)
    side = max(round(size * (_SHARP if blur_far < 0.018 * size else _SOFT)), 12)
    small = camera.resized(side)
    rotation = _rotation(scene.turn).to(light.colours)
    turned = replace(
        small, eye=rotation @ camera.eye.to(rotation), rotation=camera.rotation.to(rotation) @ rotation.T
    )
    rays = _rays(turned)
    shell = rays.new_tensor([[at, float(sky), *finish.row()] for at, sky, finish in scene.place.walls])
    boxes, balls = scene.boxes.to(rays), scene.balls.to(rays)
    hits = cast(View(turned.eye, rays, side, turned.project), boxes, balls, shell)
    lamps = light.turned(rotation)
    linear, key_share = light_surroundings(
        scene.place, lamps, hits, shell, boxes, balls, scene.shift, _pixel(hits, rays, camera, side)
    )
    if shadows is not None:
        linear = linear * shadows.on_ground(hits.point, rotation, key_share)
    linear = torch.where(
        hits.sky, sky(scene.place, rays, scene.shift), in_haze(scene.place, linear, hits.distance)
    )
    image, distance = linear.view(3, side, side), hits.distance.view(side, side)
    image, others, distance = put_behind(scene.others, small, light, image, distance)
    aperture_px = scene.aperture * small.focal_px
    image = focus(image[None], distance[None, None], aperture_px, float(camera.eye.norm()))
    both = torch.cat([image, others[None]], 1)
    both = F.interpolate(both, (size, size), mode="bilinear", align_corners=False)[0]
    return to_image(both[:3]), (both[3:] >= 0.5).float()


def _rays(camera: Camera) -> Tensor:
    """(3, S * S) of length 1: the lines of sight of every pixel."""
    line = (torch.arange(camera.size, device=camera.eye.device) + 0.5) / camera.focal_px
    x, y = line - camera.centre_px[0] / camera.focal_px, camera.centre_px[1] / camera.focal_px - line
    local = torch.stack([x.repeat(camera.size), y.repeat_interleave(camera.size)])
    shorter = (local[0] * local[0] + local[1] * local[1] + 1).rsqrt()
    return (camera.rotation[:2].T @ local - camera.rotation[2][:, None]) * shorter


def _pixel(hits: Hits, rays: Tensor, camera: Camera, side: int) -> Tensor:
    """(R,): metres of the surface that a pixel covers."""
    x, y, z = (hits.normal * rays).unbind(0)
    return hits.distance * (camera.size / (camera.focal_px * side)) / (x + y + z).abs().clamp_min(0.08)


def _crop(draws: Draws, photograph: Tensor, size: int) -> Tensor:
    """A square of a photograph, perhaps mirrored, perhaps out of focus."""
    height, width = photograph.shape[-2:]
    side = int(min(height, width) * draws.uniform(0.45, 1.0))
    top, left = int(draws.uniform(0, height - side)), int(draws.uniform(0, width - side))
    part = photograph[None, :, top : top + side, left : left + side]
    part = F.interpolate(part, (size, size), mode="bilinear", align_corners=False, antialias=True)
    part = part.flip(-1) if draws.chance(0.5) else part
    if draws.chance(0.35):
        part = blurred(part, draws.uniform(0.01, 0.06) * size)
    return part[0].clamp(0, 1)


def _rotation(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _turned(point: tuple[float, float, float], angle: float) -> tuple[float, float, float]:
    c, s = math.cos(angle), math.sin(angle)
    return (c * point[0] + s * point[2], point[1], -s * point[0] + c * point[2])
