"""`figura bench`."""

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
