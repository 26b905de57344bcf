"""The tables that `figura bench` writes."""

from datetime import date
from pathlib import Path

from figura.cli.measure import WHAT
from figura.cli.run_bench import RUN_BENCHES
from figura.training.bench.command import BENCHES
from figura.training.reports.bench_tables import ABOUT, bench_table, write_bench_table
from figura.training.reports.document import report


def measured(name: str) -> dict:
    return report(name, 3, 0, "cpu", 1, {"step_seconds.base": 0.25, "step_time_ratio.humansd": 1.0125})


def test_every_bench_says_what_it_measures():
    assert ABOUT.keys() == {**BENCHES, **RUN_BENCHES}.keys() == WHAT.keys()


def test_a_table_names_machine_and_day_and_begins_with_the_ratios():
    lines = bench_table(measured("humansd"), "a machine", date(2026, 11, 21)).splitlines()
    assert lines[0] == "# figura bench humansd" and lines[2] == "a machine, 1 thread, 2026-11-21."
    assert lines[-2:] == ["| step_time_ratio.humansd | 1.012 |", "| step_seconds.base | 0.25 |"]


def test_a_table_is_written_where_it_was_asked_for(tmp_path: Path):
    path = write_bench_table(tmp_path / "bench.md", measured("synth"))
    assert "| step_seconds.base | 0.25 |" in path.read_text(encoding="utf-8")
