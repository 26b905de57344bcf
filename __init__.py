"""Figura: people in pictures, completed, generated and re-posed, as ComfyUI nodes.

This file only registers. ComfyUI loads the repository root as a module of any name; elsewhere it is `figura`.
The node classes are imported when somebody asks for them, so that `figura.people` and its sisters stay light.
"""

from typing import Any

WEB_DIRECTORY = "./web"
__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]


def __getattr__(name: str) -> Any:
    """The two mappings ComfyUI looks for, taken from `nodes` on first use (PEP 562)."""
    if name not in ("NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import nodes
    from .host.images import offer_images
    from .host.routes import add_routes

    add_routes(nodes.NODE_CLASS_MAPPINGS["FiguraExamplePerson"])
    offer_images()
    return getattr(nodes, name)
