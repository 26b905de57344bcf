"""`figura eval`: what is written, tables, contact sheets, refused requests."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from figura.training.evaluation import command as reports
from figura.training.reports import sheets
from figura.training.reports import tables as results
from PIL import Image

REPORT = {
    "name": "phac", "samples": 8, "seed": 10_000_000, "device": "cpu", "threads": 2,
    "metrics": {
        "visible_iou": 0.93, "joint_err.pose": 0.031, "joint_err.pose.coarse": 0.02, "ssim_region": 0.71,
        "ssim_region.telea": 0.4, "ssim_region.s0.1": 0.6, "ssim_region.s0.5": 0.71, "seam_err.s0.1": 0.2,
        "seam_err.s0.5": 0.1, "max_abs_diff_outside": 0.0, "samples.curve": 2,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("eval")
    files = {"table": folder / "new" / "synth.md", "sheet": folder / "synth.jpg"}
    done = reports.eval_command("synth", 3, 5, folder / "synth.json", sheet_samples=2, **files)
    return done, folder


def test_eval_synth_measures_and_writes_everything(written) -> None:
    done, folder = written
    assert json.loads((folder / "synth.json").read_text()) == done
    names = ["name", "samples", "seed", "device", "threads", "metrics", "intervals", "differences"]
    assert list(done) == names and not done["differences"]
    low, high = done["intervals"]["hidden_share"]
    assert low <= done["metrics"]["hidden_share"] <= high
    assert done["name"] == "synth" and done["samples"] == 3 and done["seed"] == 10_000_005
    assert done["metrics"]["split_err"] == 0 and done["metrics"]["outside_diff"] < 1e-5
    assert 0.05 < done["metrics"]["hidden_share"] < 0.65 and done["metrics"]["joints_on_person"] > 0.9
    assert "| hidden_share |" in (folder / "new" / "synth.md").read_text()
    with Image.open(folder / "synth.jpg") as sheet:
        assert sheet.format == "JPEG" and sheet.width > 2 * 7 * 128


def test_seeds_are_held_out_however_they_are_named() -> None:
    assert reports.EvalOptions(samples=4, seed=3).seeds == range(10_000_003, 10_000_007)
    assert reports.EvalOptions(samples=4, seed=10_000_003).seeds == range(10_000_003, 10_000_007)


@pytest.mark.parametrize(
    ("method", "samples", "seed", "words"),
    [
        ("sam", 1, 0, "phac, .*amodal-mask, complete-pose, .*synth"),
        ("synth", 0, 0, "at least one"),
        ("synth", 1, -1, "seed"),
    ],
)
def test_impossible_requests_say_what_is_possible(method: str, samples: int, seed: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reports.eval_command(method, samples, seed)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="sam"):
        reports.eval_command("phac", 1, 0, weights=tmp_path)


def test_table_says_where_the_figures_come_from() -> None:
    text = results.table(REPORT, "a machine", date(2026, 1, 2))
    assert "8 held-out people (seeds 10000000 to 10000007), a machine, 2 threads, 2026-01-02" in text
    assert "| joint_err.pose | 0.031 |" in text and "side; prompt: joints |" in text
    assert "prompt: joints; coarse stage" in text and "| max_abs_diff_outside | 0 |" in text
    assert "| s | ssim_region | seam_err |" in text and "| 0.5 | 0.71 | 0.1 |" in text
    assert "| ssim_region.s0.1 |" not in text


def test_table_shows_intervals_and_differences_where_there_are_some() -> None:
    difference = {"mean": -0.02, "interval": [-0.03, -0.01]}
    report = {
        **REPORT, "intervals": {"joint_err.pose": [0.025, 0.0371]},
        "differences": {"joint_err.pose_minus_none": difference},
    }  # fmt: skip
    text = results.table(report, "a machine", date(2026, 1, 2))
    assert "| metric | value | what | 95 % |" in text and "| 0.025 to 0.0371 |" in text
    assert "| joint_err.pose - none | -0.02 | -0.03 to -0.01 |" in text
    assert "95 %" not in results.table(REPORT, "a machine", date(2026, 1, 2))


def test_table_from_a_report_on_disk(tmp_path: Path) -> None:
    source, target = tmp_path / "r.json", tmp_path / "r.md"
    source.write_text(json.dumps(REPORT))
    assert results.main([str(source), str(target)]) == 0
    assert target.read_text().startswith("# figura eval phac")
    assert results.main([str(source)]) == 2


def row(value: float, text: str = "somebody") -> sheets.Row:
    return sheets.Row({"one": torch.full((3, 16, 16), value), "two": torch.ones(1, 16, 16) * value}, text)


def test_sheet_holds_no_more_people_than_it_was_made_for() -> None:
    sheet = sheets.Sheet(people=3, columns=2)
    sheet.add([row(0.2), row(0.4)])
    sheet.add(row(0.1 * n) for n in range(5))
    assert len(sheet.rows) == 3
    pixels = np.asarray(sheet.image())
    assert pixels.shape[2] == 3
    left, top = sheets.BLOCK_GAP // 2, sheets.LINE
    assert (pixels[top : top + 16, left : left + 16] == round(0.2 * 255)).all()
    second = top + 16 + sheets.LINE + sheets.GAP
    assert (pixels[second : second + 16, left : left + 16] == round(0.4 * 255)).all()


def test_an_empty_sheet_says_so() -> None:
    with pytest.raises(ValueError, match="at least one person"):
        sheets.Sheet(2).image()


def test_long_captions_are_cut() -> None:
    sheet = sheets.Sheet(1)
    sheet.add([row(0.5, "a very long caption that does not fit below two small pictures")])
    assert sheet.image().width < 100


def test_label_colours_tell_all_parts_apart() -> None:
    colours = sheets.label_colours(torch.arange(25, dtype=torch.uint8).reshape(1, 5, 5))
    assert len(torch.unique(colours[0].flatten(1).T, dim=0)) == 25 and colours[0, :, 0, 0].sum() == 0
