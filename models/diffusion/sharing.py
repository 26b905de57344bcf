"""A file that several loaders are given is held once."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from torch import nn

from ..convert import state_of
from .latent_model import LatentNetworks
from .single_file import SIZES, Stack, load_stack

PARTS = ("vae", "unet", "text")
_held: WeakValueDictionary[Hashable, nn.Module] = WeakValueDictionary()
_families: dict[Hashable, str] = {}


def shared_stack(checkpoint: str | Path, tokenizer: str | Path, **options: Any) -> Stack:
    """`load_stack`, whose networks are those that somebody already has of the same files, unchanged since,
    read in the same way. Nobody may change them: they are everybody's. pix2gestalt's checkpoint is read, too.
    """
    paths = [Path(path) for path in (checkpoint, options.get("parts"), options.get("vae")) if path]
    there = all(path.is_file() for path in paths)
    key = (
        state_of(*paths) if there else "",
        str(checkpoint),
        str(tokenizer),
        *sorted(map(str, options.items())),
    )
    found = {part: _held.get((key, part)) for part in PARTS}
    if there and all(module is not None for module in found.values()):
        family = _families[key]
        return Stack(family, LatentNetworks(**found, size=SIZES[family]))
    stack = load_stack(checkpoint, tokenizer, pix2gestalt=True, **options)
    _families[key] = stack.family
    for part in PARTS:
        _held[(key, part)] = getattr(stack.networks, part)
    return stack
