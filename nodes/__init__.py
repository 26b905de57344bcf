"""The node classes, one file per method or stage.

Every module in this folder that has a `NODE_CLASS_MAPPINGS` (node id -> class) and a
`NODE_DISPLAY_NAME_MAPPINGS` (node id -> title) is registered; a new file needs no entry here. What comes
in is checked at one door, guard.py.
"""

import importlib
import pkgutil

from .guard import guarded
from .watched import watched

NODE_CLASS_MAPPINGS: dict[str, type] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}


def _register(module_name: str) -> None:
    """Add one module's nodes; two nodes under one id are a programming error."""
    module = importlib.import_module(f"{__name__}.{module_name}")
    classes = getattr(module, "NODE_CLASS_MAPPINGS", {})
    taken = sorted(set(classes) & set(NODE_CLASS_MAPPINGS))
    if taken:
        raise ValueError(f"nodes/{module_name}.py registers {', '.join(taken)} a second time: rename one")
    titles = getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", {})
    NODE_DISPLAY_NAME_MAPPINGS.update(titles)
    for node_id, node_class in classes.items():
        title = titles[node_id].removesuffix(" (Figura)")
        NODE_CLASS_MAPPINGS[node_id] = watched(guarded(node_class, title))


for _found in sorted(info.name for info in pkgutil.iter_modules(__path__)):
    _register(_found)
