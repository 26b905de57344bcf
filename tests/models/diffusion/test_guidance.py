"""Guidance: scale 1 is the conditional prediction, exactly."""

from __future__ import annotations

import pytest
import torch
from figura.models.diffusion import guidance

NONE, ONE, BOTH = torch.randn(3, 2, 4, 3, 3, generator=torch.Generator().manual_seed(0))


def test_scale_one_is_conditional_and_zero_unconditional() -> None:
    assert torch.equal(guidance.cfg(NONE, ONE, 1.0), ONE)
    assert torch.equal(guidance.cfg(NONE, ONE, 0.0), NONE)


def test_plain_guidance_extrapolates() -> None:
    torch.testing.assert_close(guidance.cfg(NONE, ONE, 3.0), NONE + 3 * (ONE - NONE))


def test_cumulative_is_exact_at_one_and_plain_without_the_second() -> None:
    assert torch.equal(guidance.cumulative(NONE, ONE, BOTH, 1.0, 1.0), BOTH)
    torch.testing.assert_close(guidance.cumulative(NONE, ONE, ONE, 4.0, 9.0), guidance.cfg(NONE, ONE, 4.0))


@pytest.mark.parametrize(("t", "scale"), [(999, 4.995), (600, 3.0), (0, 3.0)])
def test_decaying_has_a_floor(t: int, scale: float) -> None:
    assert guidance.decaying(5.0, t) == pytest.approx(scale)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes"):
        guidance.cfg(NONE, ONE[:1], 2.0)
