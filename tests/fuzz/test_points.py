"""Spoiled texts of points and spoiled poses: read, or refused by a short sentence; never changed.

Three hundred by default, three thousand under `pytest -m fuzz`.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from figura.people.keypoints import read_pose_keypoint
from figura.people.prompts import parse_points

from . import bad_values, limits
from .good_calls import POINTS
from .test_nodes import is_ours

READINGS, ALL_READINGS = 300, 3000
LONGEST_SENTENCE = 2000


def reading(number: int) -> tuple[Callable[[], Any], Any]:
    """Reading number `number`, and what is read."""
    random = Random(number)
    if number % 2:
        pose = bad_values.bad_pose(random)
        return lambda: read_pose_keypoint(pose, (64, 64)), pose
    text = bad_values.bad_points(random)
    if random.random() < 0.2:
        text = random.choice(bad_values.TEXTS)()
    return lambda: parse_points(text, 64, 64), text


def fault_of(number: int) -> str:
    """What is wrong with a reading, or nothing."""
    read, value = reading(number)
    before = repr(value)
    try:
        with limits.seconds(20):
            read()
    except Exception as error:
        ours = is_ours(Path(traceback.extract_tb(error.__traceback__)[-1].filename).resolve())
        if not isinstance(error, (ValueError, TypeError)) or not ours or len(str(error)) > LONGEST_SENTENCE:
            return f"{number}: {type(error).__name__}: {str(error)[:300]}"
    return "" if repr(value) == before else f"{number}: changed"


def faults(count: int) -> list[str]:
    with limits.memory(2**31):
        return [wrong for wrong in map(fault_of, range(count)) if wrong]


def test_spoiled_points_and_poses_are_read_or_refused() -> None:
    assert json.loads(POINTS) and faults(READINGS) == []


@pytest.mark.fuzz
def test_three_thousand_spoiled_points_and_poses() -> None:
    assert faults(ALL_READINGS) == []
