"""Which host the pack runs in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .interface import Host

_chosen: ContextVar[Host | None] = ContextVar("figura_host", default=None)
_made: dict[str, Host] = {}


def get_host() -> Host:
    """The host chosen by `use_host`; else ComfyUI when running inside it; else plain PyTorch."""
    return _chosen.get() or _default_host("comfy" if inside_comfyui() else "plain")


@contextmanager
def use_host(host: Host) -> Iterator[Host]:
    """Make `host` the one that `get_host` answers inside the block."""
    token = _chosen.set(host)
    try:
        yield host
    finally:
        _chosen.reset(token)


def inside_comfyui() -> bool:
    """Whether ComfyUI is running this code, not merely installed beside it."""
    return "folder_paths" in sys.modules and "comfy.model_management" in sys.modules


def _default_host(name: str) -> Host:
    if name not in _made:
        if name == "comfy":
            from .comfy import ComfyHost

            _made[name] = ComfyHost()
        else:
            from .plain import PlainHost

            _made[name] = PlainHost()
    return _made[name]
