"""Every known model file: what it is, where it belongs, whether it is there (table: store.toml)."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from ..people.prompt_kinds import PROMPT_KINDS
from .files import is_file, path_inside
from .sentences import shown, trained_weights, typed, where_typed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MINI = "mini"
MINI_DIR = Path(__file__).resolve().parent.parent / "weights" / "mini"
TABLE = Path(__file__).with_name("store.toml")
SAFE_SUFFIXES = (".safetensors", ".sft")
PICKLE_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin")
SCRIPT_SUFFIX = ".torchscript"
ARRAY_SUFFIX = ".pkl"
"""numpy arrays, as detectron2 publishes weights."""
SCRIPTED_FILE_KINDS = ("densepose",)
OWN_FOLDERS = ("figura", "sams")
KINDS_KEPT = 10_000
"""Files whose kind is remembered."""


@dataclass(frozen=True)
class ModelFile:
    """One public file of store.toml. size in bytes; sha256 empty where none is published.

    name may begin with a folder of its own; beside: further small files of the repository that go there, too.
    url: where it is fetched from when it is in no repository of the hub.
    """

    name: str
    file_kind: str
    use: str
    size: int
    licence: str
    page: str
    sha256: str = ""
    repo: str = ""
    path: str = ""
    url: str = ""
    beside: tuple[str, ...] = ()
    size_is_rounded: bool = False

    @property
    def folder(self) -> str:
        """The ComfyUI model folder it belongs in."""
        return folder_keys(self.file_kind)[0]

    @property
    def can_be_fetched(self) -> bool:
        """Whether `figura models get` knows where it is."""
        return bool(self.repo or self.url)

    def describe(self) -> str:
        """Size, licence and source in one line."""
        return f"{self.name}: {self.use}; {human_size(self.size)}, licence {self.licence}, from {self.page}"


class MissingModelError(FileNotFoundError):
    """A model file is not where it was looked for; the text says what it is and where to get it."""


@cache
def _table() -> dict[str, Any]:
    with TABLE.open("rb") as file:
        return tomllib.load(file)


def file_kinds() -> list[str]:
    """Every kind of model file."""
    return list(_table()["kinds"])


def folder_keys(file_kind: str) -> list[str]:
    """Names of the ComfyUI model folders searched for a kind; ValueError lists the known kinds."""
    if file_kind not in _table()["kinds"]:
        raise ValueError(f"unknown kind of model {file_kind!r}; known are {', '.join(file_kinds())}")
    return _table()["kinds"][file_kind]["folders"]


def own_folder_keys() -> tuple[str, ...]:
    """Model folders that ComfyUI does not have of itself."""
    return OWN_FOLDERS


def known_files(file_kind: str | None = None) -> list[ModelFile]:
    """The public files of store.toml, all or of one kind."""
    files = [ModelFile(**entry) for entry in _table()["file"]]
    return [file for file in files if file_kind in (None, file.file_kind)]


def known_file(name: str) -> ModelFile:
    """The entry of that file name; ValueError lists the known names."""
    files = {file.name: file for file in known_files()}
    if name not in files:
        close = [each for each in files if name and each.startswith(name)]
        close = close or difflib.get_close_matches(name, files, n=1)
        hint = f"did you mean {close[0]}? Known" if close else "known"
        raise ValueError(f"unknown model file {name!r}; {hint} are {', '.join(files)}")
    return files[name]


def mini_files(file_kind: str) -> list[Path]:
    """The shipped files behind the choice "mini" of a kind, whether present or not."""
    folder_keys(file_kind)
    names = _table()["kinds"][file_kind].get("mini", [])
    return list(dict.fromkeys(MINI_DIR / each for name in names for each in _for_every_prompt_kind(name)))


def _for_every_prompt_kind(name: str) -> list[str]:
    """A file's name, or, with {prompt_kind} in it, that of every kind of prompt."""
    return [name.replace("{prompt_kind}", prompt_kind.recipe) for prompt_kind in PROMPT_KINDS.values()]


def find(file_kind: str, folders: Sequence[Path | str]) -> list[str]:
    """What a loader may offer: "mini" first, if there is a mini model of the kind, then the files found.

    Names are relative to their folder, with forward slashes. Files of this pack of another kind are left out.
    """
    names = [
        path.relative_to(folder).as_posix()
        for folder in map(Path, folders)
        for path in _files_under(folder, file_kind)
    ]
    return ([MINI] if mini_files(file_kind) else []) + sorted(set(names), key=str.lower)


