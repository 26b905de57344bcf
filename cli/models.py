"""`figura models list|get|verify|convert`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.sentences import message_of
from .console import ProgressLine, complain, say

if TYPE_CHECKING:
    from .console import Commands


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
    verify.add_argument("files", nargs="*", type=Path, metavar="FILE")
    verify.set_defaults(command=verify_command)
    convert = actions.add_parser("convert", help="turn a pickle (.pth .ckpt .bin .pt) into safetensors")
    convert.add_argument("files", nargs="+", type=Path, metavar="FILE")
    convert.add_argument("--output", type=Path, help="file to write (default: beside the original)")
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
    """Download each file, unless it is already here."""
    from ..models import fetch, store

    for name in args.names:
        file = store.known_file(name)
        present = _found(name, file.file_kind)
        if present is not None and args.folder is None:
            say(f"{present} is already here")
            continue
        say(file.describe())
        line, name = ProgressLine(), file.name
        on_bytes = partial(line.report, name)
        say(str(fetch.get(file, args.folder or _folders(file.file_kind)[0], on_bytes=on_bytes)))
    return 0


def verify_command(args: argparse.Namespace) -> int:
    """Check the named files, or all that are here; 1 when one is not what it says it is."""
    from ..models.verify import verify

    bad = 0
    for path in args.files or _all_present():
        try:
            found = verify(path, _bytes_shown(path))
            say(f"ok {found.sha256} {path} ({found.against})")
        except (ValueError, OSError) as error:
            complain(message_of(error))
            bad += 1
    return 1 if bad else 0


def _bytes_shown(path: Path) -> Callable[[int], None]:
    line, read = ProgressLine(), 0
    size = path.stat().st_size if path.is_file() else 0

    def on_bytes(count: int) -> None:
        nonlocal read
        read += count
        line.report(path.name, read, size)

    return on_bytes


def convert_command(args: argparse.Namespace) -> int:
    """Convert each file."""
    from ..models.convert import convert

    if args.output is not None and len(args.files) > 1:
        raise ValueError("--output names one file, but several are to be converted: give one at a time")
    for path in args.files:
        say(str(convert(path, args.output)))
    return 0


def _folders(file_kind: str) -> list[Path]:
    from ..host.plain import PlainHost

    return PlainHost(device="cpu").model_folders(file_kind)


def _found(name: str, file_kind: str) -> Path | None:
    from ..models import store

    try:
        return store.locate(file_kind, name, _folders(file_kind))
    except FileNotFoundError:
        return None


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
