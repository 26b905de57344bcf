"""Data sets as shards and back: nothing is lost, both ways go on, lacking and damaged shards are named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from figura.models.locks import FolderInUseError, only_one
from figura.training.data import command, shards
from figura.training.data.pairs import build_pairs
from safetensors.numpy import save_file

COUNT = 5


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shards, "ROWS", 2)
    build_pairs(tmp_path / "data", COUNT, 1, 48, processes=1)
    np.save(tmp_path / "data" / "train" / "pairs" / "source_latents_x.npy", np.zeros(3))
    return tmp_path / "data"


def same(first: Path, second: Path) -> bool:
    files = sorted(each.relative_to(second) for each in second.rglob("*") if each.is_file())
    return bool(files) and all((first / each).read_bytes() == (second / each).read_bytes() for each in files)


@pytest.mark.parametrize("kind", shards.KINDS)
def test_data_come_back_as_they_were(kind: str, data: Path, tmp_path: Path) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    assert command.main(["pack", str(out), "--data", str(data), "--kind", kind]) == 0
    names = sorted(file.name for file in out.iterdir())
    assert names[0] == f"held_out__pairs-000000-of-000001.{kind}" and len(names) == 4
    assert command.main(["import", "shards", str(out), "--data", str(back)]) == 0
    assert same(data, back) and not list(back.rglob("*latents*"))


def test_data_that_are_newer_than_their_shards_are_packed_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert shards.pack(data, out) == 4 and shards.pack(data, out) == 0
    old = out / "train__pairs-000001-of-000003.tar"
    os.utime(old, (1, 1))
    assert shards.pack(data, out) == 1 and old.stat().st_mtime > 1


def test_both_ways_go_on_where_they_stopped(data: Path, tmp_path: Path, monkeypatch) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    assert shards.pack(data, out) == 4
    (out / "train__pairs-000001-of-000003.tar").unlink()
    assert shards.pack(data, out) == 1
    read, calls = shards._read, []

    def breaks(file: Path):
        calls.append(file.name)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return read(file)

    monkeypatch.setattr(shards, "_read", breaks)
    with pytest.raises(KeyboardInterrupt):
        shards.unpack(out, back)
    monkeypatch.setattr(shards, "_read", read)
    assert shards.unpack(out, back) == 2 and same(data, back)
    assert shards.unpack(out, back) == 0


def test_shards_that_lack_or_are_damaged_are_named(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shards.pack(data, out)
    (out / "train__pairs-000002-of-000003.tar").write_bytes(b"no tar")
    with pytest.raises(ValueError, match="train__pairs-000002-of-000003.tar is damaged"):
        shards.unpack(out, tmp_path / "back")
    (out / "train__pairs-000002-of-000003.tar").unlink()
    with pytest.raises(FileNotFoundError, match="1 of 3 shards of train__pairs.* lack, first number 2"):
        shards.unpack(out, tmp_path / "back")
    with pytest.raises(FileNotFoundError, match="no shards in"):
        shards.unpack(tmp_path / "none", tmp_path / "back")
    with pytest.raises(ValueError, match="kind is 'zip'"):
        shards.pack(data, out, "zip")
    with pytest.raises(FileNotFoundError, match="no finished data in"):
        shards.pack(tmp_path / "none", out)


def test_an_array_that_went_is_read_anew_with_all_of_its_rows(
    data: Path, tmp_path: Path, monkeypatch
) -> None:
    out, back, read = tmp_path / "out", tmp_path / "back", shards._read
    shards.pack(data, out)

    def breaks(file: Path):
        if file.name.startswith("train__pairs-000001"):
            raise KeyboardInterrupt
        return read(file)

    monkeypatch.setattr(shards, "_read", breaks)
    with pytest.raises(KeyboardInterrupt):
        shards.unpack(out, back)
    (back / "train" / "pairs" / "source.npy").unlink()
    monkeypatch.setattr(shards, "_read", read)
    assert shards.unpack(out, back) == 3 and same(data, back)


def test_two_processes_do_not_unpack_at_once(data: Path, tmp_path: Path) -> None:
    shards.pack(data, tmp_path / "out")
    with only_one(tmp_path / "back" / "train" / "pairs", "unpack in"), pytest.raises(FolderInUseError):
        shards.unpack(tmp_path / "out", tmp_path / "back")


def test_shards_of_two_sets_are_not_mixed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shards.pack(data, out)
    first, second = (out / f"train__pairs-{number}-of-000003.tar" for number in ("000000", "000002"))
    whole = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(ValueError, match="000000-of-000003.tar has other rows or arrays"):
        shards.unpack(out, tmp_path / "back")
    first.write_bytes(whole)
    (out / "train__pairs-000000-of-000004.tar").write_bytes(whole)
    with pytest.raises(ValueError, match="in 3 shards and in 4: keep one set"):
        shards.unpack(out, tmp_path / "back")


@pytest.mark.parametrize("kind", shards.KINDS)
def test_names_in_a_shard_lead_nowhere_else(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    place, arrays = out / f"train-000000-of-000001.{kind}", {"../../elsewhere": np.zeros((1, 2), np.uint8)}
    if kind == shards.TAR:
        shards._write_tar(place, arrays, ["a"], 0)
    else:
        save_file(arrays, str(place), {"captions": '["a"]'})
    with pytest.raises(ValueError, match="is no shard of .figura data pack.: '../../elsewhere'"):
        shards.unpack(out, tmp_path / "back" / "data")
    assert not list(tmp_path.rglob("elsewhere*"))
