"""A real ComfyUI for the tests of this folder: the checkout COMFYUI_PATH names, or comfy-cli's.

FIGURA_COMFYUI_PYTHON is the interpreter that runs it, when it is not the one that runs the tests.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from figura.tests.comfyui.server import ComfyServer, find_checkout


def checkout_or_skip() -> Path:
    checkout = find_checkout()
    if checkout is None:
        pytest.skip("no ComfyUI here: set COMFYUI_PATH to a checkout")
    return checkout


def start_server(base: Path) -> Iterator:
    """A started ComfyUI; skips when there is no checkout."""
    server = ComfyServer(checkout_or_skip(), base)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Where ComfyUI is."""
    return checkout_or_skip()


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory) -> Iterator:
    """One ComfyUI for all tests of a session."""
    yield from start_server(tmp_path_factory.mktemp("comfyui"))
