"""Cost of PoCoLD's attention and of its penalty against their peers, behind `figura bench pocold`.

All of it in one run, on one thread, at the released sizes of the level with 64 x 48 tokens: 128 channels, 8
heads, 64 filters. Peers: cross-attention with its matrix in memory (the paper's B1), cross-attention through
torch's fused attention, and the paper's own formula taken literally. Projections and residual are the same in
all. Time is that of the processor, the median of several rounds in which all take turns. Memory is the
peak of what torch's allocator hands out during the call, beyond what was there before: the sum over the
allocator's own events, which a profiler records. It leaves out scratch memory inside libraries.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.pocold.attention import (
    CrossAttention,
    DenseFormula,
    Factors,
    PoseConstrainedAttention,
    Size,
    VanillaAttention,
)
from ...models.pocold.losses import penalty, wrong_pairs
from ...people.synthetic import HELD_OUT_FIRST_SEED
from ..reports.document import report
from .threads import one_thread

log = logging.getLogger(__name__)

CHANNELS, HEADS, FILTERS = 128, 8, 64
SIZES: tuple[Size, ...] = ((16, 12), (32, 24), (64, 48), (128, 96))
LARGEST_MATRIX = 2 * 2**30
"""Bytes of one matrix of tokens by tokens beyond which peers that keep one are left out."""
REPEATS, LONGEST = 5, 20.0
"""Rounds of every comparison, and seconds after which none begins."""
MIB = 2**20

Work = Callable[[], Any]


def bench_pocold(sizes: tuple[Size, ...] = SIZES, repeats: int = REPEATS) -> dict[str, Any]:
    """Forward time and peak memory of ours and its peers, and the ratios of ours to each of them.

    time_ratio.HxW and memory_ratio.HxW are against the fused and the in-memory cross-attention, and both are
    there against every peer as well (time_ratio.HxW.fused, ...). time_growth.HxW is ours over ours at the
    size before, in the same round.
    """
    figures: dict[str, float] = {}
    with one_thread():
        for size in sizes:
            _bench_attention(size, repeats, figures)
            _bench_penalty(size, repeats, figures)
        for before, size in zip(sizes, sizes[1:]):
            figures[f"time_growth.{named(size)}"] = _growth(ours_at(before), ours_at(size), repeats)
            growth = _growth(penalty_at(before), penalty_at(size), repeats)
            figures[f"penalty_time_growth.{named(size)}"] = growth
    return report("pocold", repeats, HELD_OUT_FIRST_SEED, "cpu", 1, figures)


def _bench_attention(size: Size, repeats: int, figures: dict[str, float]) -> None:
    hidden, source = torch.randn(2, 1, CHANNELS, *size, generator=torch.Generator().manual_seed(0))
    works: dict[str, Work] = {}
    for name, module in attentions(size).items():
        works[name] = _forward(module.eval(), hidden, source)
    with torch.inference_mode():
        _compare("", named(size), works, repeats, figures)
    _headline(figures, named(size), "time_ratio", "fused")
    _headline(figures, named(size), "memory_ratio", "in_memory")


def _forward(module: CrossAttention, hidden: Tensor, source: Tensor) -> Work:
    return lambda: module(hidden, source)


def ours_at(size: Size) -> Work:
    """The forward pass of our attention at a size."""
    hidden, source = torch.randn(2, 1, CHANNELS, *size, generator=torch.Generator().manual_seed(0))
    module = PoseConstrainedAttention(CHANNELS, CHANNELS, HEADS, FILTERS).eval()
    return _forward(module, hidden, source)


def penalty_at(size: Size) -> Work:
    """Our penalty at a size."""
    (target, source), factors = body_labels(size), random_factors(size)
    return lambda: penalty(factors, target, source)


@torch.inference_mode()
def _growth(smaller: Work, larger: Work, repeats: int) -> float:
    """Time of the larger work over that of the smaller one, the median over the rounds."""
    larger()
    return statistics.median(_seconds(larger) / _seconds(smaller) for _ in range(repeats))


def attentions(size: Size) -> dict[str, CrossAttention]:
    """Ours and its peers by name, without those whose matrix would be too large."""
    torch.manual_seed(0)
    settings = CHANNELS, CHANNELS, HEADS
    modules: dict[str, CrossAttention] = {
        "ours": PoseConstrainedAttention(*settings, FILTERS),
        "fused": VanillaAttention(*settings, fused=True),
    }
    if matrix_bytes(size) <= LARGEST_MATRIX:
        modules["in_memory"] = VanillaAttention(*settings)
        modules["formula"] = DenseFormula(*settings, FILTERS)
    else:
        log.warning(
            "at %s tokens a matrix has %.1f GiB: what keeps one is left out",
            named(size),
            matrix_bytes(size) / 2**30,
        )
    return modules


def _bench_penalty(size: Size, repeats: int, figures: dict[str, float]) -> None:
    target, source = body_labels(size)
    factors = random_factors(size)
    works: dict[str, Work] = {"ours": lambda: penalty(factors, target, source)}
    if matrix_bytes(size) <= LARGEST_MATRIX:
        works["dense"] = lambda: dense_penalty(factors, target, source)
    with torch.inference_mode():
        _compare("penalty_", named(size), works, repeats, figures)
    _headline(figures, named(size), "penalty_time_ratio", "dense")
    _headline(figures, named(size), "penalty_memory_ratio", "dense")


def dense_penalty(factors: Factors, target: Tensor, source: Tensor) -> Tensor:
    """Equation 8 with the matrix of every head in memory: what the penalty is measured against."""
    counts = wrong_pairs(target, source, include_unmatched=False)
    wrong = counts[0, target[0].long()][:, source[0].long()]
    return (factors.dense() * wrong).square().sum() / factors.distribution.shape[1]


def random_factors(size: Size) -> Factors:
    """D and E of one picture as softmaxes of random logits."""
    tokens, generator = size[0] * size[1], torch.Generator().manual_seed(0)
    d = torch.randn(1, HEADS, tokens, FILTERS, generator=generator).softmax(-1)
    e = torch.randn(1, HEADS, FILTERS, tokens, generator=generator).softmax(-1)
    return Factors(d, e, size, size)


def body_labels(size: Size) -> tuple[Tensor, Tensor]:
    """Labels (1,T) of a synthetic person in two poses, at that size."""
    from ..data.pairs import render_pairs

    pair = render_pairs([HELD_OUT_FIRST_SEED], 128)
    target, source = (
        F.interpolate(labels[:, None].float(), size, mode="nearest").flatten(1).to(torch.uint8)
        for labels in (pair.target_densepose, pair.source_densepose)
    )
    return target, source


def _compare(
    prefix: str, size: str, works: Mapping[str, Work], repeats: int, figures: dict[str, float]
) -> None:
    """Seconds (medians over the rounds), MiB, and ratios of ours to every peer in the same round."""
    peaks = {name: peak_bytes(work) for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    started = time.monotonic()
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(_seconds(work))
        if time.monotonic() - started > LONGEST:
            break
    for name in works:
        figures[f"{prefix}seconds.{size}.{name}"] = statistics.median(times[name])
        figures[f"{prefix}mib.{size}.{name}"] = peaks[name] / MIB
        if name != "ours":
            ratios = [ours / theirs for ours, theirs in zip(times["ours"], times[name], strict=True)]
            figures[f"{prefix}time_ratio.{size}.{name}"] = statistics.median(ratios)
            figures[f"{prefix}memory_ratio.{size}.{name}"] = peaks["ours"] / peaks[name]


def _headline(figures: dict[str, float], size: str, ratio: str, peer: str) -> None:
    """The ratio against the peer that the limits are set for, under the short name."""
    if f"{ratio}.{size}.{peer}" in figures:
        figures[f"{ratio}.{size}"] = figures[f"{ratio}.{size}.{peer}"]


def _seconds(work: Work) -> float:
    """Of the processor for one call; short ones are repeated for a twentieth of a second."""
    calls, started = 0, time.process_time()
    while calls == 0 or time.process_time() - started < 0.05:
        work()
        calls += 1
    return (time.process_time() - started) / calls


def peak_bytes(work: Work) -> int:
    """The most bytes that torch's CPU allocator had given out at once during work(), beyond those before."""
    from torch.profiler import ProfilerActivity, profile

    work()  # what is made once and kept does not count
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    recorded: Any = profiler.profiler
    events = [event for event in recorded.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def matrix_bytes(size: Size) -> int:
    """Bytes of one float32 matrix of tokens by tokens for every head."""
    return 4 * HEADS * (size[0] * size[1]) ** 2


def named(size: Size) -> str:
    """16x12."""
    return f"{size[0]}x{size[1]}"
