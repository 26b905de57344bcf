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


def test_an_error_in_a_part_ends_the_work() -> None:
    def stop(part: slice, on_step: batches.OnStep | None) -> tuple[torch.Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batches.in_chunks([slice(0, 1)], stop, None)
