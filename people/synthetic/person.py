"""One person: the posed body, what it wears, and the picture of both before nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .asset import body_asset
from .camera import Camera
from .draws import Draws
from .layers import Layer, body_layers
from .light import Light, shade
from .looks import Look, dress, sample_look
from .materials import paint
from .poses import Pose
from .rasterize import Samples, rasterize
from .shadows import Shadows, cast
from .shapes import sample_shape
from .skeleton import Figure, pose_body

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Person:
    """A posed body and the layers that make it up, dressed."""

    figure: Figure
    look: Look
    layers: list[Layer]

    @property
    def vertices(self) -> Tensor:
        """(n,3) of all layers, world."""
        return torch.cat([layer.vertices for layer in self.layers])


@dataclass(frozen=True)
class Drawing:
    """A person alone. colour (3,S,S) 0..1 where coverage (1,S,S) is not 0; part (S,S) uint8 and part_uv
    (2,S,S) as DensePose; samples: what was seen at twice the size.
    """

    colour: Tensor
    coverage: Tensor
    part: Tensor
    part_uv: Tensor
    samples: Samples


def make_person(
    seed: int, pose: Pose, device: torch.device | str = "cpu", at: tuple[float, float] = (0.0, 0.0)
) -> Person:
    """The person of that seed in that pose, standing at (x, z) of the ground."""
    shape = sample_shape(Draws(seed, "body"))
    figure = pose_body(body_asset(device), shape, pose, at)
    look = sample_look(seed, shape)
    worn, hidden = dress(figure, look)
    body = body_layers(figure, hidden, look.skin, look.eyes)
    return Person(figure, look, [*body, *(layer.compacted() for layer in worn)])


def shadows_of(person: Person, light: Light) -> Shadows:
    """What the person keeps the light from, themselves included."""
    return cast(person.vertices, light.directions[0], light.wide)


def draw_person(person: Person, camera: Camera, light: Light, shadows: Shadows) -> Drawing:
    """The person as that camera and light show them."""
    size = camera.size
    samples = rasterize(person.layers, camera.resized(size * SUPERSAMPLING))
    colour = shade(samples, paint(samples), light, shadows)
    covered = samples.image(torch.ones_like(samples.depth))
    coverage = F.avg_pool2d(covered[None], SUPERSAMPLING)[0]
    mean = F.avg_pool2d(samples.image(colour)[None], SUPERSAMPLING)[0] / coverage.clamp_min(0.2)
    part, part_uv = _nearest(samples, coverage)
    return Drawing(mean, coverage, part, part_uv, samples)


def _nearest(samples: Samples, coverage: Tensor) -> tuple[Tensor, Tensor]:
    """DensePose of each pixel: that of its nearest sample, 0 where the person covers less than half."""
    nearness = samples.image(1 / samples.depth)
    _, where = F.max_pool2d(nearness[None], SUPERSAMPLING, return_indices=True)
    whole = coverage[0] >= 0.5
    values = samples.image(torch.cat([samples.part[:, None].float(), samples.part_uv], 1))
    picked = values.flatten(1)[:, where.flatten()].view(3, *whole.shape) * whole
    return picked[0].to(torch.uint8), picked[1:]
