"""The import of somebody's checkout for `figura check parity`: its modules, what they expect of older
libraries, and stand-ins for packages that the compared parts do not use.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn


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
    places = [getattr(module, "__file__", None) or "", *map(str, getattr(module, "__path__", []))]
    return any(place.startswith(str(folder)) for place in places)


class Anything:
    """Stands for whatever a module that is not there would have: can be called, subclassed and asked."""

    def __init__(self, *args: Any, **named: Any) -> None:
        pass

    def __call__(self, *args: Any, **named: Any) -> Any:
        return Anything()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class StandIn(ModuleType):
    """A module in which every name is `Anything`, but for those it is given."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of packages that are not there."""

    def __init__(self, names: Sequence[str], given: Mapping[str, Mapping[str, Any]]) -> None:
        self.names, self.given = names, given

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(self.given.get(module.__name__, {}))


@contextmanager
def stand_ins(
    names: Sequence[str], given: Mapping[str, Mapping[str, Any]] = {}, even: Sequence[str] = ()
) -> Iterator[None]:
    """Inside, packages that are not installed are stand-ins.

    Args:
        names: of packages.
        given: what modules of them have, by their whole names.
        even: those of `names` that are stood in for where they are installed, too.
    """
    absent = [name for name in names if name in even or importlib.util.find_spec(name) is None]
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in absent}
    finder = StandIns(absent, given)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] in absent]:
            del sys.modules[name]
        sys.modules.update(hidden)


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


@contextmanager
def old_names() -> Iterator[None]:
    """Inside, names of 2023 that pipelines import of diffusers and transformers are there."""
    import diffusers.utils
    import transformers
    from diffusers.pipelines import pipeline_utils
    from diffusers.utils.torch_utils import randn_tensor

    old = ModuleType("diffusers.pipeline_utils")
    old.__dict__.update(vars(pipeline_utils))
    wanted: list[tuple[Any, str, Any]] = [
        (diffusers.utils, "randn_tensor", randn_tensor), (transformers, "CLIPFeatureExtractor", Anything),
        (diffusers.models, "DualTransformer2DModel", Anything),
    ]  # fmt: skip
    added = [(owner, name, value) for owner, name, value in wanted if name not in vars(owner)]
    sys.modules["diffusers.pipeline_utils"] = old
    for owner, name, value in added:
        setattr(owner, name, value)
    try:
        yield
    finally:
        del sys.modules["diffusers.pipeline_utils"]
        for owner, name, _ in added:
            delattr(owner, name)


def is_there(module: ModuleType, *names: str) -> bool:
    """Whether what a module imported is no stand-in."""
    found: Any = module
    for name in names:
        found = getattr(found, name, None)
    return not (found is None or isinstance(found, Anything) or found is Anything)
