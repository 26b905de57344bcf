"""Batches in parts."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion import batches
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 100))
def test_chunks_are_every_row_once_in_order_and_never_too_many(count: int) -> None:
    parts = batches.chunks(count)
    assert [row for part in parts for row in range(count)[part]] == list(range(count))
    assert all(0 < part.stop - part.start <= batches.IMAGES_AT_ONCE for part in parts)


def test_results_are_joined_and_steps_counted_over_all_parts() -> None:
    seen: list[tuple[int, int]] = []
    rows = torch.arange(5.0)

    def work(part: slice, on_step: batches.OnStep | None) -> tuple[torch.Tensor, torch.Tensor]:
        if on_step is not None:
            for done in (1, 2):
                on_step(done, 2, rows)
        return rows[part], -rows[part]

    parts = [slice(0, 3), slice(3, 5)]
    first, second = batches.in_chunks(parts, work, lambda done, total, z: seen.append((done, total)))
    assert torch.equal(first, rows) and torch.equal(second, -rows)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert torch.equal(batches.in_chunks(parts, work, None)[0], rows)


class Limited:
    """Work that fails for more than `most` rows, as a device does that is full."""

    def __init__(self, most: int) -> None:
        self.most, self.done = most, []

    def __call__(self, rows, on_step):
        count = len(range(10)[rows]) if isinstance(rows, slice) else len(rows)
        if count > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        self.done.append(rows)
        if on_step is not None:
            on_step(1, 1, torch.zeros(1))
        return (torch.arange(10)[rows],)


@pytest.mark.parametrize("rows", [slice(0, 10), list(range(10))])
def test_a_part_that_memory_runs_out_for_is_halved_until_it_fits(rows, caplog) -> None:
    work, seen = Limited(3), []
    (made,) = batches.in_chunks([rows], work, lambda done, total, z: seen.append((done, total)))
    assert made.tolist() == list(range(10))
    assert len(work.done) == 4 and "memory ran out for 10 pictures at once: going on with 5" in caplog.text
    assert [done / total for done, total in seen] == [0.25, 0.5, 0.75, 1.0]


def test_memory_that_runs_out_for_one_picture_is_said(caplog) -> None:
    with pytest.raises(torch.OutOfMemoryError, match="even for one picture.*smaller size.*Tried to allocate"):
        batches.in_chunks([slice(0, 2)], Limited(0), None)


def test_a_cpu_that_is_full_counts_too() -> None:
    def work(rows, on_step):
        if rows.stop - rows.start > 1:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
            )
        return (torch.arange(4)[rows],)

    assert batches.in_chunks([slice(0, 4)], work, None)[0].tolist() == [0, 1, 2, 3]


def test_other_errors_are_not_tried_again() -> None:
    calls = []

    def work(rows, on_step):
        calls.append(rows)
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        batches.in_chunks([slice(0, 4)], work, None)
    assert len(calls) == 1


def test_an_error_in_a_part_ends_the_work() -> None:
    def stop(part: slice, on_step: batches.OnStep | None) -> tuple[torch.Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batches.in_chunks([slice(0, 1)], stop, None)
