"""Docstrings of public functions with many arguments say what each of them is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("cli", "headless", "host", "models", "nodes", "people", "training", "workflows")
MANY = 3
FILES = [path.relative_to(ROOT) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def public_functions(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """Those of the module or class itself."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def public_methods(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Those of public classes but nodes, whose inputs have tooltips. Without a docstring a method does what
    the one does that it overrides; so does a recipe's `batch`.
    """
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = list(public_functions(node))
            if "INPUT_TYPES" not in [method.name for method in methods]:
                yield from (each for each in methods if ast.get_docstring(each) and each.name != "batch")


def explained(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    yield from public_functions(tree)
    yield from public_methods(tree)


def arguments(function: ast.FunctionDef) -> list[str]:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def is_explained(function: ast.FunctionDef) -> bool:
    """By a list, or in the text; the first argument is what the function is about."""
    text = ast.get_docstring(function) or ""
    return "Args:" in text or all(name in text for name in arguments(function)[1:])


@pytest.mark.parametrize("path", FILES, ids=str)
def test_many_arguments_are_listed(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    many = [function for function in explained(tree) if len(arguments(function)) > MANY]
    assert [function.name for function in many if not is_explained(function)] == []


def test_what_is_listed_is_what_there_is():
    for path in FILES:
        for function in explained(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            _, _, listed = (ast.get_docstring(function) or "").partition("Args:\n")
            named = set(re.findall(r"\w+", " ".join(re.findall(r"^ {4}(\w[\w, ]*):", listed, re.MULTILINE))))
            lacking = set(arguments(function)) - named if listed else set()
            assert lacking == set(), f"{path}: {function.name}"
