"""Generated bad input at every node: a result, or a sentence that names an input; never a changed tensor.

Thirty calls for each node by default, three hundred under `pytest -m fuzz`.
"""

from __future__ import annotations

import dataclasses
import signal
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import figura
import numpy as np
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


def generated(node_id: str, number: int) -> tuple[dict[str, Any], list[str]]:
    """Call number `number` of a node: the good one with one to three inputs spoiled, and their names."""
    random = Random(f"{node_id} {number}")
    torch.manual_seed(number)
    call, inputs = good_call(node_id), inputs_of(node_id)
    names = random.sample(sorted(inputs), min(len(inputs), random.choice((1, 1, 1, 2, 3))))
    for name in names:
        call[name] = bad_values.bad_value(inputs[name][0], name, random)
    return call, names


def tensors_in(value: Any) -> dict[str, torch.Tensor]:
    """The tensors and arrays that can be looked at, by where they lie: also in lists, dicts, dataclasses."""
    found: dict[str, torch.Tensor] = {}
    waiting, seen = [("", value)], {id(value)}
    while waiting:
        where, each = waiting.pop()
        if isinstance(each, torch.Tensor) and not each.is_meta and each.numel() < 1e7:
            found[where] = each
        if isinstance(each, np.ndarray) and each.dtype.kind in "biuf":
            found[where] = torch.from_numpy(each)
        for key, inner in parts_of(each):
            if id(inner) not in seen:
                seen.add(id(inner))
                waiting.append((f"{where}.{key}" if where else str(key), inner))
    return found


def parts_of(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return []


def copies(call: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Copies of the tensors of a call, by where they lie."""
    return {where: tensor.detach().clone() for where, tensor in tensors_in(call).items()}


def changed_since(before: dict[str, torch.Tensor], call: dict[str, Any]) -> list[str]:
    """Where a tensor is another one than before, or gone, or new."""
    after = tensors_in(call)
    others = {where for where in {*before} & {*after} if not same(after[where], before[where])}
    return sorted(others | {*before} ^ {*after})


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.layout != torch.strided or one.is_nested or one.is_quantized:
        return one.shape == other.shape if not one.is_nested else True
    exact = one.detach().contiguous().reshape(-1).view(torch.uint8) if one.numel() else one
    return torch.equal(exact, other.contiguous().reshape(-1).view(torch.uint8) if other.numel() else other)


def is_clear(error: BaseException, names: Sequence[str]) -> bool:
    """Whether an error is a sentence of ours that names one of the inputs, or the file that was not found."""
    ours = is_ours(Path(traceback.extract_tb(error.__traceback__)[-1].filename).resolve())
    named = isinstance(error, FileNotFoundError) or any(name in str(error).lower() for name in names)
    return isinstance(error, CLEAR) and ours and named


def is_ours(file: Path) -> bool:
    """Whether a file is the pack's own; packages may lie in its folder, too."""
    return file.is_relative_to(PACK) and "site-packages" not in file.relative_to(PACK).parts


def outcome(node_id: str, call: dict[str, Any], spoiled: Sequence[str]) -> str:
    """An empty string, or what is wrong with what the call did. spoiled: the inputs an error may name."""
    node_class, before = NODE_CLASS_MAPPINGS[node_id], copies(call)
    try:
        with limits.seconds(SECONDS_A_CALL), torch.inference_mode():
            getattr(node_class(), node_class.FUNCTION)(**call)
    except Exception as error:
        if not is_clear(error, spoiled):
            where = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:200]!r} at {where.filename}:{where.lineno}"
    changed = changed_since(before, call)
    return f"changed {', '.join(changed)}" if changed else ""


def faults_of(node_id: str, count: int) -> list[str]:
    found = []
    with limits.memory(2**31):
        for number in range(count):
            wrong = outcome(node_id, *generated(node_id, number))
            if wrong:
                found.append(f"call {number}: {wrong}")
    return found


@pytest.mark.parametrize("node_id", sorted(NODE_CLASS_MAPPINGS))
def test_the_call_that_is_spoiled_works(node_id: str) -> None:
    assert outcome(node_id, good_call(node_id), []) == ""


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


def test_what_is_changed_inside_of_an_input_is_found() -> None:
    call = good_call("FiguraVisibleMask") | {"more": [{"deep": torch.zeros(3)}]}
    before = copies(call)
    assert {"image", "prompt.0.joints", "more.0.deep"} <= {*before} and changed_since(before, call) == []
    call["prompt"][0].joints[0] = 5.0
    call["more"][0]["deep"][1] = 1
    assert changed_since(before, call) == ["more.0.deep", "prompt.0.joints"]
    del call["image"]
    assert "image" in changed_since(before, call)


def test_packages_in_the_packs_folder_are_not_ours() -> None:
    assert is_ours(PACK / "nodes" / "people.py")
    assert not is_ours(PACK / ".venv" / "lib" / "site-packages" / "torch" / "nn" / "functional.py")


def test_an_error_names_an_input_that_was_spoiled() -> None:
    call = good_call("FiguraVisibleMask") | {"image": 3}
    assert outcome("FiguraVisibleMask", call, ["image"]) == ""
    assert "TypeError" in outcome("FiguraVisibleMask", call, ["points"])
