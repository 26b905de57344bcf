"""What training at full size does to need less memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from .recipe import ADAMW, ADAMW_8BIT, OPTIMIZERS

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Precision -> what autocast multiplies in."""


def checkpoint_gradients(module: nn.Module) -> None:
    """Have diffusers' networks in the module compute activations again on the way back, for less memory.

    Raises ValueError for a module without such networks.
    """
    able = [part for part in module.modules() if hasattr(part, "enable_gradient_checkpointing")]
    if not able:
        raise ValueError("gradient checkpointing: this recipe has no network of diffusers; leave it out")
    for part in able:
        part.enable_gradient_checkpointing()  # type: ignore[operator]


def halve_frozen(module: nn.Module, precision: str) -> None:
    """Hold the matrices that do not learn in the precision that autocast multiplies them in anyway.

    Results stay the same bit for bit, at half the memory: of a U-Net that is frozen but for its
    cross-attention 1.6 GB. precision: of the plan; without autocast nothing changes.
    """
    dtype = AUTOCAST.get(precision)
    if dtype is None:
        return
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d) and not part.weight.requires_grad:
            part.weight.data = part.weight.data.to(dtype)


def optimizer_of(name: str) -> Callable[..., torch.optim.Optimizer]:
    """AdamW, or the one of bitsandbytes with states of 8 bits. ImportError says what to install."""
    if name == ADAMW:
        return torch.optim.AdamW
    if name != ADAMW_8BIT:
        raise ValueError(f"optimizer is {name!r}; it is one of {', '.join(OPTIMIZERS)}")
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise ImportError(
            "--optimizer adamw-8bit needs bitsandbytes, which is not installed: pip install "
            '"figura[adamw-8bit]" or pip install bitsandbytes; --optimizer adamw needs no package, and four '
            "times the memory for its states"
        ) from error
    return AdamW8bit
