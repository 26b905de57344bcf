"""`figura bench pocold` at tiny sizes: what it measures, not how fast it is."""

import pytest
import torch
from figura.models.pocold.losses import penalty
from figura.training.bench import pocold as bench


def test_memory_is_what_was_allocated_at_once():
    def work():
        first = torch.ones(1 << 20)
        del first
        return torch.ones(1 << 18) + torch.ones(1 << 18)

    assert bench.peak_bytes(work) == pytest.approx(4 << 20, rel=0.01)


def test_the_peers_of_the_penalty_agree():
    size = (12, 8)
    target, source = bench.body_labels(size)
    factors = bench.random_factors(size)
    torch.testing.assert_close(
        penalty(factors, target, source), bench.dense_penalty(factors, target, source), rtol=1e-4, atol=1e-6
    )


def test_every_ratio_is_reported_and_memory_grows_linearly():
    measured = bench.bench_pocold(((16, 8), (32, 16)), repeats=1)
    assert measured["name"] == "pocold" and measured["threads"] == 1
    figures = measured["metrics"]
    for size in ("16x8", "32x16"):
        for peer in ("fused", "in_memory", "formula"):
            assert figures[f"time_ratio.{size}.{peer}"] > 0 and figures[f"memory_ratio.{size}.{peer}"] > 0
        assert figures[f"memory_ratio.{size}"] == figures[f"memory_ratio.{size}.in_memory"]
        assert figures[f"time_ratio.{size}"] == figures[f"time_ratio.{size}.fused"]
        assert figures[f"penalty_memory_ratio.{size}"] > 0
    assert figures["mib.32x16.ours"] < 5 * figures["mib.16x8.ours"]
    assert figures["mib.32x16.in_memory"] > 8 * figures["mib.16x8.in_memory"]
    assert figures["time_growth.32x16"] > 0


def test_what_would_not_fit_is_left_out_with_a_word(caplog, monkeypatch):
    monkeypatch.setattr(bench, "LARGEST_MATRIX", 10)
    assert set(bench.attentions((4, 4))) == {"ours", "fused"}
    assert "left out" in caplog.text
