"""Loads the repository root as the package `figura`, so that tests run with and without an install, and find
what they share under `figura.tests`. Hypothesis draws the same cases every time.
"""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent


def load_pack(name: str = "figura", root: Path = ROOT) -> object:
    """Import the pack under `name` as ComfyUI does: from its folder, under any module name."""
    spec = importlib.util.spec_from_file_location(
        name, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no pack at {root}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if "figura" not in sys.modules:
    load_pack()

settings.register_profile(
    "figura", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("figura")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked fuzz takes minutes, and runs when -m names it."""
    if "fuzz" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("fuzz"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: pytest -m fuzz"))
