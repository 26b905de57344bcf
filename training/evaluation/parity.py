"""What `figura check parity` is made of: rows of a table, and the import of somebody's checkout."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

NETWORK_LIMIT, PIXEL_LIMIT = 1e-5, 0.01
RELATIVE = "relative"
"""Relative difference of networks; share of the pixels of a drawing that may differ."""
VISIBLE = 8 / 255
"""A pixel differs when a channel is this far off: a step of a soft edge is not seen."""


class Row(NamedTuple):
    """One comparison. value: the difference; limit: the most that is right; unit: of both."""

    part: str
    value: float
    limit: float
    unit: str

    @property
    def agrees(self) -> bool:
        """Whether the difference is within its limit."""
        return self.value <= self.limit


def table(method: str, rows: list[Row]) -> str:
    """The comparisons as Markdown."""
    lines = [f"## {method}", "", "| part | difference | at most | |", "| --- | --- | --- | --- |"]
    for row in rows:
        verdict = "agrees" if row.agrees else "differs"
        lines.append(f"| {row.part} | {row.value:.2g} {row.unit} | {row.limit:g} | {verdict} |")
    return "\n".join(lines) + "\n"


def heading() -> str:
    """What stands above the tables in a file."""
    import datetime
    import platform

    return (
        "# Beside the authors' code\n\n"
        "Written by `figura check parity`: the same random weights and inputs in the authors' networks and "
        "in Figura's, in float32 on a CPU, parameters that start at zero made non-zero. Relative differences "
        "are root mean squares; a pixel of a drawing differs when a channel is off by more than 8 of 255. "
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


# Importing


@contextmanager
def released_modules(folder: Path, package: str, name: str) -> Iterator[Callable[[str], ModuleType]]:
    """Inside, gives modules of `folder / package` by name, without its __init__; nothing stays imported."""
    whole = f"figura_released_{name}"
    before, root = set(sys.modules), str(folder)
    parent = ModuleType(whole)
    parent.__path__ = [str(folder / package)]
    sys.modules[whole] = parent
    sys.path.insert(0, root)
    try:
        yield lambda module: importlib.import_module(f"{whole}.{module}")
    finally:
        sys.path.remove(root)
        for added in [each for each in set(sys.modules) - before if _lies_in(sys.modules[each], folder)]:
            del sys.modules[added]
        sys.modules.pop(whole, None)


def _lies_in(module: ModuleType, folder: Path) -> bool:
    return str(getattr(module, "__file__", "")).startswith(str(folder))


@contextmanager
def plain_attention() -> Iterator[None]:
    """Inside, diffusers' attention ignores that somebody wants xformers, which CPUs do not have."""
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.attention_processor import Attention

    name = "set_use_memory_efficient_attention_xformers"
    owners = [owner for owner in (Attention, BasicTransformerBlock) if hasattr(owner, name)]
    own = [getattr(owner, name) for owner in owners]
    for owner in owners:
        setattr(owner, name, lambda *args, **named: None)
    try:
        yield
    finally:
        for owner, method in zip(owners, own, strict=True):
            setattr(owner, name, method)


@contextmanager
def timm_layers() -> Iterator[None]:
    """Inside, the three helpers that CFLD's Swin Transformer takes from timm are there, if timm is not."""
    if importlib.util.find_spec("timm") is not None:
        yield
        return
    names = ("timm", "timm.models", "timm.models.layers")
    for name in names:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__spec__ = importlib.util.spec_from_loader(name, None)
    helpers = {"DropPath": nn.Dropout, "to_2tuple": _twice, "trunc_normal_": nn.init.trunc_normal_}
    sys.modules[names[-1]].__dict__.update(helpers)
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


def _twice(value: Any) -> Any:
    return value if isinstance(value, tuple) else (value, value)


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """In eval mode, with no parameter at zero: what starts so would hide a difference."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data.add_(0.02 * noise.to(parameter))
    return module.eval()


@contextmanager
def older_diffusers() -> Iterator[None]:
    """Inside, diffusers' modules are also where they were in 2023, with the arguments of that time; and
    perceiver-pytorch, which the compared networks do not use, need not be installed.
    """
    from diffusers.models.unets import unet_2d_blocks, unet_2d_condition

    blocks = ModuleType("diffusers.models.unet_2d_blocks")
    blocks.__dict__.update(vars(unet_2d_blocks))

    def get_down_block(block_type: str, attn_num_head_channels: int | None = None, **settings: Any) -> Any:
        return unet_2d_blocks.get_down_block(
            block_type, num_attention_heads=attn_num_head_channels, **settings
        )

    blocks.__dict__["get_down_block"] = get_down_block
    perceiver = ModuleType("perceiver_pytorch")
    perceiver.__dict__["Perceiver"] = nn.Identity
    aliases = {
        "diffusers.models.unet_2d_blocks": blocks,
        "diffusers.models.unet_2d_condition": unet_2d_condition,
        "perceiver_pytorch": perceiver,
    }
    absent = {name: module for name, module in aliases.items() if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
