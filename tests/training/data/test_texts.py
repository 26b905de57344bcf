"""Lists as other programs write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from figura.training.data import command
from figura.training.data.released_lists import pocold_lines
from figura.training.data.texts import floats, lines_of, read_table, read_text


def test_the_mark_that_windows_writes_and_its_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("\ufefffrom,to\r\na.jpg,b.jpg\r\n".encode())
    assert read_table(tmp_path / "a.csv", ("from", "to")) == [{"from": "a.jpg", "to": "b.jpg"}]
    (tmp_path / "a.jsonl").write_bytes('\ufeff{"a": 1}\r\n\r\n{"a": 2}\r\n'.encode())
    assert [json.loads(line)["a"] for line, _ in lines_of(tmp_path / "a.jsonl")] == [1, 2]


def test_a_line_goes_on_behind_what_only_other_programs_take_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": "one\u2028two"}\n', encoding="utf-8")
    ((line, where),) = lines_of(tmp_path / "a.jsonl")
    assert json.loads(line) == {"a": "one\u2028two"} and where.endswith("a.jsonl line 1")


def test_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("é".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.csv is not UTF-8"):
        read_text(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "has no rows: its columns are from, to"),
        ("a,b\nc\n", "lacks to: its columns are from, to.*first in row 2"),
        ("a,b\n,c\n", "lacks from: .*first in row 2"),
        ("a,b,c\n", "more values than columns in row 1"),
    ],
)
def test_rows_that_lack_or_have_too_much_are_named(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(f"from,to\n{rows}")
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.csv", ("from", "to"))


def test_every_row_of_pocolds_list_is_looked_at(tmp_path: Path) -> None:
    whole = {"from_image": "a.jpg", "to_image": "b.jpg"}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(whole)}\n[1]\n")
    with pytest.raises(ValueError, match="no paths in from_image and to_image, first in row 2"):
        pocold_lines(tmp_path / "a.jsonl")


def test_lists_of_several_lengths_are_no_numbers() -> None:
    assert floats([[1, 2], [3]]).shape == (0,) and floats({}).shape == (0,)
    assert floats([[1, 2], [3, 4]]).shape == (2, 2)


def test_lists_that_belong_to_another_are_not_passed_over(tmp_path: Path) -> None:
    words = ["import", "pairs", str(tmp_path), "--data", str(tmp_path)]
    with pytest.raises(ValueError, match="go with --pairs"):
        command.main([*words, "--densepose", str(tmp_path)])
    joints = [str(tmp_path / each) for each in "abc"]
    listed = ["--pairs", "a", "--held-out-pairs", "b", "--joints", *joints]
    with pytest.raises(ValueError, match="--joints takes one file, .* 3 came"):
        command.main([*words, *listed])
