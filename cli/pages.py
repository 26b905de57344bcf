"""Pages of docs/ that say what the code knows: nodes.md from the node classes, models.md from store.toml.

`python -m figura.cli.pages` writes them again; a test says when one is out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ..models import store
from ..models.files import write_then_rename

DOCS = Path(__file__).resolve().parent.parent / "docs"
CATEGORIES = {
    "people": "People: points, poses, masks", "crop": "Crops", "PHAC": "PHAC: completing a person",
    "hands": "Giving a Hand", "HumanSD": "HumanSD", "PoCoLD": "PoCoLD", "CFLD": "CFLD", "compare": "Figures",
}  # fmt: skip
NODES_HEAD = """# Nodes

What comes in stands left of the arrow, what comes out right of it; the pictures are mini's, from the
shipped workflows. Every name leads to the node's help page, with all inputs and outputs; ComfyUI shows the
same page beside the node. Made by `python -m figura.cli.pages`, the pictures by `python -m figura.workflows
--node-pictures`.
"""
MODELS_HEAD = """# Model files

Nothing is downloaded unless you ask for it by name: `figura models get NAME` ([typed](cli.md) as
`python figura ...` where ComfyUI is), which checks size and, where one is published, sha256. Files are
recognised by what is in them, not by their names; `models` is ComfyUI's own folder, and paths of
`extra_model_paths.yaml` count. Without ComfyUI it is `.figura/models` in your home folder. *mini* comes with
the pack, in `weights/mini`. What the loaders make of other kinds of file, and what they refuse, is in
[files](files.md). Made by `python -m figura.cli.pages` from [store.toml](../models/store.toml).
"""
MODELS_TAIL = """
## What nobody has published

PHAC, Giving a Hand and PoCoLD have no public weights: mini has its own, and [training.md](training.md) says
how larger ones are trained. Self-trained files go to `models/figura/`.

## What is not for commercial use

pix2gestalt's checkpoint (`epoch=000005.ckpt`, CC BY-NC 4.0) goes to `models/checkpoints/` by hand, from its
[page](https://github.com/cvlab-columbia/pix2gestalt): [what it does](photos.md#pix2gestalt).
"""


def write_pages() -> list[Path]:
    """Write docs/nodes.md and docs/models.md; gives their paths."""
    pages = {DOCS / "nodes.md": nodes_page(), DOCS / "models.md": models_page()}
    for path, text in pages.items():
        write_then_rename(path, partial(Path.write_text, data=text, encoding="utf-8"))
    return list(pages)


def nodes_page() -> str:
    """docs/nodes.md: every node under its category, with its picture where there is one."""
    return "\n".join([NODES_HEAD, *_node_sections()]).rstrip() + "\n"


def _node_sections() -> Iterator[str]:
    from ..nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    for category, title in CATEGORIES.items():
        yield f"## {title}\n"
        for node_id, node_class in NODE_CLASS_MAPPINGS.items():
            if _category(node_class) == category:
                yield from _node_lines(node_id, NODE_DISPLAY_NAME_MAPPINGS[node_id], node_class)


def _category(node_class: Any) -> str:
    return str(node_class.CATEGORY).rpartition("/")[2]


def _node_lines(node_id: str, title: str, node_class: Any) -> Iterator[str]:
    yield f"### [{title}](../web/docs/{node_id}.md)\n\n{node_class.DESCRIPTION}\n"
    if (DOCS / "nodes" / f"{node_id}.jpg").is_file():
        yield f"![{title}: before and after](nodes/{node_id}.jpg)\n"


def models_page() -> str:
    """docs/models.md: the files of every kind, where they come from and where they go."""
    return "\n".join([MODELS_HEAD, *_model_sections(), MODELS_TAIL.lstrip("\n")])


def _model_sections() -> Iterator[str]:
    for file_kind in store.file_kinds():
        folders = " or ".join(f"`models/{key}/`" for key in store.folder_keys(file_kind))
        yield f"## {file_kind.replace('_', ' ')}\n\nGoes to {folders}.\n"
        mini = ", ".join(f"`{path.name}`" for path in store.mini_files(file_kind))
        if mini:
            yield f"mini: {mini}\n"
        files = store.known_files(file_kind)
        if files:
            yield "| file | for | size | licence | from |\n| --- | --- | --- | --- | --- |"
            yield from map(_model_row, files)
            yield ""


def _model_row(file: store.ModelFile) -> str:
    size = ("about " if file.size_is_rounded else "") + store.human_size(file.size)
    by_command = f"`figura models get {file.name}`, or " if file.can_be_fetched else ""
    return f"| `{file.name}` | {file.use} | {size} | {file.licence} | {by_command}[page]({file.page}) |"


if __name__ == "__main__":
    from .console import say

    for page in write_pages():
        say(str(page))
