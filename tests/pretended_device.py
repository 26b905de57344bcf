"""A device that computes as the CPU does and, as a GPU's, refuses to mix its tensors with others.

It finds what stays behind when networks come and go, on machines that have no GPU. Inside `pretended()` a
module or tensor that is moved to DEVICE is wrapped; an operation between a wrapped tensor and one of the CPU
raises MixedDevices, unless the latter is a single number, as CUDA allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from figura.models.diffusion import remembered
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("lazy:0")
"""A type that torch knows by name and has no kernels for."""


class MixedDevices(RuntimeError):
    """Tensors of two devices in one operation."""


class There(torch.Tensor):
    """A tensor on the pretended device. held: its values, on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> There:
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE,
        )  # fmt: skip
        made.held = held
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], *_: Any) -> There:
        return There(inner["held"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Watching(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


@contextmanager
def pretended() -> Iterator[None]:
    """Inside, tensors can be moved to DEVICE."""
    weakly, torch_lifts = remembered.ref, torch._C._only_lift_cpu_tensors()
    remembered.ref = lambda tensor: lambda: tensor  # type: ignore[assignment]  # a wrapper cannot be swapped in place
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=DEVICE) is made here, then moved
    try:
        with _Watching():
            yield
    finally:
        remembered.ref = weakly
        torch._C._set_only_lift_cpu_tensors(torch_lifts)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func._schema.name
    wanted = kwargs.get("device")
    held_args, held_kwargs = tree_map(_held, args), tree_map(_held, kwargs)
    if _is_there(wanted):
        held_kwargs["device"] = torch.device("cpu")
    tensors = [part for part in tree_flatten((args, kwargs))[0] if isinstance(part, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, There)]
    if name == "aten::copy_":  # between devices, as .to and copy_ are
        func(*held_args, **held_kwargs)
        return args[0]
    if name == "aten::_to_copy":
        made = func(*held_args, **held_kwargs)
        made = made.clone() if made is held_args[0] else made
        return There(made) if (_is_there(wanted) if wanted is not None else there) else made
    _check(name, args, tensors, there)
    made = func(*held_args, **held_kwargs)
    if name in ("aten::_local_scalar_dense", "aten::item"):
        return made
    if func._schema.is_mutable:
        if "out" in kwargs:
            return kwargs["out"]
        if name.endswith("_"):
            return args[0]
    return tree_map(_wrapped, made) if (_is_there(wanted) if wanted is not None else there) else made


def _check(name: str, args: Any, tensors: list[torch.Tensor], there: list[torch.Tensor]) -> None:
    others = [tensor for tensor in tensors if not isinstance(tensor, There)]
    if not there or not others:
        return
    if name.startswith("aten::index"):  # numbers of the CPU may index what is there, not the other way round
        mixed = not isinstance(args[0], There)
    else:
        mixed = any(tensor.ndim for tensor in others)
    if mixed:
        shapes = [[tuple(tensor.shape) for tensor in each] for each in (there, others)]
        raise MixedDevices(f"{name} got tensors {shapes[0]} of the device and {shapes[1]} of the CPU")


def _is_there(device: Any) -> bool:
    return device is not None and torch.device(device).type == DEVICE.type


def _held(value: Any) -> Any:
    return value.held if isinstance(value, There) else value


def _wrapped(value: Any) -> Any:
    return There(value) if isinstance(value, torch.Tensor) and not isinstance(value, There) else value
