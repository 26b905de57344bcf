"""Brings the networks of a latent model to a device one after the other; see placement.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from weakref import WeakSet

import torch
from torch import nn

from .latent_model import LatentModel
from .placement import IMAGES_AT_ONCE, Placement

SPARE_SHARE = 0.9
"""Of the free memory that is planned with."""


@contextmanager
def placed(modules: Sequence[nn.Module], placement: Placement) -> Iterator[list[nn.Module]]:
    """Inside, the latent models among the modules and in them have their networks brought by the placement.

    Gives the modules without one, which are to be brought as a whole.
    """
    models = [part for module in modules for part in module.modules() if isinstance(part, LatentModel)]
    before = [model.placement for model in models]
    for model in models:
        model.placement = placement
    try:
        yield [module for module in modules if not any(part in models for part in module.modules())]
    finally:
        for model, earlier in reversed(list(zip(models, before, strict=True))):
            model.placement = earlier


def images_for(free_bytes: float, memory: int) -> int:
    """How many pictures free memory is enough for, if IMAGES_AT_ONCE need `memory` bytes."""
    return max(1, int(SPARE_SHARE * free_bytes * IMAGES_AT_ONCE // memory))


def network_bytes(network: nn.Module) -> int:
    """Of its weights and buffers."""
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class PlainPlacement:
    """Networks go to the device by `.to`; those that were there go back to the CPU when memory is short.

    Args:
        device: that is computed on.
        memory: bytes that are needed beside the weights, for IMAGES_AT_ONCE pictures.
        there: the networks that earlier placements left on the device; None: none.
    """

    def __init__(self, device: torch.device, memory: int, there: WeakSet[nn.Module] | None = None) -> None:
        self.device, self.memory = device, memory
        self.there: WeakSet[nn.Module] = WeakSet() if there is None else there

    def bring(self, networks: Sequence[nn.Module]) -> None:
        absent = [network for network in networks if not self._is_there(network)]
        needed = sum(network_bytes(network) for network in absent) + self.memory // 2
        if needed > self.free():
            self._send_away([each for each in self.there if not any(each is network for network in networks)])
        for network in absent:
            self.move(network, self.device)
            self.there.add(network)

    def _is_there(self, network: nn.Module) -> bool:
        tensor = next(chain(network.parameters(), network.buffers()), None)
        return network in self.there and (tensor is None or tensor.device.type == self.device.type)

    def _send_away(self, networks: Sequence[nn.Module]) -> None:
        for network in networks:
            self.move(network, torch.device("cpu"))
            self.there.discard(network)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def move(self, network: nn.Module, device: torch.device) -> None:
        """Put a network there."""
        network.to(device)

    def free(self) -> float:
        """Bytes that are free on the device; a CPU's are not counted."""
        return float(torch.cuda.mem_get_info(self.device)[0]) if self.device.type == "cuda" else float("inf")

    def images_at_once(self, drawing: Sequence[nn.Module]) -> int:
        if self.device.type != "cuda" or not self.memory:
            return IMAGES_AT_ONCE
        held, needed = (sum(map(network_bytes, networks)) for networks in (self.there, drawing))
        return images_for(self.free() + held - needed, self.memory)
