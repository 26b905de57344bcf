"""Data sets as shards and back: nothing is lost, both ways go on, lacking and damaged shards are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from figura.training.data import command, shards
from figura.training.data.pairs import build_pairs

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
