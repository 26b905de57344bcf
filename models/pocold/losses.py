"""The pose constraint (PoCoLD, eq. 7 and 8): attention between unlike body parts is penalised.

C_ij = 1 where target position i and source position j show the same part; background is a part like others.
The penalty sums A_ij^2 over C_ij = 0. Grouped by part that is a sum of inner products of small matrices:
with the Gram matrices G_D(p) = sum of D_i D_i^T over the positions i of part p, and G_E(q) likewise,
sum of A_ij^2 over i in p and j in q is <G_D(p), G_E(q)>. So it is exact without a matrix of T x S, unless
that is the smaller one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...people.densepose import LABELS
from .attention import Factors, Size

SUM, ROWS, MEAN, MASS = REDUCTIONS = ("sum", "rows", "mean", "mass")


class Constraint:
    """Collects the penalty of every attention module: hand it over as `observe`.

    target, source: labels (B,h,w) 0..24 at the latent size; every module gets them by nearest sampling.
    include_unmatched: count rows whose part the source does not show at all, too (the released code does, the
    paper does not). reduction: "sum" over rows and columns, "rows" that over the number of rows that count,
    "mean" over all rows and columns (the released code); all of them means over pictures and heads. "mass"
    (our choice) sums A_ij itself over the number of rows that count: the share of attention that goes to
    other parts, 0..1, which unlike squares does not grow small where attention is spread thinly.
    """

    def __init__(
        self, target: Tensor, source: Tensor, include_unmatched: bool = False, reduction: str = SUM
    ) -> None:
        check_reduction(reduction)
        self.target, self.source = target, source
        self.include_unmatched, self.reduction = include_unmatched, reduction
        self.penalties: list[Tensor] = []

    def __call__(self, factors: Factors) -> None:
        target, source = labels_at(self.target, factors.queries), labels_at(self.source, factors.sources)
        self.penalties.append(penalty(factors, target, source, self.include_unmatched, self.reduction))

    def total(self) -> Tensor:
        """Sum of the penalties of all modules, a scalar; 0 when no attention was used."""
        return (
            torch.stack(self.penalties).sum()
            if self.penalties
            else self.target.new_zeros((), dtype=torch.float)
        )


def penalty(
    factors: Factors,
    target: Tensor,
    source: Tensor,
    include_unmatched: bool = False,
    reduction: str = SUM,
) -> Tensor:
    """L_p of one module (eq. 8), a scalar.

    Args:
        factors: of the module's attention.
        target: labels (B,T) of the queries.
        source: labels (B,S) of the source's places.
        include_unmatched: see `Constraint`.
        reduction: see `Constraint`.
    """
    check_reduction(reduction)
    counts = wrong_pairs(target, source, include_unmatched)
    if reduction == MASS:
        pairs = part_mass(factors, target, source)
    else:
        pairs = part_energy(factors, target, source) / factors.distribution.shape[1]
    sums = (pairs * counts).sum((1, 2))
    if reduction == MEAN:
        return sums.mean() / (target.shape[1] * source.shape[1])
    if reduction in (ROWS, MASS):
        rows = (part_masks(target).sum(1) * counts.amax(2)).sum(1)
        return (sums / rows.clamp_min(1)).mean()
    return sums.mean()


def wrong_pairs(target: Tensor, source: Tensor, include_unmatched: bool) -> Tensor:
    """(B,25,25) float: 1 for parts p of the target and q of the source whose attention is penalised."""
    unlike = 1 - torch.eye(LABELS, device=target.device)
    if include_unmatched:
        return unlike.expand(len(target), -1, -1)
    return unlike * part_masks(source).amax(1)[:, :, None]


def part_energy(factors: Factors, target: Tensor, source: Tensor) -> Tensor:
    """(B,25,25): sum of A_ij^2 over the heads, target positions of part p and source positions of part q."""
    (positions, width), columns = factors.distribution.shape[2:], source.shape[1]
    # As many multiplications for the matrix A as for the Gram matrices and their products, or fewer.
    if positions * columns <= (positions + columns + LABELS**2) * width:
        squares = factors.dense().square().sum(1)
        return part_masks(target).to(squares).mT @ squares @ part_masks(source).to(squares)
    of_queries = part_grams(factors.distribution, target)
    of_sources = part_grams(factors.extraction.mT, source)
    return (of_queries.flatten(3) @ of_sources.flatten(3).mT).sum(1)


def part_mass(factors: Factors, target: Tensor, source: Tensor) -> Tensor:
    """(B,25,25): sum of A_ij, heads averaged, over target positions of part p and source positions of q."""
    rows = part_masks(target).to(factors.distribution).mT[:, None] @ factors.distribution
    columns = factors.extraction @ part_masks(source).to(factors.extraction)[:, None]
    return (rows @ columns).mean(1)


def part_grams(vectors: Tensor, labels: Tensor) -> Tensor:
    """(B,heads,25,n,n): for every part the sum of v v^T over its positions. vectors (B,heads,T,n).

    Positions are sorted by part into blocks of one part each, with zeros where a part does not fill its last
    block, and each block is multiplied with itself: little more work than one Gram matrix of everything.
    """
    batch, heads, _, width = vectors.shape
    block = width  # then blocks and their products are of one size, and neither is much larger than vectors
    place, parts = block_places(labels, block)
    filled = vectors.new_zeros(batch, heads, parts.shape[1] * block, width)
    filled = filled.scatter(2, place[:, None, :, None].expand_as(vectors), vectors)
    blocks = filled.unflatten(2, (-1, block))
    chosen = F.one_hot(parts, LABELS + 1)[:, None, :, :LABELS].to(vectors)
    grams = chosen.mT @ (blocks.mT @ blocks).flatten(3)
    return grams.unflatten(3, (width, width))


def block_places(labels: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Where the positions (B,T) go when every part begins a block of its own; and the part of each block.

    The second is (B,K), with 25 for blocks that stay empty.
    """
    labels = labels.long()
    counts = part_masks(labels).sum(1).long()
    blocks = (counts + block - 1) // block
    ends = blocks.cumsum(1)
    order = labels.argsort(dim=1, stable=True)
    part = labels.gather(1, order)
    rank = torch.arange(labels.shape[1], device=labels.device) - (counts.cumsum(1) - counts).gather(1, part)
    begin = ((ends - blocks) * block).gather(1, part)
    place = torch.empty_like(order).scatter_(1, order, begin + rank)
    number = torch.arange(int(ends[:, -1].max()), device=labels.device).repeat(len(labels), 1)
    return place, torch.searchsorted(ends, number, right=True)


def part_masks(labels: Tensor) -> Tensor:
    """Labels (B,T) as float32 (B,T,25)."""
    return F.one_hot(labels.long(), LABELS).float()


def labels_at(labels: Tensor, size: Size) -> Tensor:
    """Labels (B,h,w) at another size by nearest sampling, flat (B,T)."""
    if labels.shape[-2:] == size:
        return labels.flatten(1)
    return F.interpolate(labels[:, None].float(), size, mode="nearest").to(labels.dtype).flatten(1)


def check_reduction(reduction: str) -> None:
    """ValueError for a reduction that there is none of."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}; it is one of {', '.join(REDUCTIONS)}")
