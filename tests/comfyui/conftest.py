"""A real ComfyUI for the tests of this folder: the checkout COMFYUI_PATH names, or comfy-cli's.

FIGURA_COMFYUI_PYTHON is the interpreter that runs it, when it is not the one that runs the tests.
"""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
NAME = "figura_comfyui_server"


def server_module() -> ModuleType:
    """tests/comfyui/server.py, loaded once under a name of its own."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(NAME, HERE / "server.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
    return sys.modules[NAME]


def start_server(base: Path) -> Iterator:
    """A started ComfyUI; skips when there is no checkout."""
    module = server_module()
    checkout = module.find_checkout()
    if checkout is None:
        pytest.skip("no ComfyUI here: set COMFYUI_PATH to a checkout")
    server = module.ComfyServer(checkout, base)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory) -> Iterator:
    """One ComfyUI for all tests of a session."""
    yield from start_server(tmp_path_factory.mktemp("comfyui"))
