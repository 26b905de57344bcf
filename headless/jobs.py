"""Turns a workflow file, --set and --input into the graphs that are to run."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import re
import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..host.images import SHIPPED_IMAGES
from ..models.files import is_file, path_inside
from ..models.sentences import shown
from .graph import Classes, Graph, GraphError, is_link, needs
from .settings import apply_setting, is_ours, point_prompts, text_nodes, title_of

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LIST = ".txt"
SHIPPED_NAMES = tuple(path.name for path in SHIPPED_IMAGES.glob("*.png"))
MOST_NAMED = 5
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
IMAGE_LOADERS = ("LoadImage", "LoadImageMask")


@dataclass(frozen=True)
class Job:
    """One graph to run, named after its input picture (empty without one).

    said: (node id, input name) of the pictures that the user named; all others the graph itself names.
    """

    name: str
    graph: Graph
    said: frozenset[tuple[str, str]] = frozenset()

    @cached_property
    def digest(self) -> str:
        """Of the graph and its pictures, as they are when it is first asked for. Raises OSError."""
        pictures = {(node_id, "image"): path for node_id, path in pictures_of(self)}
        graph = {
            node_id: {
                "class_type": node["class_type"],
                "inputs": {
                    name: _digest_of(pictures[node_id, name]) if (node_id, name) in pictures else value
                    for name, value in node["inputs"].items()
                },
            }
            for node_id, node in self.graph.items()
        }
        return hashlib.sha256(json.dumps(graph, sort_keys=True, default=repr).encode()).hexdigest()


@dataclass(frozen=True)
class JobResult:
    """The files a job wrote, or the error it ended with. earlier: the files are those of an earlier run."""

    job: Job
    files: list[Path] = field(default_factory=list)
    error: Exception | None = None
    earlier: bool = False


def make_jobs(
    graph: Graph,
    settings: Sequence[str],
    inputs: Sequence[Path],
    classes: Classes | None = None,
    points: Path | None = None,
) -> list[Job]:
    """One job for every input picture (folders stand for the pictures in them); a single job without any.

    Points and texts that were written for another picture are not used on these: GraphError asks for the
    user's own points, texts that say what is drawn are emptied with a warning. Settings are always taken.

    Args:
        graph: the workflow; is not changed.
        settings: "NODE.INPUT=VALUE" each, see `apply_setting`.
        inputs: pictures and folders of pictures for the LoadImage node.
        classes: node classes by name, which declare the type of each input.
        points: a folder with the points of each picture, NAME.json for NAME.png, for every Point Prompt.

    Raises GraphError; FileNotFoundError and ValueError for pictures and points that are missing or are none.
    """
    shipped = graph
    graph = copy.deepcopy(graph)
    given = {apply_setting(graph, setting, classes or {}) for setting in settings}
    images = list(_images(inputs))
    if points is not None and not images:
        raise GraphError(f"--points {points}: a folder of points goes with pictures: give them with --input")
    prompts = [] if points is None else [key for key in point_prompts(graph) if (key, "points") not in given]
    given |= {(key, "points") for key in prompts}
    own = {path: read_points(_points_file(points, path)) for path in images} if points is not None else {}
    loader = _the_image_loader(graph) if images else ""
    for key in _loaders(graph):
        before = _image_name(shipped[key])
        now = [path.name for path in images] if key == loader else [_image_name(graph[key])]
        for other in [name for name in now if name != before][:1]:
            _drop_what_was_said(graph, key, before, other, given)
    _find_shipped_images(graph)
    if not images:
        return [Job("", graph, frozenset(given))]
    several, said = len(images) > 1, frozenset(given | {(loader, "image")})
    names = _unique([as_text(image.stem) for image in images])
    graphs = [_for_image(graph, loader, path, several, name) for name, path in zip(names, images)]
    for each, path in zip(graphs, images):
        for key in prompts:
            each[key]["inputs"]["points"] = own[path]
    return [Job(name, each, said) for name, each in zip(names, graphs)]


def read_points(path: Path) -> str:
    """The text of a file of points; FileNotFoundError and ValueError when there is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"--points {path}: no such file or folder") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"--points {path}: this is no text file; give the JSON of the points") from error


