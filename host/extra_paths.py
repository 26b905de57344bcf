"""Model folders that ComfyUI's extra_model_paths.yaml names, for the commands that run without ComfyUI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

FILE = "extra_model_paths.yaml"
NEW_NAMES = {"unet": "diffusion_models", "clip": "text_encoders"}
"""Old names of model folders, and what ComfyUI takes them for."""


class ExtraFolders(NamedTuple):
    """Folders by the name of the model folder they add to: searched before ComfyUI's own, and after it."""

    before: dict[str, list[Path]]
    after: dict[str, list[Path]]


def extra_model_folders(comfyui: Path) -> ExtraFolders:
    """What the file in ComfyUI's folder says, as ComfyUI reads it: without a file, nothing.

    Raises ValueError, which names the file, for one that is no YAML of that form.
    """
    import yaml

    path, found = comfyui / FILE, ExtraFolders({}, {})
    try:
        sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return found
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as YAML ({error}): mend it, or move it away") from error
    if not isinstance(sections, dict):
        raise ValueError(f"{path} has no sections: compare it with ComfyUI's {FILE}.example")
    for name, section in sections.items():
        if section is not None and not isinstance(section, dict):
            raise ValueError(f"{path}: section {name} names no folders: compare it with {FILE}.example")
        _add_section(found, section or {}, path.parent)
    return found


def _add_section(found: ExtraFolders, section: dict[str, Any], beside: Path) -> None:
    base = beside / os.path.expandvars(os.path.expanduser(str(section.get("base_path") or "")))
    folders = found.before if section.get("is_default") else found.after
    for name, lines in section.items():
        if name not in ("base_path", "is_default") and isinstance(lines, str):
            named = [line.strip() for line in lines.split("\n") if line.strip()]
            places = [Path(os.path.normpath(base / each)) for each in named]
            known = folders.setdefault(NEW_NAMES.get(name, name), [])
            # Each default folder goes before all others, so the last one is searched first.
            known[:] = [*reversed(places), *known] if folders is found.before else [*known, *places]
