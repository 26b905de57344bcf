"""What surfaces look like: albedo, the tilt of their normals, shine and glow of every sample."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .accessories import Thing
from .asset import body_asset
from .cloths import paint_cloth, paint_shoe
from .eyes import Eyes, paint_eyes
from .hair import Strands, paint_hair
from .rasterize import Samples
from .skin import Skin, hollows, paint_skin
from .wardrobe import Piece


@dataclass(frozen=True)
class Surface:
    """albedo (P,3) 0..1, normal (P,3) unit, shine (P,) and sss (P,): how much light goes through, 0..1."""

    albedo: Tensor
    normal: Tensor
    shine: Tensor
    sss: Tensor


class Mixer:
    """Values of vertices, mixed at the samples of one layer."""

    def __init__(self, samples: Samples, which: Tensor, start: int) -> None:
        self._corners = samples.corners[which] - start
        self._weights = samples.weights[which][..., None]

    def __call__(self, values: Tensor) -> Tensor:
        """(p,c) or (p,) of values (v,c) or (v,)."""
        flat = values[:, None] if values.ndim == 1 else values
        rows = flat.index_select(0, self._corners.flatten()).view(*self._corners.shape, -1)
        w = self._weights
        mixed = (rows[:, 0] * w[:, 0]).addcmul_(rows[:, 1], w[:, 1]).addcmul_(rows[:, 2], w[:, 2])
        return mixed[:, 0] if values.ndim == 1 else mixed


def paint(samples: Samples) -> Surface:
    """The surface at every sample, by what its layer is made of."""
    count, device = len(samples.depth), samples.depth.device
    albedo = torch.full((count, 3), 0.5, device=device)
    normal, shine, sss = (
        samples.normal.clone(),
        torch.zeros(count, device=device),
        torch.zeros(count, device=device),
    )
    start = 0
    for number, layer in enumerate(samples.layers):
        which = (samples.layer == number).nonzero()[:, 0]
        if len(which):
            mix = Mixer(samples, which, start)
            colour, tilted, gloss, glow = _one(layer.material, samples, which, mix)
            albedo[which], normal[which], shine[which], sss[which] = colour, tilted, gloss, glow
        start += len(layer.vertices)
    return Surface(albedo, normal, shine, sss)


def _one(
    material: object, samples: Samples, which: Tensor, mix: Mixer
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Albedo, normal, shine, glow of one layer's samples."""
    normal, pixel = samples.normal[which], samples.pixel_size[which]
    none = torch.zeros_like(pixel)
    asset = body_asset(normal.device)
    if isinstance(material, Skin):
        place = mix(asset.mean[asset.ranges["body"]])
        albedo, shine, glow = paint_skin(material, place, mix(hollows(str(normal.device))), pixel)
        return albedo, normal, shine, glow
    if isinstance(material, Eyes):
        albedo, shine = paint_eyes(material, mix(asset.mean[asset.ranges["eyes"]]))
        return albedo, normal, shine, none
    if isinstance(material, Strands):
        albedo, tilted, shine = paint_hair(material, mix, normal, pixel)
        return albedo, tilted, shine, none
    if isinstance(material, tuple):
        what, weave = material
        if isinstance(what, Piece):
            albedo, shine = paint_shoe(what, mix(weave.sheet), pixel)
            return albedo, normal, shine, none
        albedo, tilted, shine = paint_cloth(what, weave, mix, normal, pixel, samples.inside[which])
        return albedo, tilted, shine, none
    plain = material if isinstance(material, Thing) else Thing((0.5, 0.5, 0.5))
    return (
        normal.new_tensor(plain.colour).expand_as(normal),
        normal,
        torch.full_like(pixel, plain.shine),
        none,
    )
