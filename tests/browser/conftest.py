"""A real ComfyUI and what drives its page: node, Chromium, playwright-core (npm install in this folder)."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
COMFYUI_FIXTURES = HERE.parent / "comfyui" / "conftest.py"


@pytest.fixture(scope="session")
def browser_ready() -> None:
    """Skips where something is missing."""
    chromium = os.environ.get("FIGURA_CHROMIUM", "/usr/bin/chromium")
    if shutil.which("node") is None:
        pytest.skip("no node here")
    if not Path(chromium).is_file():
        pytest.skip(f"no Chromium at {chromium}: install it or set FIGURA_CHROMIUM")
    if not (HERE / "node_modules" / "playwright-core").is_dir():
        pytest.skip(f"no playwright-core: npm install in {HERE}")


@pytest.fixture(scope="session")
def comfyui(browser_ready, tmp_path_factory) -> Iterator:
    """One ComfyUI for all tests of a session."""
    spec = importlib.util.spec_from_file_location("figura_comfyui_fixtures", COMFYUI_FIXTURES)
    fixtures = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = fixtures
    spec.loader.exec_module(fixtures)
    yield from fixtures.start_server(tmp_path_factory.mktemp("comfyui"))
