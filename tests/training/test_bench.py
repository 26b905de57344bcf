"""`figura bench`."""

import torch
from figura.training.bench import bench_synth


def test_synth_reports_a_rate_and_leaves_the_threads_as_they_were():
    before = torch.get_num_threads()
    measured = bench_synth(seconds=0.01, batch=2, size=32)
    assert measured["name"] == "synth" and measured["threads"] == 1
    assert measured["samples"] >= 2 and measured["metrics"]["images_per_second"] > 0
    assert torch.get_num_threads() == before
