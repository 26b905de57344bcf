"""`figura models list|get|verify|convert`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..models.sentences import message_of
from .console import ProgressLine, complain, say

if TYPE_CHECKING:
    from ..models.store import ModelFile
    from .console import Commands

Item = TypeVar("Item")


def add_models(commands: Commands) -> None:
    """Declare the commands."""
    models = commands.add_parser("models", help="list, fetch, check or convert model files")
    actions = models.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every known file, whether it is here, size, licence")
    listing.set_defaults(command=list_command)
    get = actions.add_parser("get", help="download known files")
    get.add_argument("names", nargs="+", metavar="NAME")
    get.add_argument("--folder", type=Path, help="where to (default: the model folder of its kind)")
    get.set_defaults(command=get_command)
    checks = "check files that are here: the sha256 of known ones, the format of others"
    verify = actions.add_parser("verify", help=checks)
    name = "a path, or a name in the model folders"
    verify.add_argument("files", nargs="*", type=Path, metavar="FILE", help=name)
    verify.set_defaults(command=verify_command)
    convert = actions.add_parser("convert", help="turn a pickle (.pth .ckpt .bin .pt) into safetensors")
    convert.add_argument("files", nargs="+", type=Path, metavar="FILE", help=name)
    convert.add_argument(
        "--output", type=Path, help="file or folder to write to (default: beside the original)"
    )
    convert.set_defaults(command=convert_command)


def list_command(args: argparse.Namespace) -> int:
    """One line for each file: present or not, size, kind, name, licence, use, source."""
    from ..models import store

    for path in sorted({path for file_kind in store.file_kinds() for path in store.mini_files(file_kind)}):
        size = store.human_size(path.stat().st_size) if path.is_file() else "-"
        say(f"{_state(path):8} {size:>10}  mini           {path.name}  (Apache-2.0, shipped)")
    for file in store.known_files():
        place = _found(file.name, file.file_kind)
        licence = f"({file.licence}; {file.use}; {file.page})"
        say(
            f"{_state(place):8} {store.human_size(file.size):>10}  {file.file_kind:14} {file.name}  {licence}"
        )
    return 0


def get_command(args: argparse.Namespace) -> int:
    """Download each file, unless it is already here; 1 when one of them could not be fetched."""
    from ..models import store

    files = [store.known_file(name) for name in args.names]
    return _each(files, partial(_get, folder=args.folder))


def _get(file: ModelFile, folder: Path | None) -> str:
    from ..models import fetch

    if folder is not None and folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--folder {folder} is no folder: name one, or leave it out")
    present = _found(file.name, file.file_kind)
    if present is not None and folder is None:
        return f"{present} is already here"
    say(file.describe())
    with ProgressLine() as line:
        on_bytes = partial(line.report, file.name)
        return str(fetch.get(file, folder or _folders(file.file_kind)[0], on_bytes=on_bytes))


def verify_command(args: argparse.Namespace) -> int:
    """Check the named files, or all that are here; 1 when one is not what it says it is."""
    return _each([_where(path) for path in args.files] or _all_present(), _verified)


def _verified(path: Path) -> str:
    from ..models.verify import verify

    with ProgressLine() as line:
        found = verify(path, _bytes_shown(path, line))
    return f"ok {found.sha256} {path} ({found.against})"


def _each(items: Sequence[Item], work: Callable[[Item], str]) -> int:
    """Say what came of each; one that fails does not keep the others from being tried. The exit status."""
    failed = 0
    for item in items:
        try:
            say(work(item))
        except (ValueError, OSError) as error:
            complain(message_of(error))
            failed += 1
    return 1 if failed else 0


def _bytes_shown(path: Path, line: ProgressLine) -> Callable[[int], None]:
    read = 0
    size = path.stat().st_size if path.is_file() else 0

    def on_bytes(count: int) -> None:
        nonlocal read
        read += count
        line.report(path.name, read, size)

    return on_bytes


def convert_command(args: argparse.Namespace) -> int:
    """Convert each file; 1 when one of them could not be."""
    from ..models.convert import convert

    into = args.output
    if into is not None and len(args.files) > 1 and not into.is_dir():
        raise ValueError("--output names one file, but several are to be converted: name a folder")
    return _each([_where(path) for path in args.files], lambda path: str(convert(path, into)))


def _folders(file_kind: str) -> list[Path]:
    from ..host.plain import PlainHost

    return PlainHost(device="cpu").model_folders(file_kind)


def _found(name: str, file_kind: str) -> Path | None:
    """Where a file of that name is, in any folder below those of its kind, as nodes offer it."""
    from ..models import store

    folders = _folders(file_kind)
    offered = [each for each in store.find(file_kind, folders) if f"/{each}".endswith(f"/{name}")]
    return store.locate(file_kind, offered[0], folders) if offered else None


def _where(path: Path) -> Path:
    """The file of that path, or one that loaders offer by that name; the path itself when there is none."""
    from ..models import store

    if path.exists():
        return path
    found = (_found(path.as_posix(), file_kind) for file_kind in store.file_kinds())
    return next((place for place in found if place is not None and place.is_file()), path)


def _all_present() -> list[Path]:
    """The shipped files, those that are missing too, and the published ones that are here."""
    from ..models import store
    from ..models.verify import shipped_sums

    known = [
        place for file in store.known_files() if (place := _found(file.name, file.file_kind)) is not None
    ]
    mini = {*store.MINI_DIR.glob("*.safetensors"), *(store.MINI_DIR / name for name in shipped_sums())}
    return sorted(mini) + known


def _state(place: Path | None) -> str:
    return "present" if place is not None and place.is_file() else "missing"
