"""Generated bad input at every node: a result, or a sentence that names an input; never a changed tensor.

Thirty calls for each node by default, three hundred under `pytest -m fuzz`.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import figura
import pytest
import torch
from figura.host import use_host
from figura.host.plain import PlainHost
from figura.nodes import NODE_CLASS_MAPPINGS

from . import bad_values, limits
from .good_calls import good_call, inputs_of

PACK = Path(figura.__file__).resolve().parent
CALLS, ALL_CALLS = 30, 300
SECONDS_A_CALL = 30
CLEAR = (ValueError, TypeError, FileNotFoundError, ImportError)


@pytest.fixture(autouse=True)
def host(tmp_path: Path) -> Iterator[PlainHost]:
    with use_host(PlainHost(models_dir=tmp_path / "models", device="cpu")) as chosen:
        yield chosen


def generated(node_id: str, number: int) -> dict[str, Any]:
    """Call number `number` of a node: the good one with one to three inputs spoiled."""
    random = Random(f"{node_id} {number}")
    torch.manual_seed(number)
    call, inputs = good_call(node_id), inputs_of(node_id)
    names = random.sample(sorted(inputs), min(len(inputs), random.choice((1, 1, 1, 2, 3))))
    for name in names:
        call[name] = bad_values.bad_value(inputs[name][0], name, random)
    return call


def copies(call: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Copies of the tensors that can be looked at."""
    return {
        name: value.detach().clone()
        for name, value in call.items()
        if isinstance(value, torch.Tensor) and not value.is_meta and value.numel() < 1e7
    }


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.layout != torch.strided or one.is_nested or one.is_quantized:
        return one.shape == other.shape if not one.is_nested else True
    exact = one.detach().contiguous().reshape(-1).view(torch.uint8) if one.numel() else one
    return torch.equal(exact, other.contiguous().reshape(-1).view(torch.uint8) if other.numel() else other)


def is_clear(error: BaseException, names: list[str]) -> bool:
    """Whether an error is a sentence of ours that names an input, or the file that was not found."""
    ours = Path(traceback.extract_tb(error.__traceback__)[-1].filename).resolve().is_relative_to(PACK)
    named = isinstance(error, FileNotFoundError) or any(name in str(error).lower() for name in names)
    return isinstance(error, CLEAR) and ours and named


def outcome(node_id: str, call: dict[str, Any]) -> str:
    """An empty string, or what is wrong with what the call did."""
    node_class, before = NODE_CLASS_MAPPINGS[node_id], copies(call)
    try:
        with limits.seconds(SECONDS_A_CALL), torch.inference_mode():
            getattr(node_class(), node_class.FUNCTION)(**call)
    except Exception as error:
        if not is_clear(error, list(inputs_of(node_id))):
            where = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:200]!r} at {where.filename}:{where.lineno}"
    changed = [name for name, tensor in before.items() if not same(call[name], tensor)]
    return f"changed {', '.join(changed)}" if changed else ""


def faults_of(node_id: str, count: int) -> list[str]:
    found = []
    with limits.memory(2**31):
        for number in range(count):
            call = generated(node_id, number)
            wrong = outcome(node_id, call)
            if wrong:
                found.append(f"call {number}: {wrong}")
    return found


@pytest.mark.parametrize("node_id", sorted(NODE_CLASS_MAPPINGS))
def test_the_call_that_is_spoiled_works(node_id: str) -> None:
    assert outcome(node_id, good_call(node_id)) == ""


@pytest.mark.parametrize("node_id", sorted(NODE_CLASS_MAPPINGS))
def test_bad_input_gives_a_result_or_names_the_input(node_id: str) -> None:
    assert faults_of(node_id, CALLS) == []


@pytest.mark.fuzz
@pytest.mark.parametrize("node_id", sorted(NODE_CLASS_MAPPINGS))
def test_three_hundred_calls_of_every_node(node_id: str) -> None:
    assert faults_of(node_id, ALL_CALLS) == []


def test_a_call_that_hangs_is_found() -> None:
    with pytest.raises(limits.Hangs), limits.seconds(1):
        signal.pause()


def test_memory_beyond_the_limit_is_found() -> None:
    with pytest.raises((RuntimeError, MemoryError)), limits.memory(2**31):
        torch.ones(2**30)
