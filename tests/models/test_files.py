"""Saving without half files: what stands in the way stays as it was."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from figura.models import files
from figura.models.files import remove_leftovers, write_then_rename


def write(place: Path) -> None:
    place.write_text("new", encoding="utf-8")


def test_a_file_is_made_with_its_folder_and_replaced(tmp_path) -> None:
    path = tmp_path / "deep" / "figures.md"
    for _ in range(2):
        assert write_then_rename(path, write) == path
    assert path.read_text(encoding="utf-8") == "new" and list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path) -> None:
    path = tmp_path / "figures.md"
    path.write_text("old", encoding="utf-8")

    def fail(place: Path) -> None:
        write(place)
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        write_then_rename(path, fail)
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_refused_and_stays(tmp_path, linked: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = tmp_path / "link" if linked else pipe
    if linked:
        path.symlink_to(pipe)
    with pytest.raises(OSError, match="a device or a pipe: choose the name of a file.*" + path.name):
        write_then_rename(path, write)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and path.is_symlink() == linked
    assert {each.name for each in tmp_path.iterdir()} == {"pipe", path.name}


def test_a_folder_is_refused_and_stays(tmp_path) -> None:
    with pytest.raises(OSError, match="is a folder"):
        write_then_rename(tmp_path, write)
    assert tmp_path.is_dir()


def test_an_unfinished_file_has_no_ending_by_which_it_would_be_offered(tmp_path):
    seen = []

    def write(place):
        place.write_bytes(b"half")
        seen.extend(path.name for path in tmp_path.rglob("*.safetensors"))

    write_then_rename(tmp_path / "model.safetensors", write)
    assert seen == [] and [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_leftover_with_our_own_number_is_removed_and_what_we_write_stays(tmp_path):
    """Containers start again with the same numbers: the dead process may have had ours."""
    left = tmp_path / f".{files._machine()}.{os.getpid()}.00ff00.partial"
    older = tmp_path / f".model.safetensors.{files._machine()}.{os.getpid()}.00ff00.partial"
    left.mkdir()
    older.mkdir()

    def nested(place: Path) -> None:
        write(place)
        assert remove_leftovers(tmp_path) == [] and place.is_file()
        write_then_rename(tmp_path / "other.md", write)
        assert place.is_file()

    write_then_rename(tmp_path / "figures.md", nested)
    assert {each.name for each in tmp_path.iterdir()} == {"figures.md", "other.md"}


def test_where_one_cannot_ask_others_live(tmp_path, monkeypatch):
    theirs = tmp_path / f".{files._machine()}.{os.getpid() + 1}.00ff00.partial"
    theirs.mkdir()
    monkeypatch.setattr(files, "os", SimpleNamespace(name="nt", getpid=os.getpid, scandir=os.scandir))
    assert remove_leftovers(tmp_path) == [] and theirs.is_dir()


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u4eba", "\U0001f9cd"])
def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path, letter: str) -> None:
    """Systems count bytes, not letters."""
    path = tmp_path / (letter * (255 // len(letter.encode())))
    assert write_then_rename(path, write).read_text(encoding="utf-8") == "new"
