"""Pose-constrained attention (PoCoLD, Han et al., ICCV 2023, section 3.2), and what it is compared with.

B pictures, T query positions (the noisy latents) and S source positions, n filters. With D the distribution
of every query over the filters and E the extraction of every filter from the source positions, A = D^T E
(T x S). Here D is held with the queries first, (B,heads,T,n), so that A = D @ E.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PAPER, RELEASED = SCALE_MODES = ("paper", "released")
LARGEST_AT_ONCE = 2**19
"""Numbers of D or E of one picture beyond which heads are worked on one by one, which caches like better."""
Size = tuple[int, int]


class Factors(NamedTuple):
    """The attention of one module. distribution: D (B,heads,T,n), its rows sum to 1 over n. extraction:
    E (B,heads,n,S), its rows sum to 1 over S. queries, sources: (h,w) with T = hw and S = hw.
    """

    distribution: Tensor
    extraction: Tensor
    queries: Size
    sources: Size

    def dense(self) -> Tensor:
        """A (B,heads,T,S), whose rows sum to 1: for pictures and small networks only, it is quadratic."""
        return self.distribution @ self.extraction


Observe = Callable[[Factors], None]
"""Is handed the factors of every attention module, in the order in which the network uses them."""


class CrossAttention(nn.Module):
    """Projections and residual of every kind of attention: hidden (B,C,h,w) attends source (B,Cs,h',w').

    Q = W_q h (without a norm), K and V = W_k, W_v LN(f_s), all without bias and split into heads.
    """

    residual: Tensor | None

    def __init__(self, channels: int, source_channels: int, heads: int, operations: Any = torch.nn) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be split into {heads} heads")
        self.heads = heads
        self.register_parameter("residual", None)
        self.norm = operations.LayerNorm(source_channels)
        self.to_q = operations.Linear(channels, channels, bias=False)
        self.to_k = operations.Linear(source_channels, channels, bias=False)
        self.to_v = operations.Linear(source_channels, channels, bias=False)
        self.to_out = operations.Linear(channels, channels)

    def forward(self, hidden: Tensor, source: Tensor, observe: Observe | None = None) -> Tensor:
        """h + W_o A V, of the shape of hidden. Without a source do not call it: the paper skips attention."""
        sizes = _size(hidden), _size(source)
        features = self.norm(source.flatten(2).transpose(1, 2))
        query = self._split(self.to_q(hidden.flatten(2).transpose(1, 2)))
        key, value = self._split(self.to_k(features)), self._split(self.to_v(features))
        attended = self.attend(query, key, value, sizes, observe)
        out = self.to_out(attended.transpose(1, 2).flatten(2)).transpose(1, 2).unflatten(2, sizes[0])
        return out + (hidden if self.residual is None else self.residual * hidden)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, sizes: tuple[Size, Size], observe: Observe | None
    ) -> Tensor:
        """What the source's tokens carry to the target's, A V (B,heads,T,d).

        Args:
            query: Q of the target (B,heads,T,d).
            key: K of the source (B,heads,S,d).
            value: V of the source (B,heads,S,d).
            sizes: (height, width) of the target's T tokens and of the source's S.
            observe: is handed the factors of A; None: nobody looks.
        """
        raise NotImplementedError

    def _split(self, tokens: Tensor) -> Tensor:
        """(B,T,C) -> (B,heads,T,d)."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


