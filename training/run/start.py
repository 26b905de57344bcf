"""A run that begins with the weights of an earlier one (`figura train RECIPE --from FILE`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ...models.diffusion.checkpoint import load_file


def start_from(module: torch.nn.Module, path: Path) -> None:
    """Give `module` the weights in the file at `path`; what the file leaves out stays. ValueError if the file
    has others. A recipe may train more than it exports: then the file's weights are those of a child.
    """
    tensors, _ = load_file(path)
    own, module = _holder_of(module, tensors)
    foreign = [n for n, tensor in tensors.items() if n not in own or own[n].shape != tensor.shape]
    if foreign:
        raise ValueError(
            f"{path} is not of this recipe: {len(foreign)} weights have no place in it, first {foreign[0]}"
        )
    module.load_state_dict(tensors, strict=False)


def _holder_of(
    module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], torch.nn.Module]:
    """The module, or that child of it, whose weights have these names, with its weights."""
    for candidate in (module, *module.children()):
        own = candidate.state_dict()
        if own and all(name in own for name in tensors):
            return own, candidate
    return module.state_dict(), module
