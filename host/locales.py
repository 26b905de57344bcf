"""The nodes' texts as ComfyUI's page reads them: locales/<language>/nodeDefs.json.

English is written from the node classes by `python -m figura.host.locales`. The other languages are
written by hand; `gaps` says what one of them lacks or has too much.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..models.files import write_then_rename
from .graph import input_specs

LOCALES = Path(__file__).resolve().parent.parent / "locales"
Texts = dict[str, Any]


def english() -> Texts:
    """nodeDefs of all nodes: title, description, names and tooltips of inputs and outputs."""
    from ..nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    return {
        node_id: {
            "display_name": NODE_DISPLAY_NAME_MAPPINGS[node_id],
            "description": node_class.DESCRIPTION,  # type: ignore[attr-defined]
            "inputs": _inputs(node_class),
            "outputs": _outputs(node_class),
        }
        for node_id, node_class in sorted(NODE_CLASS_MAPPINGS.items())
    }


def _inputs(node_class: Any) -> Texts:
    return {
        name: _text(name, str(spec.options.get("tooltip", "")))
        for name, spec in input_specs(node_class).items()
    }


def _outputs(node_class: Any) -> Texts:
    tooltips = getattr(node_class, "OUTPUT_TOOLTIPS", ())
    names = getattr(node_class, "RETURN_NAMES", node_class.RETURN_TYPES)
    padded = [*tooltips, *[""] * len(names)]
    return {str(slot): _text(name, padded[slot]) for slot, name in enumerate(names)}


def _text(name: str, tooltip: str) -> dict[str, str]:
    return {"name": name, "tooltip": tooltip} if tooltip else {"name": name}


def gaps(reference: Any, other: Any, place: str = "") -> list[str]:
    """Places where `other` lacks a text of `reference`, has one too many, or has an empty one."""
    if not isinstance(reference, Mapping) or not isinstance(other, Mapping):
        return [] if isinstance(other, str) and other.strip() else [f"{place}: no text"]
    odd = [f"{place}/{key}: missing" for key in reference if key not in other]
    odd += [f"{place}/{key}: not in the English texts" for key in other if key not in reference]
    shared = [key for key in reference if key in other]
    return odd + [gap for key in shared for gap in gaps(reference[key], other[key], f"{place}/{key}")]


def as_file(texts: Texts) -> str:
    """The text of a locale file: UTF-8 as it is, no byte order mark."""
    return json.dumps(texts, ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Write locales/en/nodeDefs.json."""
    path = LOCALES / "en" / "nodeDefs.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_then_rename(path, lambda place: place.write_bytes(as_file(english()).encode()))


if __name__ == "__main__":
    main()
