"""`figura bench import` on few small pairs: a killed import goes on with what it lacks."""

import pytest
from figura.training.bench import imports


@pytest.mark.slow
def test_a_killed_import_goes_on_without_repeating(monkeypatch):
    monkeypatch.setattr(imports, "BEFORE", (64, 48))
    metrics = imports.bench_import(192, (320, 240))["metrics"]
    assert metrics["shards"] == 3 and metrics["pictures_per_second"] > 0
    assert metrics["read_before_the_kill"] >= 1 and metrics["read_twice"] == 0
    assert metrics["read_before_the_kill"] + metrics["read_after_it"] == 3
    assert metrics["peak_mib"] > metrics["peak_growth_mib"] >= 0
