"""What `figura check parity` is made of: the rows of its tables and how differences are counted."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

NETWORK_LIMIT, PIXEL_LIMIT = 1e-5, 0.01
RELATIVE = "relative"
DRAWN = "of what is drawn"
"""Relative difference of networks; share of the pixels that may differ, of a picture or of what is drawn."""
VISIBLE = 8 / 255
"""A pixel differs when a channel is this far off: a step of a soft edge is not seen."""


class Row(NamedTuple):
    """One comparison. value: the difference, NaN where nothing could be compared; limit: the most that is
    right; unit: of both; reason: why it may be more.
    """

    part: str
    value: float
    limit: float
    unit: str
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the difference is within its limit."""
        return self.value <= self.limit

    @property
    def fails(self) -> bool:
        """Whether it is beyond its limit without a reason."""
        return not self.agrees and not self.reason

    def line(self) -> str:
        """The row in Markdown."""
        value = "-" if math.isnan(self.value) else f"{self.value:.2g} {self.unit}"
        verdict = "agrees" if self.agrees else self.reason or "differs"
        return f"| {self.part} | {value} | {self.limit:g} | {verdict} |"


def table(method: str, rows: list[Row]) -> str:
    """The comparisons as Markdown."""
    lines = [f"## {method}", "", "| part | difference | at most | |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(row.line() for row in rows)]) + "\n"


def heading() -> str:
    """What stands above the tables in a file."""
    import datetime
    import platform

    return (
        "# Beside the authors' code\n\n"
        "Written by `figura check parity`: the same random weights and inputs in the authors' networks and "
        "in Figura's, in float32 on a CPU, parameters that start at zero made non-zero. Relative differences "
        "are root mean squares; a pixel differs when a channel is off by more than 8 of 255, in a drawing "
        "from all that the other has within a pixel: soft edges fall a little otherwise. "
        "Nothing of the authors' code is in this repository: the command imports a checkout.\n\n"
        f"{platform.machine()}, torch {torch.__version__}, {datetime.date.today()}\n\n"
    )


def relative(theirs: Tensor, ours: Tensor) -> float:
    """Root mean square of the difference over that of theirs; infinite for other shapes."""
    if theirs.shape != ours.shape:
        return float("inf")
    return float((theirs - ours).square().mean().sqrt() / theirs.square().mean().sqrt().clamp(min=1e-12))


def differing(theirs: Tensor, ours: Tensor) -> float:
    """Share of the pixels (3,H,W) of which a channel differs visibly."""
    return float(((theirs - ours).abs() > VISIBLE).any(0).float().mean())


def misdrawn(theirs: Tensor, ours: Tensor) -> float:
    """Share of what either draws on black (3,H,W) that the other has visibly unlike within one pixel of it.

    Soft edges fall otherwise from one program to another; a joint that lacks is 2 % and more of a person.
    """
    drawn = (torch.maximum(theirs, ours) > VISIBLE).any(0)
    unlike = max(int(_beyond(theirs, ours).sum()), int(_beyond(ours, theirs).sum()))
    return unlike / max(int(drawn.sum()), 1)


def _beyond(one: Tensor, other: Tensor) -> Tensor:
    """(H,W): where a channel of one is outside what the other has within a pixel."""
    high, low = (sign * functional.max_pool2d(sign * other.float()[None], 3, 1, 1)[0] for sign in (1, -1))
    return ((one > high + VISIBLE) | (one < low - VISIBLE)).any(0)


def lacking(part: str, package: str) -> Row:
    """A part that nothing was compared of, and the package that it takes."""
    reason = f"not compared: needs the package {package}"
    return Row(part, float("nan"), NETWORK_LIMIT, RELATIVE, reason)