class PoseConstrainedAttention(CrossAttention):
    """The paper's sparse attention at linear cost: out = D^T (E V), never a matrix of T x S.

    scale_mode "paper": logits over sqrt(d), plain residual. "released": one learned number, 1 at first, in
    place of 1/sqrt(d), that also scales the residual, as the authors' code does.
    """

    def __init__(
        self,
        channels: int,
        source_channels: int,
        heads: int,
        filters: int,
        scale_mode: str = PAPER,
        operations: Any = torch.nn,
    ) -> None:
        super().__init__(channels, source_channels, heads, operations)
        if scale_mode not in SCALE_MODES:
            raise ValueError(f"scale_mode is {scale_mode!r}; it is one of {', '.join(SCALE_MODES)}")
        self.distribution_filters = nn.Parameter(torch.randn(filters, channels))
        self.extraction_filters = nn.Parameter(torch.randn(filters, channels))
        if scale_mode == RELEASED:
            self.residual = nn.Parameter(torch.ones(()))

    def factors(
        self, query: Tensor, key: Tensor, sizes: tuple[Size, Size], heads: slice = slice(None)
    ) -> Factors:
        """D and E in float32 (eq. 6): D a softmax over the filters, E one over the source positions.

        Args:
            query: Q (B,h,T,d) of the target.
            key: K (B,h,S,d) of the source.
            sizes: (height, width) of the T tokens and of the S.
            heads: which heads query and key are of.
        """
        to_filters = query.float() @ self._filters(self.distribution_filters)[heads].mT
        from_source = self._filters(self.extraction_filters)[heads] @ key.float().mT
        return Factors(to_filters.softmax(-1), from_source.softmax(-1), *sizes)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, sizes: tuple[Size, Size], observe: Observe | None
    ) -> Tensor:
        tokens = max(query.shape[2], key.shape[2])
        if observe is None and self.heads * tokens * len(self.distribution_filters) > LARGEST_AT_ONCE:
            heads = [slice(head, head + 1) for head in range(self.heads)]
            return torch.cat([self._carried(query[:, h], key[:, h], value[:, h], sizes, h) for h in heads], 1)
        return self._carried(query, key, value, sizes, slice(None), observe)

    def _carried(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        sizes: tuple[Size, Size],
        heads: slice,
        observe: Observe | None = None,
    ) -> Tensor:
        """D^T (E V) of these heads."""
        factors = self.factors(query, key, sizes, heads)
        if observe is not None:
            observe(factors)
        return factors.distribution.to(value) @ (factors.extraction.to(value) @ value)

    def _filters(self, filters: Tensor) -> Tensor:
        """(n,C) -> (heads,n,d) float32, times the scale of the logits."""
        scale = (filters.shape[1] // self.heads) ** -0.5 if self.residual is None else self.residual.float()
        return filters.float().unflatten(1, (self.heads, -1)).transpose(0, 1) * scale


class DenseFormula(PoseConstrainedAttention):
    """The paper's formula taken literally, A = D^T E and then A V; to measure against."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, sizes: tuple[Size, Size], observe: Observe | None
    ) -> Tensor:
        factors = self.factors(query, key, sizes)
        if observe is not None:
            observe(factors)
        return factors.dense().to(value) @ value


class VanillaAttention(CrossAttention):
    """Cross-attention with the same projections (the paper's B1): A = softmax(Q K^T / sqrt(d)).

    fused: through torch's fused attention, which keeps no matrix; otherwise the matrix is in memory.
    """

    def __init__(
        self,
        channels: int,
        source_channels: int,
        heads: int,
        fused: bool = False,
        operations: Any = torch.nn,
    ) -> None:
        super().__init__(channels, source_channels, heads, operations)
        self.fused = fused

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, sizes: tuple[Size, Size], observe: Observe | None
    ) -> Tensor:
        if self.fused and observe is None:
            return F.scaled_dot_product_attention(query, key, value)
        scores = (query.float() @ key.float().mT / math.sqrt(query.shape[-1])).softmax(-1)
        if observe is not None:
            # As factors: every query distributes over the source positions, each of which extracts itself.
            identity = torch.eye(scores.shape[-1], device=scores.device).expand(*scores.shape[:2], -1, -1)
            observe(Factors(scores, identity, *sizes))
        return scores.to(value) @ value


def _size(maps: Tensor) -> Size:
    return maps.shape[-2], maps.shape[-1]
