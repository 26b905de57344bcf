"""The plan of the house: which room may import which, no circles, and how long files and functions are."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Each room and all it may import. cli and workflows write and run; the rooms below do not know them.
MAY_IMPORT = {
    "people": set(),
    "models": {"people"},
    "training": {"people", "models"},
    "host": {"people", "models"},
    "nodes": {"people", "models", "host"},
    "headless": {"people", "models", "host", "nodes"},
    "cli": {"people", "models", "host", "nodes", "headless", "training"},
    "workflows": {"people", "models", "host", "nodes", "headless", "training", "cli"},
}
# Inside training/, those of its floors that have one direction. run/ holds both what a recipe is, which data/
# knows, and the command on top of all.
TRAINING_MAY_IMPORT = {
    "reports": set(),
    "evaluation": {"data", "reports"},
    "bench": {"data", "reports", "run"},
    "recipes": {"data", "evaluation", "run"},
}
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 400, 60
# The synthetic people are examples and training data; no method may lean on them.
SYNTHETIC, DRAWS_SYNTHETIC = "people.synthetic", {"people", "nodes", "training", "workflows"}


@cache
def modules() -> dict[str, Path]:
    """Every module of the rooms by its dotted name below the root."""
    files = [path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py")]
    dotted = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    return {name.removesuffix(".__init__"): path for path, name in dotted.items()}


@cache
def imports(name: str) -> frozenset[str]:
    """Modules of the pack that one imports anywhere: also inside functions and for type checkers only."""
    path = modules()[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            inner = [f"{base}.{alias.name}" for alias in node.names]
            found |= {module if module in modules() else base for module in inner}
    return frozenset(found - {name})


def room_of(name: str) -> str:
    return name.split(".")[0]


def of_room(room: str) -> list[tuple[str, Path]]:
    return [(name, path) for name, path in modules().items() if room_of(name) == room]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_in_one_direction_only(room):
    allowed = MAY_IMPORT[room] | {room}
    wrong = [
        f"{name} imports {other}"
        for name, _ in of_room(room)
        for other in imports(name) if room_of(other) not in allowed
    ]  # fmt: skip
    assert wrong == []


@pytest.mark.parametrize("floor", TRAINING_MAY_IMPORT)
def test_trainings_floors_import_in_one_direction_too(floor):
    allowed = TRAINING_MAY_IMPORT[floor] | {floor}
    wrong = [
        f"{name} imports {other}"
        for name, _ in of_room("training") if name.split(".")[1:2] == [floor]
        for other in imports(name) if room_of(other) == "training" and other.split(".")[1] not in allowed
    ]  # fmt: skip
    assert wrong == []


def test_methods_do_not_lean_on_synthetic_people():
    wrong = [
        f"{name} imports {other}"
        for name in modules() if room_of(name) not in DRAWS_SYNTHETIC
        for other in imports(name) if other.startswith(SYNTHETIC)
    ]  # fmt: skip
    assert wrong == []


def test_no_two_modules_need_one_another():
    """Modules from which nothing is imported any more are taken away, until only circles are left."""
    left = {name: set(imports(name)) & set(modules()) for name in modules()}
    while ready := [name for name, needed in left.items() if not needed]:
        left = {name: needed - set(ready) for name, needed in left.items() if name not in ready}
    assert left == {}


def absolute_imports(path: Path) -> set[str]:
    """First names of everything a module imports from outside the pack."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_inside_the_pack_are_relative(room):
    """ComfyUI has its own `nodes` and `models`, and loads the pack under a name nobody knows."""
    own = {*MAY_IMPORT, "figura"}
    assert not {name for name, path in of_room(room) if absolute_imports(path) & own}


@pytest.mark.parametrize("room", sorted(set(MAY_IMPORT) - {"host"}))
def test_only_the_host_knows_comfyui(room):
    theirs = {"comfy", "comfy_api", "comfy_execution", "execution", "folder_paths", "server"}
    assert not {name for name, path in of_room(room) if absolute_imports(path) & theirs}


def written_here() -> list[Path]:
    """Every Python file of the rooms and of their tests."""
    return [path for room in (*MAY_IMPORT, "tests") for path in sorted((ROOT / room).rglob("*.py"))]


def lines_of(node: ast.AST) -> int:
    return (getattr(node, "end_lineno", None) or 0) - getattr(node, "lineno", 0) + 1


def test_no_file_is_too_long_to_be_read_at_once():
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in written_here()}
    assert {path: lines for path, lines in lengths.items() if lines > LINES_OF_A_FILE} == {}


def test_no_function_but_a_nodes_inputs_is_longer_than_a_page():
    """A node's INPUT_TYPES is a table."""
    long = [
        f"{path.name}: {node.name} has {lines_of(node)} lines"
        for path in written_here()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name != "INPUT_TYPES"
        if lines_of(node) > LINES_OF_A_FUNCTION
    ]
    assert long == []
