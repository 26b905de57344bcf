"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    path.relative_to(ROOT)
    for room in ("cli", "headless", "host", "models", "nodes", "people", "training", "workflows")
    for path in sorted((ROOT / room).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_examples_are_true(path):
    module = importlib.import_module("figura." + ".".join(path.with_suffix("").parts))
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


def test_there_are_examples():
    assert len(FILES) > 9
