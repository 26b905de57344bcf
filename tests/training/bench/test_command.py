"""`figura bench`."""

import pytest
import torch
from figura.people.synthetic import bystanders
from figura.training.bench.command import BENCHES, bench_synth, memory_growth


def test_synth_reports_a_rate_and_leaves_the_threads_as_they_were(monkeypatch):
    monkeypatch.setattr(bystanders, "CUTOUTS", 2)
    before = torch.get_num_threads()
    measured = bench_synth(repeats=3, batch=2, sizes=(32, 48))
    assert measured["name"] == "synth" and measured["threads"] == 1
    figures = measured["metrics"]
    assert measured["samples"] == 12 and figures["repeats"] == 3
    for size in (32, 48):
        rates = [figures[f"images_per_second.{size}{part}"] for part in (".slowest", "", ".fastest")]
        assert rates == sorted(rates) and rates[0] > 0
    assert torch.get_num_threads() == before


def test_synth_draws_people_of_another_checkout_in_turns(monkeypatch, tmp_path):
    monkeypatch.setattr(bystanders, "CUTOUTS", 2)
    folder = tmp_path / "people" / "synthetic"
    folder.mkdir(parents=True)
    drawn = tmp_path / "drawn"
    (folder / "__init__.py").write_text("from .draw import render_people\n", encoding="utf-8")
    (folder / "draw.py").write_text(
        "def render_people(seeds, size):\n"
        f"    with open({str(drawn)!r}, 'a') as file:\n"
        "        print(list(seeds), size, sum(range(10**5)), file=file)\n",
        encoding="utf-8",
    )
    (folder / "bystanders.py").write_text(
        "def draw_all_cutouts(seed):\n"
        f"    with open({str(drawn)!r}, 'a') as file:\n"
        "        print('bystanders by', seed, 0, file=file)\n",
        encoding="utf-8",
    )
    figures = bench_synth(repeats=1, batch=2, sizes=(32,), against=tmp_path)["metrics"]
    lines = [line.rsplit(" ", 1)[0] for line in drawn.read_text(encoding="utf-8").splitlines()]
    assert lines.pop(0) == "bystanders by 10000000"  # before anything is timed
    assert lines == ["[10000000, 10000001] 32", "[10000002, 10000003] 32"]
    ours, theirs = figures["images_per_second.32"], figures["images_per_second.32.against"]
    assert figures["time_ratio.32.against"] == pytest.approx(theirs / ours)


def test_synth_tells_a_folder_that_is_no_checkout(tmp_path):
    with pytest.raises(ValueError, match="no people/synthetic"):
        bench_synth(against=tmp_path)


def test_synth_reports_how_much_memory_grows():
    figures = memory_growth(4, 24)
    assert figures["pictures"] == 4 and figures["memory_mib"] > 50
    assert abs(figures["memory_growth_mib"]) < figures["memory_mib"]


def test_humansd_reports_its_step_and_a_controlnets_beside_the_bases():
    before = torch.get_num_threads()
    measured = BENCHES["humansd"](repeats=2, images=1, calls=1)
    figures = measured["metrics"]
    assert measured["name"] == "humansd" and measured["threads"] == 1
    for name in ("humansd", "controlnet"):
        # With two rounds the median is the mean of both; ratios lie within what single rounds allow.
        assert 0 < figures[f"step_time_ratio.{name}"] < float("inf") and figures[f"step_seconds.{name}"] > 0
    assert torch.get_num_threads() == before
