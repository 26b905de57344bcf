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
RENDERERS = {"canvas": False, "nodes2": True}
"""Of ComfyUI's page: whether its nodes are drawn by Vue."""
NODES2_FROM = (0, 4)
"""ComfyUI before that has a front end whose Vue renderer, an experiment then, shows no DOM widgets."""


def skip_without_editor(comfyui, renderer: str) -> None:
    """Skips where the renderer of this ComfyUI's page does not show the point editor."""
    version = tuple(map(int, comfyui.json("/system_stats")["system"]["comfyui_version"].split(".")[:2]))
    if RENDERERS[renderer] and version < NODES2_FROM:
        pytest.skip("this ComfyUI's Nodes 2.0 shows no DOM widgets")


def page_job(comfyui, renderer: str, name: str) -> dict[str, Any]:
    """What every script that drives ComfyUI's page is told."""
    settings = {"Comfy.VueNodes.Enabled": RENDERERS[renderer]}
    return {"url": comfyui.url, "name": f"{name}-{renderer}", "settings": settings, "shots": shots_folder()}


def shots_folder() -> str | None:
    """The folder for pictures of the page that FIGURA_SCREENSHOTS names."""
    shots = os.environ.get("FIGURA_SCREENSHOTS")
    return shots and str(Path(shots).resolve())


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