def locate(file_kind: str, name: str, folders: Sequence[Path | str]) -> Path:
    """Path of a name that `find` offered; for "mini" the folder of the shipped family.

    Raises MissingModelError that says which file, its size, licence, source page, and every folder searched.
    """
    if name == MINI:
        _check_mini(file_kind)
        return MINI_DIR
    for folder in map(Path, folders):
        try:
            path = path_inside(folder, name)
        except ValueError:
            continue
        if is_file(path):
            return path
    raise MissingModelError(_missing_text(file_kind, name, folders))


def state_of(path: Path) -> tuple[str, int, int]:
    """Path, size and time of change of a file: another one when it was replaced under its name."""
    state = path.stat()
    return str(path), state.st_size, state.st_mtime_ns


def human_size(size: int) -> str:
    """A size in the largest unit that fits.

    >>> human_size(1536)
    '1.5 KiB'
    """
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def _files_under(folder: Path, file_kind: str) -> list[Path]:
    suffixes = (*SAFE_SUFFIXES, *PICKLE_SUFFIXES, SCRIPT_SUFFIX, ARRAY_SUFFIX)
    paths = (path for path in _walk(folder) if path.suffix.lower() in suffixes)
    return [path for path in paths if path.is_file() and _may_be(path, file_kind)]


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, also behind links to files and folders, as ComfyUI lists them.

    A folder that a link leads back to is left out, so that a ring of links ends.
    """
    for place, folders, names in os.walk(folder, followlinks=True):
        above = {os.path.realpath(place), *map(os.path.realpath, Path(place).parents)}
        folders[:] = [name for name in folders if os.path.realpath(os.path.join(place, name)) not in above]
        yield from (Path(place) / name for name in names)


def _may_be(path: Path, file_kind: str) -> bool:
    """Whether a file can be of the kind. Only files of this pack say their kind; all others are offered."""
    if path.suffix.lower() in (SCRIPT_SUFFIX, ARRAY_SUFFIX):
        return file_kind in SCRIPTED_FILE_KINDS
    if path.suffix.lower() not in SAFE_SUFFIXES:
        return True
    try:
        return _own_kind(*state_of(path)) in (None, file_kind)
    except OSError:
        return True


@lru_cache(maxsize=KINDS_KEPT)
def _own_kind(path: str, size: int, changed: int) -> str | None:
    """The kind that a file of this pack says it is of, None for all others. Raises OSError.

    size, changed: as `state_of` gives them. Loaders list their folders several times for one prompt, in which
    there may be hundreds of checkpoints: each is opened once.
    """
    from .diffusion.checkpoint import may_be_own, read_metadata

    try:
        return str(read_metadata(path)["kind"]) if may_be_own(path) else None
    except ValueError:
        return None


def _check_mini(file_kind: str) -> None:
    missing = [path for path in mini_files(file_kind) if not path.is_file()]
    if missing or not mini_files(file_kind):
        names = ", ".join(path.name for path in missing) or f"a mini model of kind {file_kind!r}"
        raise MissingModelError(
            f"the shipped mini family lacks {names} in {MINI_DIR}: install the pack again, whole"
            + _training(missing)
        )


def _training(missing: Sequence[Path]) -> str:
    """How to make the files of mini that are missing: each is named after its recipe."""
    commands = ", ".join(typed(f"train {path.stem}") for path in missing) + where_typed()
    return f", or train them ({commands}) and copy them there from {trained_weights()}" if missing else ""


def _missing_text(file_kind: str, name: str, folders: Sequence[Path | str]) -> str:
    searched = ", ".join(str(folder) for folder in folders) or "no folder"
    known = next((file for file in known_files() if file.name == Path(name).name), None)
    if known is None:
        return (
            f"no {file_kind} file {shown(name)} in {searched}: choose another, or put it into one of these "
            "folders"
        )
    command = typed(f"models get {known.name}") + where_typed()
    get = f"fetch it with: {command}" if known.can_be_fetched else "download it there by hand"
    return f"no file {name!r} in {searched}. {known.describe()}. Put it into one of these folders, or {get}"
