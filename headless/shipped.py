"""The workflows that come with the pack, by their names."""

from __future__ import annotations

import difflib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "workflows" / "api"


def workflow_names() -> list[str]:
    """Names of the shipped workflows, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def find_workflow(name: str) -> Path:
    """The file of that path, or the shipped workflow of that name; FileNotFoundError lists the shipped."""
    if Path(name).is_file():
        return Path(name)
    if name in workflow_names():
        return FOLDER / f"{name}.json"
    close = difflib.get_close_matches(Path(name).stem, workflow_names(), n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise FileNotFoundError(
        f"{name} is neither a file nor a shipped workflow: {hint}Shipped are {', '.join(workflow_names())}"
    )