def _points_file(folder: Path, picture: Path) -> Path:
    path = folder / f"{picture.stem}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"--points {folder}: there is no {path.name} for {picture.name}: save the points of each "
            "picture under its name"
        )
    return path


def _drop_what_was_said(
    graph: Graph, loader: str, before: str, now: str, given: Container[tuple[str, str]]
) -> None:
    """Refuse points, and empty texts, of the nodes behind a loader that now loads another picture.

    Args:
        graph: is changed in place.
        loader: id of the LoadImage node.
        before: name of the picture that the workflow was made for.
        now: name of the picture that is loaded now.
        given: (node id, input name) of everything the user has set; stays as it is.
    """
    behind = [key for key in graph if loader in needs(graph, key)]
    for key in behind:
        if is_ours(graph[key]) and (key, "points") not in given and _is_said(graph[key], "points"):
            name = title_of(graph[key]).removesuffix(" (Figura)")
            raise GraphError(
                f"the points of node {key} ({name}) were set on {before}, not on {now}: give the file of "
                f'your own with --points FILE, or --set "{name}.points=" where a pose is connected'
            )
    about = [
        key for key in text_nodes(graph, behind)
        if before in SHIPPED_NAMES and (key, "text") not in given and _is_said(graph[key], "text")
    ]  # fmt: skip
    for key in about:
        graph[key]["inputs"]["text"] = ""
    if about:
        log.warning(
            "the text of this workflow speaks of the person in %s and is left out: say with --text TEXT what "
            "the hidden part of yours looks like", before,
        )  # fmt: skip


def _is_said(node: Mapping[str, Any], name: str) -> bool:
    value = node["inputs"].get(name)
    return isinstance(value, str) and bool(value.strip())


def _loaders(graph: Graph) -> list[str]:
    return [key for key, node in graph.items() if node["class_type"] in IMAGE_LOADERS]


def _image_name(node: Mapping[str, Any]) -> str:
    """Name of the file that a loader names, without its folder and ComfyUI's mark of one."""
    return Path(str(node["inputs"].get("image", "")).partition(" [")[0]).name


def pictures_of(job: Job) -> list[tuple[str, Path]]:
    """(node id, path) of every image loader that names a picture on this machine."""
    named = [(node_id, job.graph[node_id]["inputs"].get("image")) for node_id in _loaders(job.graph)]
    return [(key, Path(value)) for key, value in named if isinstance(value, str) and is_file(value)]


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def local_images(job: Job) -> Iterable[tuple[str, str, Path]]:
    """(node id, input name, path) of every image loader that names a picture on this machine.

    These are sent to servers, and a graph may be a stranger's. So only pictures are given, told by their
    content, and only those that the user named, that lie in the input folder, which is the working folder, or
    that came with the pack. Raises GraphError for another file of this machine.
    """
    for node_id, path in pictures_of(job):
        node = job.graph[node_id]
        where = f"node {node_id} ({node['class_type']}) names {node['inputs']['image'][:200]!r}"
        if (node_id, "image") not in job.said and not _may_be_sent(path):
            raise GraphError(
                f"{where}, which lies outside the working folder and is not sent unasked: if you want "
                f"that, give it yourself with --set {node_id}.image=FILE"
            )
        problem = _unfit(path)
        if problem:
            raise GraphError(f"{where}, {problem}")
        yield node_id, "image", path


def as_text(name: str) -> str:
    """A file's name with _ for bytes that are no text, which JSON and HTTP cannot carry."""
    return re.sub("[\ud800-\udfff]", "_", name)


def _may_be_sent(path: Path) -> bool:
    """Whether a file lies in the working folder, in no hidden part of it, or came with the pack."""
    if path.resolve().parent == SHIPPED_IMAGES:
        return True
    try:
        inside = path_inside(Path.cwd(), str(path)).relative_to(Path.cwd())
    except ValueError:
        return False
    return not any(part.startswith(".") for part in inside.parts)


