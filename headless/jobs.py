"""Turns a workflow file, --set and --input into the graphs that are to run."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .graph import Graph, GraphError, is_link

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
SHIPPED_PICTURES = Path(__file__).resolve().parent.parent / "web" / "pictures"
IMAGE_LOADERS = ("LoadImage", "LoadImageMask")


@dataclass(frozen=True)
class Job:
    """One graph to run, named after its input picture (empty without one)."""

    name: str
    graph: Graph


@dataclass(frozen=True)
class JobResult:
    """The files a job wrote, or the error it ended with."""

    job: Job
    files: list[Path] = field(default_factory=list)
    error: Exception | None = None


def make_jobs(graph: Graph, settings: Sequence[str], inputs: Sequence[Path]) -> list[Job]:
    """One job for every input picture (folders stand for the pictures in them); a single job without any."""
    graph = copy.deepcopy(graph)
    for setting in settings:
        apply_setting(graph, setting)
    _find_shipped_pictures(graph)
    pictures = list(_pictures(inputs))
    if not pictures:
        return [Job("", graph)]
    loader = _the_image_loader(graph)
    several = len(pictures) > 1
    names = _unique([picture.stem for picture in pictures])
    return [
        Job(name, _for_picture(graph, loader, path, several, name)) for name, path in zip(names, pictures)
    ]


def apply_setting(graph: Graph, text: str) -> None:
    """Change one constant in place: "NODE.INPUT=VALUE", NODE an id, a title or a class that occurs once.

    VALUE is read as JSON where it is JSON (numbers, true, lists), else as text. Raises GraphError.
    """
    target, equals, value = text.partition("=")
    node_name, dot, input_name = target.rpartition(".")
    if not (equals and dot and node_name and input_name):
        raise GraphError(f"--set {text!r} is not of the form NODE.INPUT=VALUE, for example 3.seed=7")
    node = graph[_node_named(graph, node_name)]
    if input_name not in node["inputs"]:
        known = ", ".join(node["inputs"]) or "none"
        raise GraphError(f"--set {text!r}: node {node_name} ({node['class_type']}) has the inputs {known}")
    node["inputs"][input_name] = _parse(value)


def local_images(graph: Graph) -> Iterable[tuple[str, str, Path]]:
    """(node id, input name, path) of every image loader that names a file on this machine."""
    for node_id, node in graph.items():
        value = node["inputs"].get("image")
        if node["class_type"] in IMAGE_LOADERS and isinstance(value, str) and Path(value).is_file():
            yield node_id, "image", Path(value)


def _find_shipped_pictures(graph: Graph) -> None:
    """Give the path of a picture that comes with the pack where no file of that name is here."""
    for node in graph.values():
        value = node["inputs"].get("image")
        if node["class_type"] in IMAGE_LOADERS and isinstance(value, str) and not Path(value).is_file():
            shipped = SHIPPED_PICTURES / Path(value).name
            node["inputs"]["image"] = str(shipped) if shipped.is_file() else value


def _node_named(graph: Graph, name: str) -> str:
    if name in graph:
        return name
    titled = [key for key, node in graph.items() if name in (_title(node), node["class_type"])]
    if len(titled) == 1:
        return titled[0]
    known = ", ".join(f"{key} ({_title(node) or node['class_type']})" for key, node in graph.items())
    problem = "more than one node is" if titled else "no node is"
    raise GraphError(f"--set: {problem} called {name!r}; use one of the ids {known}")


def _title(node: dict[str, Any]) -> str:
    return str(node.get("_meta", {}).get("title", ""))


def _parse(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _pictures(inputs: Sequence[Path]) -> Iterable[Path]:
    for path in inputs:
        if path.is_dir():
            found = sorted(item for item in path.iterdir() if item.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise FileNotFoundError(f"--input {path}: no picture in this folder")
            yield from found
        elif path.is_file():
            yield path
        else:
            raise FileNotFoundError(f"--input {path}: no such file or folder")


def _the_image_loader(graph: Graph) -> str:
    loaders = [key for key, node in graph.items() if node["class_type"] == "LoadImage"]
    if len(loaders) != 1:
        count = "no LoadImage node" if not loaders else f"{len(loaders)} LoadImage nodes"
        raise GraphError(
            f"--input needs a workflow with one LoadImage node, this has {count}: use --set ID.image=FILE"
        )
    return loaders[0]


def _for_picture(graph: Graph, loader: str, path: Path, several: bool, name: str) -> Graph:
    """A copy that loads the picture; of several, each saves into a folder of its own."""
    graph = copy.deepcopy(graph)
    graph[loader]["inputs"]["image"] = str(path.resolve())
    for node in graph.values() if several else ():
        prefix = node["inputs"].get("filename_prefix")
        if prefix is not None and not is_link(prefix):
            node["inputs"]["filename_prefix"] = f"{name}/{prefix}"
    return graph


def _unique(names: Sequence[str]) -> list[str]:
    """The names, with -2, -3 ... behind those that came before."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result
