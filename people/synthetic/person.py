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
from .looks import Look, dress, sample_look, without_patterns
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
    seed: int,
    pose: Pose,
    device: torch.device | str = "cpu",
    patterns: bool = True,
) -> Person:
    """The person of that seed in that pose, standing in the middle of the ground.

    Args:
        seed: of the person.
        pose: how they stand.
        device: of the tensors.
        patterns: False leaves those of the clothes away.
    """
    shape = sample_shape(Draws(seed, "body"))
    figure = pose_body(body_asset(device), shape, pose)
    look = sample_look(seed, shape) if patterns else without_patterns(sample_look(seed, shape))
    worn, hidden = dress(figure, look)
    body = body_layers(figure, hidden, look.skin, look.eyes)
    return Person(figure, look, [*body, *worn])


def shadows_of(person: Person, light: Light) -> Shadows:
    """What the person keeps the light from, themselves included."""
    return cast(person.vertices, light.directions[0], light.wide)


def draw_person(person: Person, camera: Camera, light: Light, shadows: Shadows) -> Drawing:
    """The person as that camera and light show them.

    Args:
        person: who.
        camera: that sees them.
        light: that falls on them.
        shadows: what they throw and get.
    """
    samples = rasterize(person.layers, camera.resized(camera.size * SUPERSAMPLING))
    shaded = _worth_shading(samples)
    drawn = samples.picked(shaded)
    colour = samples.depth.new_zeros(len(samples.depth), 4)
    colour[shaded] = F.pad(shade(drawn, paint(drawn), light, shadows), (0, 1), value=1.0)
    values = torch.stack([torch.ones_like(samples.depth), 1 / samples.depth, samples.part.float()], 1)
    blocks = _blocks(samples.image(torch.cat([values, samples.part_uv, colour], 1)))
    coverage = blocks[:1].mean(1)
    mean = blocks[5:8].mean(1) / blocks[8:].mean(1).clamp_min(0.1)
    nearest = blocks[1].max(0).indices[None, None].expand(3, 1, -1, -1)  # argmax takes ten times as long
    part, *part_uv = blocks[2:5].gather(1, nearest)[:, 0] * (coverage >= 0.5)
    return Drawing(mean, coverage, part.to(torch.uint8), torch.stack(part_uv), samples)


def _blocks(image: Tensor) -> Tensor:
    """(C,n,S,S): the n samples of every pixel of a picture (C, S SUPERSAMPLING, S SUPERSAMPLING)."""
    step = range(SUPERSAMPLING)
    return torch.stack([image[:, i::SUPERSAMPLING, j::SUPERSAMPLING] for i in step for j in step], 1)


def _worth_shading(samples: Samples) -> Tensor:
    """Indices of the samples whose colour is worked out: where one layer fills a pixel, every other one."""
    owner = samples.image(samples.layer.float(), -1.0)
    blocks = _blocks(owner)[0]
    alike = (blocks == blocks[:1]).all(0)
    line, column = samples.pixel // samples.size, samples.pixel % samples.size
    within = alike[line // SUPERSAMPLING, column // SUPERSAMPLING]
    return (~within | ((line + column) % 2 == 0)).nonzero()[:, 0]
