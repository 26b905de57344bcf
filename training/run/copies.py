"""Copies of a network's weights while it learns: their moving average, and one in bfloat16."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class MovingAverage:
    """Exponential moving average of the trainable parameters; the decay grows from 0 as (1+n)/(10+n).

    Without decay it is the parameters themselves, and takes no memory.
    """

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        own = [p.detach() for p in self.parameters]
        self.shadow = [value.clone() for value in own] if decay > 0 else own

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the current parameters after optimizer step number `step` (from 0)."""
        if self.decay <= 0:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self.parameters], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the module carries the averaged weights; afterwards its own again."""
        if self.decay <= 0:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        """Exchange parameters and average, without a copy."""
        for parameter, value in zip(self.parameters, self.shadow, strict=True):
            parameter.data, value.data = value.data, parameter.data


class HalfCopy:
    """A bfloat16 copy of a module that does the forward and backward passes for its float32 weights.

    Autocast converts weights and many results at every layer, which costs small networks on CPUs more than it
    saves. Float tensors given to the copy are converted.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        # Not diffusers' own `to`, which warns about it.
        self.module = torch.nn.Module.to(copy.deepcopy(module), torch.bfloat16)
        self.module.register_forward_pre_hook(_to_bfloat16, with_kwargs=True)
        pairs = zip(module.parameters(), self.module.parameters(), strict=True)
        trained = [(own, half) for own, half in pairs if own.requires_grad]
        self.own: list[torch.Tensor] = [own for own, _ in trained]
        self.half: list[torch.Tensor] = [half for _, half in trained]

    @torch.no_grad()
    def refresh(self) -> None:
        """Give the copy the current weights."""
        torch._foreach_copy_(self.half, self.own)

    def hand_over_gradients(self) -> None:
        """Move the copy's gradients to the float32 weights."""
        for own, half in zip(self.own, self.half, strict=True):
            own.grad, half.grad = None if half.grad is None else half.grad.float(), None


def _to_bfloat16(module: torch.nn.Module, values: tuple[Any, ...], named: dict[str, Any]) -> Any:
    def converted(value: Any) -> Any:
        return value.bfloat16() if torch.is_tensor(value) and value.is_floating_point() else value

    return tuple(map(converted, values)), {name: converted(value) for name, value in named.items()}
