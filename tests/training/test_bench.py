"""`figura bench`."""

import torch
from figura.training.bench import bench_synth


def test_synth_reports_a_rate_and_leaves_the_threads_as_they_were():
    before = torch.get_num_threads()
    measured = bench_synth(repeats=3, batch=2, size=32)
    assert measured["name"] == "synth" and measured["threads"] == 1
    figures = measured["metrics"]
    assert measured["samples"] == 6 and figures["repeats"] == 3
    rates = [figures[f"images_per_second{part}"] for part in (".slowest", "", ".fastest")]
    assert rates == sorted(rates) and rates[0] > 0
    assert torch.get_num_threads() == before
