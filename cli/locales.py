"""The nodes' texts as ComfyUI's page reads them: locales/<language>/nodeDefs.json, and web/docs/<node id>.md.

`python -m figura.cli.locales` writes the English texts, and the lists of inputs and outputs in the help
pages, from the node classes. The rest of the pages and the other languages are written by hand; `gaps` says
what a language lacks or has too much.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..headless.graph import input_specs
from ..models.files import write_then_rename

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ROOT / "locales"
HELP = ROOT / "web" / "docs"
LISTS_START, LISTS_END = "## Inputs\n", "## Typical wiring\n"
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


def help_page(page: str, node_class: Any) -> str:
    """A help page with its lists of inputs and outputs taken from the class; ValueError without headings."""
    before, start, rest = page.partition(LISTS_START)
    _, end, after = rest.partition(LISTS_END)
    if not (start and end):
        raise ValueError(f"a help page needs the headings {LISTS_START.strip()!r} and {LISTS_END.strip()!r}")
    inputs = _list(_inputs(node_class)) or "None.\n"
    return f"{before}{start}\n{inputs}\n## Outputs\n\n{_list(_outputs(node_class))}\n{end}{after}"


def _list(texts: Texts) -> str:
    return "".join(f"- `{text['name']}`: {text.get('tooltip', '')}\n" for text in texts.values())


def files() -> dict[Path, str]:
    """Every file the command writes, and what stands in it."""
    from ..nodes import NODE_CLASS_MAPPINGS

    pages = {HELP / f"{node_id}.md": node_class for node_id, node_class in NODE_CLASS_MAPPINGS.items()}
    written = {
        path: help_page(path.read_text(encoding="utf-8"), node_class)
        for path, node_class in pages.items()
        if path.is_file()
    }
    return written | {LOCALES / "en" / "nodeDefs.json": as_file(english())}


def main() -> None:
    """Write them."""
    for path, text in files().items():
        write_then_rename(path, lambda place, text=text: place.write_bytes(text.encode()))  # type: ignore[misc]


if __name__ == "__main__":
    main()
