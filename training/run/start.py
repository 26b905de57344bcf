"""What a run begins with: weights of an earlier one (`figura train RECIPE --from FILE`), and other files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from ...models.diffusion.checkpoint import load_file
from ...models.verify import sha256_of

logger = logging.getLogger(__name__)


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


def digests_of(init: Mapping[str, Path], start: Path | None) -> dict[str, str]:
    """The sha256 of the files that a run begins with, by the name or the option they came by."""
    files = {**init, **({} if start is None else {"--from": start})}
    return {name: sha256_of(Path(path)) for name, path in files.items() if Path(path).is_file()}


def warn_of_others(work: Path, began_with: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Say which files are not those that the run in a work folder began with. No error: an autoencoder whose
    decoder was trained on is another file, too.
    """
    for name in digests:
        if digests[name] != began_with.get(name):
            logger.warning(
                "%s began with another file for %s, and what it learnt is kept: give that file again, or "
                "--no-resume to begin anew with this one",
                work,
                name,
            )
