"""What the body's vertices belong to: DensePose parts, joints of skeletons, the cloth over them."""

from __future__ import annotations

import torch
from torch import Tensor

from ...people.keypoints import BODY_18, COCO17_FROM_BODY18

# Bones by their first letters, and the part's labels: behind, in front. Sides are the person's.
_PARTS = {
    "torso": (("root", "pelvis", "spine", "clavicle", "shoulder"), {"": (1, 2)}),
    "hand": (("wrist", "finger"), {".R": (3, 3), ".L": (4, 4)}),
    "foot": (("foot",), {".L": (5, 5), ".R": (6, 6)}),
    "thigh": (("upperleg",), {".R": (7, 9), ".L": (8, 10)}),
    "shin": (("lowerleg",), {".R": (11, 13), ".L": (12, 14)}),
    "upper arm": (("upperarm",), {".L": (15, 17), ".R": (16, 18)}),
    "forearm": (("lowerarm",), {".L": (19, 21), ".R": (20, 22)}),
}
_HEAD_RIGHT, _HEAD_LEFT = 23, 24
_COCO_17 = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee",
    "left_ankle", "right_ankle",
)  # fmt: skip
TIP_VERTICES = 6


def part_labels(
    mean: Tensor, bones: Tensor, weights: Tensor, names: list[str], ranges: dict[str, list[int]]
) -> Tensor:
    """DensePose label (V,) of every vertex; helpers have that of the nearest skin.

    Args:
        mean: (V,3) vertices of the mean body in metres.
        bones: (V,K) the bones that move each vertex.
        weights: (V,K) how much, sums of 1.
        names: of the bones.
        ranges: first and last vertex of every part of the mesh, by its name.
    """
    share = torch.zeros(len(mean), len(names)).scatter_add_(1, bones, weights)
    total, labels = [], []
    for prefixes, sides in _PARTS.values():
        for side, both in sides.items():
            chosen = [i for i, n in enumerate(names) if n.startswith(prefixes) and n.endswith(side)]
            total.append(share[:, chosen].sum(1))
            labels.append(both)
    head = [i for i, n in enumerate(names) if n.startswith(("neck", "head", "eye"))]
    total.append(share[:, head].sum(1))
    labels.append((_HEAD_RIGHT, _HEAD_LEFT))
    pair = torch.tensor(labels).index_select(0, torch.stack(total, 1).argmax(1))
    front = _is_front(mean, pair)
    front[pair[:, 0] == _HEAD_RIGHT] = mean[pair[:, 0] == _HEAD_RIGHT, 0] > 0
    label = torch.where(front, pair[:, 1], pair[:, 0])
    skin = torch.arange(ranges["eyes"][1])
    for name in ("tights", "skirt", "hair"):
        span = slice(*ranges[name])
        label[span] = label[skin][torch.cdist(mean[span], mean[skin]).argmin(1)]
    return label


def _is_front(mean: Tensor, pair: Tensor) -> Tensor:
    """Whether a vertex lies in front of the middle line of its part."""
    front = torch.zeros(len(mean), dtype=torch.bool)
    for label in pair[:, 0].unique().tolist():
        inside = pair[:, 0] == label
        points = mean[inside].double()
        axis, origin = _axis(points)
        offset = points - origin
        offset = offset - (offset @ axis)[:, None] * axis
        front[inside] = offset[:, 2] > 0
    return front


def _axis(points: Tensor) -> tuple[Tensor, Tensor]:
    """The direction (3,) in which a part is longest, pointing up, and its middle (3,)."""
    origin = (points.amin(0) + points.amax(0)) / 2
    axis = torch.linalg.svd(points - points.mean(0), full_matrices=False)[2][0]
    return axis * torch.sign(axis[1]), origin


