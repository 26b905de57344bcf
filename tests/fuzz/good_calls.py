"""A small call of every node that works: what the generated ones are made of by spoiling an input or two.

Networks are tiny and random. What each type of input gets is one table; inputs that want more are named.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from figura.models.perception.sam import build_mini_sam
from figura.nodes import NODE_CLASS_MAPPINGS
from figura.people.boxes import Box
from figura.people.crops import plan_crop
from figura.people.densepose import DensePose
from figura.people.hands import LEFT, RIGHT, Hand, hand_pose
from figura.people.keypoints import Person, Pose, write_pose_keypoint
from figura.people.prompts import parse_points
from figura.tests.models.cfld.tiny import tiny_cfld
from figura.tests.models.hands.tiny import tiny_hands
from figura.tests.models.humansd.tiny import standing, tiny_humansd
from figura.tests.models.phac.tiny import tiny_phac, tiny_refiner
from figura.tests.models.pocold.tiny import body_labels, tiny_pocold
from figura.tests.nodes.test_cfld_native import stand_in
from figura.tests.nodes.test_humansd_native import StockModel, StockVAE
from figura.tests.nodes.test_mask_expansion import Model as ExpansionModel

SIDE = 64
POINTS = (
    '{"width": 64, "height": 64, "people": [{"joints": {"left_knee": {"x": 30, "y": 50, "state": "given"}}}],'
    ' "full_box": [10, 4, 50, 62], "roi_box": [10, 30, 50, 62], "positive": [[32, 20]]}'
)
MADE = {
    "FIGURA_PHAC": tiny_phac, "FIGURA_REFINER": tiny_refiner, "FIGURA_HUMANSD": tiny_humansd,
    "FIGURA_HANDS": tiny_hands, "FIGURA_CFLD": tiny_cfld, "FIGURA_POCOLD": tiny_pocold,
    "FIGURA_SAM": build_mini_sam,
}  # fmt: skip


@functools.cache
def network(kind: str) -> Any:
    """The tiny network of a socket's type, made once."""
    torch.manual_seed(0)
    return MADE[kind]()


@functools.cache
def stock_model(node_id: str) -> Any:
    """What stands for ComfyUI's MODEL at that node."""
    if node_id == "FiguraApplyCFLD":
        return stand_in(network("FIGURA_CFLD"))
    if node_id == "FiguraApplyHumanSD":
        return StockModel()
    return ExpansionModel() if node_id == "FiguraSequentialMaskExpansion" else StockModel(in_channels=9)


def picture(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(seed))


def mask() -> torch.Tensor:
    made = torch.zeros(1, SIDE, SIDE)
    made[:, 8:40, 16:48] = 1
    return made


def hidden_mask() -> torch.Tensor:
    """Below the visible one."""
    return mask().roll(24, dims=1)


def hand(x: float, y: float) -> np.ndarray:
    joints = np.random.default_rng(0).uniform(-6, 6, (21, 3)).astype(np.float32) + (x, y, 0)
    joints[:, 2] = 1
    return joints.astype(np.float32)


def pose() -> list[dict[str, Any]]:
    body = standing(width=SIDE, height=SIDE).people[0].body
    return write_pose_keypoint([Pose((Person(body, hand(46, 34), hand(18, 34)),), SIDE, SIDE)])


def hand_close_ups() -> list[dict[str, Any]]:
    return write_pose_keypoint([hand_pose(Hand(side, hand(32, 32)), SIDE) for side in (RIGHT, LEFT)])


def value_of(node_id: str, name: str, kind: Any, options: dict[str, Any]) -> Any:
    """A fresh value that works."""
    if isinstance(kind, list):
        return options.get("default", kind[0])
    if kind in MADE:
        return network(kind)
    if (node_id, name) == ("FiguraHandCanvas", "image"):
        return picture().repeat(2, 1, 1, 1)
    if (node_id, name) == ("FiguraHandCanvas", "mask"):
        return mask().repeat(2, 1, 1)
    made = {
        "IMAGE": picture, "MASK": hidden_mask if name == "invisible_mask" else mask,
        "POSE_KEYPOINT": hand_close_ups if name == "hand_pose" else pose,
        "BOUNDING_BOX": lambda: {"x": 8, "y": 4, "width": 48, "height": 56},
        "FIGURA_PROMPT": lambda: [parse_points(POINTS, SIDE, SIDE)],
        "FIGURA_CROP": lambda: [plan_crop(Box(8, 8, 56, 56), (SIDE, SIDE), (SIDE, SIDE))],
        "FIGURA_DENSEPOSE": lambda: DensePose(body_labels(1, SIDE, SIDE)),
        "CONDITIONING": lambda: [[torch.rand(1, 4, 8), {"pooled_output": torch.rand(1, 8)}]],
        "VAE": StockVAE, "MODEL": lambda: stock_model(node_id),
        "STRING": lambda: POINTS if name == "points" else "a woman in a red shirt",
    }  # fmt: skip
    if kind in made:
        return made[kind]()
    small = {"steps": 1, "count": 1, "size": SIDE, "width": SIDE, "height": SIDE, "cfg": 1.0, "mix": 0.5}
    return small.get(name, options["default"])


def inputs_of(node_id: str) -> dict[str, tuple[Any, dict[str, Any], bool]]:
    """Type, options and whether it is required, of every input."""
    declared = NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES()
    return {
        name: (kind, options[0] if options else {}, group == "required")
        for group in ("required", "optional")
        for name, (kind, *options) in declared.get(group, {}).items()
    }


def good_call(node_id: str) -> dict[str, Any]:
    """The node's inputs for a call that works; of the optional ones those of plain types."""
    skipped = {
        "FiguraInpaintRefiner": {"crop"},
        "FiguraInvisibleMask": {"crop"},
        "FiguraHandSampler": {"sam"},
    }
    return {
        name: value_of(node_id, name, kind, options)
        for name, (kind, options, _) in inputs_of(node_id).items()
        if name not in skipped.get(node_id, ())
    }
