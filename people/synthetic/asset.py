"""The adult body that people are drawn with, as the recipe `human_body` made it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

FILE = Path(__file__).resolve().parent.parent.parent / "weights" / "human_body.safetensors"
FILE_KIND = "human_body"
_LEVELS = 65535


@dataclass(frozen=True)
class BodyAsset:
    """One array of V vertices: skin, eyes, and the helpers tights, skirt and hair that clothes are cut of.

    `ranges` names slices of it; behind the vertices, `mean` and `components` also hold the J joints and the
    60 landmarks (18 joints, 21 of the right hand, 21 of the left). Rest pose, metres, y up, front +z.
    mean (V+J+60,3); components (C,V+J+60,3); factors (K,26), projection (K,C) and offset (C,) give the
    coefficients of a phenotype; faces: name -> (F,3); uv, part_uv (V,2) in 0..1; part (V,) DensePose labels;
    bones, weights (V,4), and the same as
    skinning (V,J); covers: for every skin vertex the vertex of the tights over it;
    landmark_bones (60,J): how much each bone moves each landmark.
    """

    ranges: dict[str, slice]
    mean: Tensor
    components: Tensor
    factors: Tensor
    projection: Tensor
    offset: Tensor
    faces: dict[str, Tensor]
    uv: Tensor
    part: Tensor
    part_uv: Tensor
    bones: Tensor
    weights: Tensor
    skinning: Tensor
    covers: Tensor
    landmark_bones: Tensor
    expression_vertices: Tensor
    expressions: dict[str, Tensor]
    bone_names: tuple[str, ...]
    parents: tuple[int, ...]

    def bone(self, name: str) -> int:
        """The number of a bone."""
        return self.bone_names.index(name)


@lru_cache(maxsize=4)
def _load(device: str) -> BodyAsset:
    tensors, config = _read(FILE)
    low, high = torch.tensor(config["low"]), torch.tensor(config["high"])
    here = {name: value.to(device) for name, value in tensors.items()}
    weights = here["weights"].float()
    weights = weights / weights.sum(1, keepdim=True)
    bones = here["bones"].long()
    skinning = weights.new_zeros(len(bones), len(config["bone_names"])).scatter_add_(1, bones, weights)
    quads = {
        name.partition(".")[2]: value.long() for name, value in here.items() if name.startswith("faces.")
    }
    return BodyAsset(
        ranges={name: slice(*span) for name, span in config["ranges"].items()},
        mean=(low + (high - low) * ((tensors["mean"].float() + 32768) / _LEVELS)).to(device),
        components=_components(here, config["component_steps"]), factors=here["factors"].float(),
        projection=here["projection"].float(), offset=here["offset"].float(),
        faces={name: _triangles(quad) for name, quad in quads.items()},
        uv=(here["uv"].float() + 32768) / _LEVELS, part=here["part"].long(),
        part_uv=here["part_uv"].float() / 255, bones=bones, weights=weights, skinning=skinning,
        covers=here["covers"].long() + config["ranges"]["tights"][0],
        landmark_bones=here["landmark_bones"].float(),
        expression_vertices=here["expression_vertices"].long(),
        expressions=dict(zip(config["expressions"], here["expressions"].float(), strict=True)),
        bone_names=tuple(config["bone_names"]), parents=tuple(config["parents"]),
    )  # fmt: skip


def _components(tensors: dict[str, Tensor], steps: list[float]) -> Tensor:
    """(C,M,3): the first, most of a body's size, in half precision; the others in steps of their own."""
    others = tensors["components"].float() * tensors["size"].new_tensor(steps).float()[:, None, None]
    return torch.cat([tensors["size"].float()[None], others])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration of the body's file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}: take it from a fresh copy of Figura, or train the recipe human_body, which makes it"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            meta = json.loads((file.metadata() or {}).get("figura", "{}"))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged: take it from a fresh copy of Figura") from error
    if meta.get("kind") != FILE_KIND:
        raise ValueError(
            f"{path} holds {meta.get('kind')!r}, but {FILE_KIND!r} is needed: choose another file"
        )
    return tensors, meta["config"]


def body_asset(device: torch.device | str = "cpu") -> BodyAsset:
    """The body on that device; read once. FileNotFoundError and ValueError name the file."""
    return _load(str(torch.device(device)))


def _triangles(quads: Tensor) -> Tensor:
    """(F,4) corners to (2F,3); a quad's two triangles follow one another."""
    return torch.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], 1).reshape(-1, 3)
