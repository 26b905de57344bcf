"""What an import goes on with, and what it refuses to mix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figura.tests.training.data import public_formats
from figura.training.data import command, people
from figura.training.data.imported_pairs import import_pairs
from figura.training.data.people import build_people
from PIL import Image


def import_coco(coco: Path, data: Path, purpose: str, caption: str) -> int:
    words = ["import", "coco", str(coco), "--annotations", str(coco / "people.json"), "--for", purpose]
    return command.main(
        [*words, "--data", str(data), "--size", "64", "--held-out", "2", "--caption", caption]
    )


def test_other_purposes_and_texts_are_refused_where_data_are(tmp_path: Path) -> None:
    coco, data = public_formats.write_coco(tmp_path, 4, 160), tmp_path / "data"
    import_coco(coco, data, "humansd", "somebody")
    for purpose, caption in (("phac", "somebody"), ("humansd", "a man")):
        with pytest.raises(ValueError, match="held_out was made from something else, first row 0"):
            import_coco(coco, data, purpose, caption)
    assert import_coco(coco, data, "humansd", "somebody") == 0
    assert json.loads((data / "train" / "captions.json").read_text()) == ["somebody"] * 2


def pairs(folder: Path, count: int) -> list[str]:
    """A table of pairs, as lines; their pictures are there."""
    for number in range(count):
        for side in "ab":
            Image.new("RGB", (12, 16), (number, 0, 0)).save(folder / f"{number}{side}.png")
    lines = ["source,target", *[f"{number}a.png,{number}b.png" for number in range(count)]]
    write(folder, "held_out", lines[:2])
    return lines


def write(folder: Path, part: str, lines: Any) -> None:
    (folder / f"{part}.csv").write_text("\n".join(lines), encoding="utf-8")


def test_a_list_that_was_corrected_goes_on_and_finished_rows_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "SHARD", 2)
    lines = pairs(tmp_path, 4)
    write(tmp_path, "train", [*lines[:4], "3a.png,none.png"])
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        import_pairs(tmp_path / "data", tmp_path, (16, 16))
    write(tmp_path, "train", [lines[0], lines[2], lines[1], *lines[3:]])
    with pytest.raises(ValueError, match="made from something else, first row 0"):
        import_pairs(tmp_path / "data", tmp_path, (16, 16))
    write(tmp_path, "train", lines)
    import_pairs(tmp_path / "data", tmp_path, (16, 16))
    assert np.load(tmp_path / "data/train/pairs/target.npy")[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    write(tmp_path, "train", [lines[0], *reversed(lines[1:])])
    with pytest.raises(ValueError, match="made from something else"):
        import_pairs(tmp_path / "data", tmp_path, (16, 16))


def test_finished_data_without_an_array_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "occluded.npy", np.zeros((2, 3, 16, 16), np.uint8))
    (tmp_path / "captions.json").write_text('["", ""]')
    with pytest.raises(ValueError, match="holds other data, without arrays that these need"):
        build_people(tmp_path, 2, size=16)