def _unfit(path: Path) -> str:
    """Why a file is not sent as a picture; empty for a picture."""
    from PIL import Image

    try:
        with Image.open(path, formats=PICTURE_FORMATS) as opened:
            opened.verify()
    except Image.DecompressionBombError as error:
        return f"which is larger than what ComfyUI opens ({str(error).partition(',')[0]}): scale it down"
    except (OSError, SyntaxError, ValueError):
        return "which is no picture: only pictures are sent to servers"
    return ""


def without_folders(graph: Graph) -> Graph:
    """The graph as results carry it: loaders name their pictures without the folders of this machine."""
    for key in _loaders(graph):
        name = graph[key]["inputs"].get("image")
        if isinstance(name, str) and Path(name).is_absolute():
            graph[key]["inputs"]["image"] = Path(name).name
    return graph


def _find_shipped_images(graph: Graph) -> None:
    """Give the path of a picture that comes with the pack where no file of that name is here."""
    for node in graph.values():
        value = node["inputs"].get("image")
        if node["class_type"] in IMAGE_LOADERS and isinstance(value, str) and not is_file(value):
            shipped = SHIPPED_IMAGES / Path(value).name
            node["inputs"]["image"] = str(shipped) if is_file(shipped) else value


def _images(inputs: Sequence[Path]) -> Iterable[Path]:
    for path in inputs:
        if path.is_dir():
            yield from _pictures_in(path)
        elif path.suffix.lower() == LIST and path.is_file():
            yield from _listed(path)
        elif path.is_file():
            yield path
        else:
            raise FileNotFoundError(f"--input {path}: no such file or folder")


def _listed(path: Path) -> Iterable[Path]:
    """The pictures of a list, one a line; relative ones lie beside it."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"--input {path}: a list is a text, one picture a line; this is none") from error
    named = [path.parent / line.strip() for line in lines if line.strip()]
    for picture in named:
        if not is_file(picture):
            raise FileNotFoundError(f"--input {path}: no such file {shown(str(picture))}")
    if not named:
        raise FileNotFoundError(f"--input {path}: no picture in this list")
    return named


def _pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, in order of their names; files that are passed over are logged."""
    files = sorted(item for item in folder.iterdir() if item.is_file())
    found = [item for item in files if item.suffix.lower() in IMAGE_SUFFIXES and item.name[0] != "."]
    kept = set(found)
    others = [item.name for item in files if item not in kept]
    if not found:
        raise FileNotFoundError(f"--input {folder}: no picture in this folder")
    if others:
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        names = ", ".join(others[:MOST_NAMED])
        log.warning("--input %s: passed over %s%s: hidden, or of no known format", folder, names, more)
    return found


def _the_image_loader(graph: Graph) -> str:
    loaders = [key for key in _loaders(graph) if graph[key]["class_type"] == "LoadImage"]
    if len(loaders) != 1:
        count = "no LoadImage node" if not loaders else f"{len(loaders)} LoadImage nodes"
        remedy = "use --set ID.image=FILE" if loaders else "take another, such as phac_photo"
        raise GraphError(f"--input needs a workflow with one LoadImage node, this has {count}: {remedy}")
    return loaders[0]


def _for_image(graph: Graph, loader: str, path: Path, several: bool, name: str) -> Graph:
    """A copy that loads the picture; of several, each saves into a folder of its own."""
    graph = copy.deepcopy(graph)
    graph[loader]["inputs"]["image"] = str(path.resolve())
    for node in graph.values() if several else ():
        prefix = node["inputs"].get("filename_prefix")
        if prefix is not None and not is_link(prefix):
            node["inputs"]["filename_prefix"] = f"{name}/{prefix}"
    return graph


def _unique(names: Sequence[str]) -> list[str]:
    """The names, with -2, -3 ... behind those that came before; none that another one has already, on no file
    system.
    """
    taken, result = set(map(_folded, names)), []
    used: dict[str, int] = {}
    for name in names:
        same = _folded(name)
        used[same] = used.get(same, 0) + 1
        unique = name
        while used[same] > 1 and _folded(unique := f"{name}-{used[same]}") in taken:
            used[same] += 1
        taken.add(_folded(unique))
        result.append(unique)
    return result


def _folded(name: str) -> str:
    """The same for names that are one on file systems that know no case, or no accents of two characters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