def part_coordinates(mean: Tensor, part: Tensor) -> Tensor:
    """(V,2) in 0..1 on each part: u round it (or across it), v along it from its lower end."""
    out = torch.zeros(len(mean), 2)
    for label in part.unique().tolist():
        inside = part == label
        points = mean[inside].double()
        axis, origin = _axis(points)
        offset = points - origin
        along = offset @ axis
        offset = offset - along[:, None] * axis
        across = torch.linalg.cross(axis, torch.tensor([0.0, 0, 1], dtype=axis.dtype))
        across = across / across.norm()
        forward = torch.linalg.cross(across, axis)
        angle = torch.atan2(offset @ forward, offset @ across).abs() / torch.pi
        out[inside] = torch.stack([angle, (along - along.min()) / (along.max() - along.min())], 1).float()
    return out


def landmark_regressor(
    quads: Tensor, vertices: Tensor, joints: Tensor, bones: Tensor, names: list[str], coco: dict[str, Tensor]
) -> Tensor:
    """The 18 joints and both hands' 21 (right, left) as sums of vertices and joints, (60,V+J).

    Args:
        quads: (Q,4) faces as numbers of vertices.
        vertices: (V,3) of the mean body in metres.
        joints: (J,3) heads of the bones in metres.
        bones: (V,K) the bones that move each vertex, the strongest first.
        names: of the bones.
        coco: rows (V,) of the public regressor of COCO's joints, by the joints' names.
    """
    count, place = len(vertices), {name: i for i, name in enumerate(names)}
    rows = []
    for index, name in enumerate(BODY_18):
        row = torch.zeros(count + len(joints))
        known = (coco["left_shoulder"] + coco["right_shoulder"]) / 2 if name == "neck" else coco[name]
        row[:count] = known
        rows.append(row)
        if name != "neck" and _COCO_17[COCO17_FROM_BODY18.index(index)] != name:
            raise ValueError(f"joint {name} is in another place in COCO's order")
    for side, letter in (("right", "R"), ("left", "L")):
        rows.append(torch.zeros(count + len(joints)))
        rows[-1][:count] = coco[f"{side}_wrist"]
        for finger in range(1, 6):
            for knuckle in range(1, 4):
                bone = place[f"finger{finger}-{knuckle}.{letter}"]
                rows.append(torch.zeros(count + len(joints)))
                rows[-1][count + bone] = 1
            rows.append(_tip(vertices, joints, bones, bone, quads, count))
    return torch.stack(rows)


def landmark_carriers(regressor: Tensor, bones: Tensor, weights: Tensor, bone_count: int) -> Tensor:
    """(60,J): how much each bone moves each landmark, as it moves the vertices and joints that make it up.

    Args:
        regressor: (60,V+J) of `landmark_regressor`.
        bones: (V,K) the bones that move each vertex.
        weights: (V,K) how much.
        bone_count: J.
    """
    skinning = torch.zeros(len(bones), bone_count).scatter_add_(1, bones, weights)
    carriers = regressor @ torch.cat([skinning, torch.eye(bone_count)])
    top, chosen = carriers.topk(4, 1)
    kept = torch.zeros_like(carriers).scatter_(1, chosen, top)
    return kept / kept.sum(1, keepdim=True)


def _tip(vertices: Tensor, joints: Tensor, bones: Tensor, bone: int, quads: Tensor, count: int) -> Tensor:
    """The end of the finger whose last bone this is: the mean of its farthest vertices."""
    own = quads.unique()
    own = own[bones[own, 0] == bone]
    far = (vertices[own] - joints[bone]).norm(dim=1).topk(TIP_VERTICES).indices
    row = torch.zeros(count + len(joints))
    row[own[far]] = 1 / TIP_VERTICES
    return row


def hidden_under(mean: Tensor, ranges: dict[str, list[int]]) -> Tensor:
    """For every vertex of the skin the nearest one of the tights, counted from their first."""
    skin, tights = mean[slice(*ranges["body"])], mean[slice(*ranges["tights"])]
    return torch.cdist(skin, tights).argmin(1)
