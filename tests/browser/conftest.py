"""A real ComfyUI and what drives its page: node, Chromium, playwright-core (npm install in this folder)."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from figura.tests.comfyui.conftest import start_server

HERE = Path(__file__).resolve().parent


def run_script(name: str, job: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
    """What a script of this folder saw of its job: the JSON of its last line."""
    command = ["node", name, json.dumps(job)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=limit_s)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert "failed" not in seen, seen["failed"]
    return seen


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
    yield from start_server(tmp_path_factory.mktemp("comfyui"))
