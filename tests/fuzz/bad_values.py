"""Values that nobody meant to send, and odd ones that are meant: one pool for each type of input."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import torch
from figura.people.densepose import DensePose
from figura.people.prompts import parse_points

from . import good_calls as good

Maker = Callable[[], Any]
DEEP = 100_000


def nested(depth: int = 2000) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def endless() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def one_bad(bad: float) -> torch.Tensor:
    made = torch.rand(1, 64, 64, 3)
    made[0, 3, 4, 1] = bad
    return made


OBJECTS: tuple[Maker, ...] = (
    lambda: None,
    lambda: "text",
    lambda: b"bytes",
    lambda: 3,
    lambda: 2.5,
    lambda: math.nan,
    lambda: True,
    lambda: 10**400,
    lambda: [],
    dict,
    set,
    object,
    lambda: print,
    lambda: [None],
    lambda: [[]],
    nested,
    endless,
    lambda: {"a": endless()},
    lambda: np.zeros((64, 64, 3)),
    lambda: np.array([object()]),
    lambda: torch.Size([1]),
    lambda: iter([1]),
    lambda: good.hand_close_ups(),
    lambda: [good.picture()],
    lambda: {"samples": good.picture()},
    lambda: good.network("FIGURA_SAM"),
    lambda: good.network("FIGURA_REFINER"),
    lambda: torch.nn.Identity(),
    lambda: type,
    lambda: Exception("x"),
    lambda: good.picture(),
    lambda: good.mask(),
    lambda: "\0",
    lambda: "x" * 5000,
    lambda: DensePose(torch.zeros(1, 64, 64, dtype=torch.uint8)),
    lambda: [parse_points(good.POINTS, 64, 64)],
)

SHAPES = (
    (0, 4, 4, 3),
    (1, 4, 0, 3),
    (1, 0, 4, 3),
    (0,),
    (),
    (3,),
    (64, 64),
    (64, 64, 3),
    (1, 64, 64),
    (1, 1, 64, 64),
    (1, 64, 64, 1),
    (1, 64, 64, 2),
    (1, 64, 64, 4),
    (1, 64, 64, 5),
    (1, 64, 64, 0),
    (1, 3, 64, 64),
    (2, 64, 64, 3),
    (3, 64, 64),
    (1, 2, 64, 64, 3),
    (1, 32, 48, 3),
    (1, 1, 1, 3),
    (1, 1, 1),
    (1, 1, 500, 3),
    (1, 9, 7, 3),
    (1, 31, 33),
    (1, 63, 65, 3),
    (1, 1, 1, 1, 1, 1),
)
DTYPES = (
    torch.uint8,
    torch.int64,
    torch.bool,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.complex64,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.uint16,
    torch.int8,
)
TENSORS: tuple[Maker, ...] = (
    *(lambda shape=shape: torch.rand(shape) for shape in SHAPES),
    *(lambda dtype=dtype: torch.ones(1, 64, 64, 3).to(dtype) for dtype in DTYPES),
    *(lambda dtype=dtype: torch.ones(1, 64, 64).to(dtype) for dtype in DTYPES),
    *(
        lambda bad=bad: one_bad(bad)
        for bad in (math.nan, math.inf, -math.inf, 3e38, -3e38, 1e30, -5.0, 255.0)
    ),
    lambda: torch.full((1, 64, 64), math.nan),
    lambda: torch.full((1, 64, 64), -7.0),
    lambda: torch.zeros(1, 64, 64),
    lambda: torch.rand(1, 64, 64, 3).to_sparse(),
    lambda: torch.rand(1, 64, 64).to_sparse(),
    lambda: torch.eye(64).to_sparse_csr(),
    lambda: torch.rand(1, 64, 64, 3, device="meta"),
    lambda: torch.empty(1, 64, 64, device="meta"),
    lambda: torch.zeros(1).expand(1, 100_000, 100_000, 3),
    lambda: torch.zeros(1).expand(1, 200_000, 200_000),
    lambda: torch.rand(1, 64, 64, 3, requires_grad=True),
    lambda: torch.rand(1, 64, 64, requires_grad=True),
    lambda: torch.rand(1, 3, 64, 64).permute(0, 2, 3, 1),
    lambda: torch.rand(1, 64, 64).transpose(1, 2),
    lambda: torch.rand(64, 64, 1).expand(1, 64, 64, 3),
    lambda: torch.quantize_per_tensor(torch.rand(1, 64, 64, 3), 0.1, 0, torch.quint8),
    lambda: torch.nested.nested_tensor([torch.rand(3), torch.rand(2)]),
    lambda: torch.nn.Parameter(good.picture()),
    lambda: torch.empty(1, 64, 64, 3, dtype=torch.float8_e4m3fn).fill_(math.nan),
)
NUMBERS: tuple[Maker, ...] = tuple(
    (lambda number=number: number)
    for number in (
        math.nan,
        math.inf,
        -math.inf,
        1e300,
        -1e300,
        10**400,
        -(10**400),
        10**5000,
        -1,
        0,
        1,
        2.5,
        0.5,
        True,
        "3",
        "1" * 400,
        np.float32(1),
        np.int64(3),
        np.float64("nan"),
        1 + 2j,
        Decimal(3),
        Decimal("NaN"),
        Fraction(1, 3),
        2**64,
        -(2**63),
        5e-324,
        [3],
        {"__value__": 3},
        None,
        np.bool_(True),
        b"3",
        -0.0,
        np.array(3),
    )
)
TEXTS: tuple[Maker, ...] = (
    lambda: "",
    lambda: " \n\t",
    lambda: "\0",
    lambda: "a\0b",
    lambda: "word " * 5000,
    lambda: "x" * 5000,
    lambda: "x" * 2_000_000,
    lambda: "[" * DEEP,
    lambda: "{" * DEEP,
    lambda: '{"a":' * DEEP,
    lambda: "(" * DEEP,
    lambda: "[" * 900 + "]" * 900,
    lambda: '{"people":' * 900 + "1" + "}" * 900,
    lambda: "1" + "0" * 400,
    lambda: "9" * 6000,
    lambda: "[" + "9" * 6000 + "]",
    lambda: "[[1e309, 1e309]]",
    lambda: "NaN",
    lambda: "null",
    lambda: "true",
    lambda: "[[1, 2]]",
    lambda: "[[1]]",
    lambda: "[{}]",
    lambda: "[null]",
    lambda: "[[1e300, 2]]",
    lambda: '[["a", "b"]]',
    lambda: "\ud800",
    lambda: '"\\ud800"',
    lambda: "\ufeff{}",
    lambda: "\x1b[31m\x07",
    lambda: "../../etc/passwd",
    lambda: '{"version": 1e400}',
    lambda: '{"width": 1e8, "height": 1e8}',
    lambda: '{"active": 1e300, "people": [{}]}',
    lambda: '{"people": [{"pose_keypoints_2d": [1e38, 1e38, 1]}]}',
    lambda: "{'people': [" + "{}," * 10_000 + "]}",
    lambda: "{1: 2}",
    lambda: "{'positive': [[1, 2j]]}",
    lambda: "[" + "[3, 4]," * 400 + "[3, 4]]",
    lambda: '{"positive": [[-1e8, 1e8]]}',
    lambda: "[-" * 5000,
    lambda: '{"full_box": [0, 0, 1e8, 1e8]}',
    lambda: '{"full_box": [1e-9, 0, 2e-9, 1e-9]}',
    lambda: "\U0001d518\U0001d52b\U0001d526\U0001f469\u200d\U0001f9b0",
)
BOXES: tuple[Maker, ...] = tuple(
    (lambda box=box: box)
    for box in (
        [1, 2, 3],
        [1, 2, 1, 2],
        [1, 2, math.nan, 4],
        [0, 0, 1e300, 1e300],
        [-1e9, -1e9, 1e9, 1e9],
        [3, 3, 1, 1],
        {"x": 0},
        {"x": 0, "y": 0, "width": 0, "height": 3},
        {"x": 10**400, "y": 0, "width": 1, "height": 1},
        {"x": "0", "y": "0", "width": "9", "height": "9"},
        [[]],
        [[[]]],
        [[1, 2, 30, 40]] * 2,
        [[1, 2, 30, 40]] * 3,
        [[None]],
        [0, 0, 64, 64],
        (1.5, 2, 30, 40),
        [1000, 1000, 1010, 1010],
        np.array([1, 2, 30, 40]),
        "1,2,3,4",
        {"x": 30000, "y": 0, "width": 1, "height": 1},
        {"x": 5, "y": 5, "width": 1e-9, "height": 1e-9},
        {"x": 0, "y": 0, "width": 30000, "height": 30000},
        torch.rand(1, 3),
        torch.rand(4, device="meta"),
    )
)
LEAVES = (
    None,
    True,
    -1,
    0,
    1,
    2,
    0.5,
    1e300,
    -1e300,
    math.nan,
    math.inf,
    10**400,
    "",
    "x",
    [],
    {},
    [1],
    [[1, 2]],
    {"x": 1},
    1e38,
    30_000,
    1_000_000,
    -5,
    1e-300,
    "9" * 500,
    "\0",
)


def spoiled(value: Any, random: Random) -> Any:
    """A copy of JSON with one to three parts replaced, taken away or doubled."""
    made = copy.deepcopy(value)
    for _ in range(random.randint(1, 3)):
        made = _spoil(made, random)
    return made


def _spoil(value: Any, random: Random) -> Any:
    if isinstance(value, (dict, list)) and value and random.random() < 0.85:
        key = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
        action = random.random()
        if action < 0.1:
            del value[key]
        elif action < 0.2 and isinstance(value, list):
            value += value[:1] * random.choice((1, 3, 70))
        else:
            value[key] = _spoil(value[key], random)
        return value
    return copy.deepcopy(random.choice(LEAVES))


def bad_pose(random: Random) -> Any:
    made = good.pose()
    if random.random() < 0.2:
        return [*made, {"people": [], "canvas_width": 64, "canvas_height": 64}]
    if random.random() < 0.1:
        return json.loads(json.dumps(made).replace("64", random.choice(("30000", "1", "1000000", "0"))))
    return spoiled(made, random)


def bad_points(random: Random) -> Any:
    return json.dumps(spoiled(json.loads(good.POINTS), random))


def bad_value(kind: Any, name: str, random: Random) -> Any:
    """One value out of the pools for an input of that type and name."""
    if random.random() < 0.15:
        return random.choice(OBJECTS)()
    if kind in ("IMAGE", "MASK"):
        return random.choice(TENSORS)()
    if kind in ("INT", "FLOAT", "BOOLEAN"):
        return random.choice(NUMBERS)()
    if kind == "STRING" and name == "points" and random.random() < 0.5:
        return bad_points(random)
    if kind == "STRING" or isinstance(kind, list):
        return random.choice(TEXTS)()
    if kind == "POSE_KEYPOINT":
        return bad_pose(random)
    if kind == "BOUNDING_BOX":
        return random.choice(BOXES)()
    return random.choice((*OBJECTS, *TENSORS))()
