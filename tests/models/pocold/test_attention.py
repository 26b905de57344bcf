"""Pose-constrained attention against the dense formula, and the penalty against the dense sum."""

from __future__ import annotations

import pytest
import torch
from figura.models.pocold.attention import (
    PAPER,
    RELEASED,
    SCALE_MODES,
    DenseFormula,
    Factors,
    PoseConstrainedAttention,
    VanillaAttention,
)
from figura.models.pocold.losses import (
    MASS,
    MEAN,
    REDUCTIONS,
    ROWS,
    SUM,
    Constraint,
    part_mass,
    penalty,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

CHANNELS, SOURCE_CHANNELS, HEADS, FILTERS = 16, 12, 4, 6
QUERIES, SOURCES = (6, 4), (5, 3)


def attention(kind=PoseConstrainedAttention, mode: str = PAPER):
    torch.manual_seed(0)
    return kind(CHANNELS, SOURCE_CHANNELS, HEADS, FILTERS, mode).double()


def inputs(grad: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, CHANNELS, *QUERIES, generator=generator, dtype=torch.double)
    source = torch.randn(2, SOURCE_CHANNELS, *SOURCES, generator=generator, dtype=torch.double)
    return hidden.requires_grad_(grad), source.requires_grad_(grad)


def random_factors(queries: int, sources: int, seed: int = 0, grad: bool = False) -> Factors:
    generator = torch.Generator().manual_seed(seed)
    shapes = (2, 3, queries, FILTERS), (2, 3, FILTERS, sources)
    logits = [3 * torch.randn(*shape, generator=generator, dtype=torch.double) for shape in shapes]
    d, e = (each.softmax(-1).requires_grad_(grad) for each in logits)
    return Factors(d, e, (queries, 1), (sources, 1))


def dense_penalty(
    factors: Factors, target: Tensor, source: Tensor, include_unmatched: bool, reduction: str
) -> Tensor:
    """Equation 8, written down with every matrix in full."""
    matches = target[:, :, None] == source[:, None, :]
    rows = torch.ones_like(target, dtype=torch.bool) if include_unmatched else matches.any(2)
    wrong = factors.dense() * (~matches & rows[:, :, None])[:, None]
    if reduction == MASS:
        return (wrong.sum((2, 3)).mean(1) / rows.sum(1).clamp_min(1)).mean()
    squares = wrong.square()
    if reduction == MEAN:
        return squares.mean()
    sums = squares.sum((2, 3)).mean(1)
    return (sums / rows.sum(1).clamp_min(1)).mean() if reduction == ROWS else sums.mean()


class TestAttention:
    @pytest.mark.parametrize("mode", SCALE_MODES)
    def test_linear_cost_gives_the_dense_formulas_values_and_gradients(self, mode):
        results = []
        for kind in (PoseConstrainedAttention, DenseFormula):
            module, (hidden, source) = attention(kind, mode), inputs(grad=True)
            out = module(hidden, source)
            gradients = torch.autograd.grad(out.square().sum(), [hidden, source, *module.parameters()])
            results.append([out, *gradients])
        for linear, dense in zip(*results, strict=True):
            torch.testing.assert_close(linear, dense, atol=1e-5, rtol=1e-5)

    def test_it_is_the_papers_equation(self):
        module, (hidden, source) = attention(), inputs()
        features = module.norm(source.flatten(2).mT)
        query = module.to_q(hidden.flatten(2).mT)
        key, value = module.to_k(features), module.to_v(features)
        outs, width = [], CHANNELS // HEADS
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            of_query = (module.distribution_filters[:, part] @ query[..., part].mT / width**0.5).softmax(1)
            of_source = (module.extraction_filters[:, part] @ key[..., part].mT / width**0.5).softmax(2)
            outs.append(of_query.mT @ of_source @ value[..., part])
        wanted = module.to_out(torch.cat(outs, -1)).mT.unflatten(2, QUERIES) + hidden
        torch.testing.assert_close(module(hidden, source), wanted, atol=1e-5, rtol=1e-5)

    def test_head_by_head_gives_the_same(self, monkeypatch):
        module, (hidden, source) = attention(mode=RELEASED), inputs()
        whole = module(hidden, source)
        monkeypatch.setattr("figura.models.pocold.attention.LARGEST_AT_ONCE", 1)
        torch.testing.assert_close(module(hidden, source), whole, atol=1e-6, rtol=1e-6)

    def test_the_released_scale_stands_for_the_roots_and_scales_the_residual(self):
        module, (hidden, source) = attention(mode=RELEASED), inputs()
        plain = attention(mode=PAPER)
        plain.load_state_dict({k: v for k, v in module.state_dict().items() if k != "residual"})
        root = (CHANNELS // HEADS) ** -0.5
        with torch.no_grad():
            module.residual.fill_(root)
            difference = module(hidden, source) - plain(hidden, source)
        torch.testing.assert_close(difference, (root - 1) * hidden, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("kind", ["sparse", "vanilla"])
    def test_rows_of_the_attention_sum_to_one(self, kind):
        torch.manual_seed(0)
        module = (
            attention() if kind == "sparse" else VanillaAttention(CHANNELS, SOURCE_CHANNELS, HEADS).double()
        )
        seen: list[Factors] = []
        module(*inputs(), observe=seen.append)
        assert (seen[0].queries, seen[0].sources) == (QUERIES, SOURCES)
        maps = seen[0].dense()
        assert maps.shape == (2, HEADS, 24, 15) and maps.min() >= 0
        torch.testing.assert_close(maps.sum(-1), torch.ones(2, HEADS, 24), atol=1e-5, rtol=0)

    def test_fused_and_in_memory_cross_attention_agree(self):
        torch.manual_seed(0)
        module = VanillaAttention(CHANNELS, SOURCE_CHANNELS, HEADS).double()
        plain = module(*inputs())
        module.fused = True
        torch.testing.assert_close(module(*inputs()), plain, atol=1e-5, rtol=1e-5)

    def test_half_precision_keeps_its_softmax_in_full(self):
        module, (hidden, source) = attention().bfloat16(), inputs()
        seen: list[Factors] = []
        out = module(hidden.bfloat16(), source.bfloat16(), seen.append)
        assert out.dtype == torch.bfloat16 and seen[0].distribution.dtype == torch.float32

    def test_bad_settings(self):
        with pytest.raises(ValueError, match="scale_mode is 'other'"):
            PoseConstrainedAttention(8, 8, 2, 4, "other")
        with pytest.raises(ValueError, match="9 channels cannot be split into 2"):
            VanillaAttention(9, 8, 2)


labels_of = st.sampled_from([[0], [0, 1], [3, 4, 24], list(range(25))])


class TestPenalty:
    @pytest.mark.parametrize("reduction", REDUCTIONS)
    @pytest.mark.parametrize("include_unmatched", [False, True])
    @given(labels_of, labels_of, st.integers(1, 130), st.integers(1, 90), st.integers(0, 99))
    def test_equals_the_dense_sum(
        self, include_unmatched, reduction, target_parts, source_parts, queries, sources, seed
    ):
        generator = torch.Generator().manual_seed(seed)
        draw = [
            torch.tensor(parts)[torch.randint(len(parts), (2, count), generator=generator)]
            for parts, count in ((target_parts, queries), (source_parts, sources))
        ]
        factors = random_factors(queries, sources, seed)
        found = penalty(factors, *draw, include_unmatched, reduction)
        wanted = dense_penalty(factors, *draw, include_unmatched, reduction)
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)

    @pytest.mark.parametrize("include_unmatched", [False, True])
    @pytest.mark.parametrize("counts", [(100, 70), (FILTERS, FILTERS)])
    def test_gradients_are_those_of_the_dense_sum(self, include_unmatched, counts):
        generator = torch.Generator().manual_seed(0)
        target, source = (torch.randint(5, (2, count), generator=generator) for count in counts)
        gradients = []
        for function in (penalty, dense_penalty):
            factors = random_factors(*counts, grad=True)
            value = function(factors, target, source, include_unmatched, SUM)
            gradients.append(torch.autograd.grad(value, [factors.distribution, factors.extraction]))
        for linear, dense in zip(*gradients, strict=True):
            torch.testing.assert_close(linear, dense)

    def test_equal_labels_cost_nothing(self):
        factors, labels = random_factors(20, 20), torch.full((2, 20), 7)
        assert penalty(factors, labels, labels) == 0

    def test_a_part_the_source_lacks_counts_only_when_asked(self):
        factors = random_factors(8, 8)
        target, source = torch.full((2, 8), 3), torch.full((2, 8), 4)
        assert penalty(factors, target, source) == 0
        everything = factors.dense().square().sum((2, 3)).mean()
        torch.testing.assert_close(penalty(factors, target, source, include_unmatched=True), everything)

    def test_the_mass_between_parts_is_that_of_the_dense_matrix(self):
        factors = random_factors(24, 15)
        generator = torch.Generator().manual_seed(0)
        target, source = (
            torch.randint(4, (2, 24), generator=generator),
            torch.randint(4, (2, 15), generator=generator),
        )
        factors = Factors(*(each.float() for each in factors[:2]), *factors[2:])
        mass, dense = part_mass(factors, target, source), factors.dense().mean(1)
        for p in range(4):
            for q in range(4):
                inside = (target == p)[:, :, None] & (source == q)[:, None, :]
                torch.testing.assert_close(mass[:, p, q], (dense * inside).sum((1, 2)))
        torch.testing.assert_close(mass.sum((1, 2)), torch.full((2,), 24.0))

    def test_the_constraint_brings_labels_to_every_modules_size(self):
        labels = torch.arange(16).reshape(1, 4, 4)
        constraint = Constraint(labels, labels, reduction=MEAN)
        assert constraint.total() == 0
        torch.manual_seed(0)
        small = Factors(torch.rand(1, 2, 4, 3), torch.rand(1, 2, 3, 16), (2, 2), (4, 4))
        constraint(small)
        corners = torch.tensor([[0, 2, 8, 10]])
        torch.testing.assert_close(
            constraint.total(), dense_penalty(small, corners, labels.flatten(1), False, MEAN)
        )

    def test_unknown_reduction(self):
        with pytest.raises(ValueError, match="reduction is 'max'"):
            Constraint(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), reduction="max")
