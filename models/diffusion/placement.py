"""Which networks of a model lie where it is computed, and what is done when memory runs out.

Networks that are not used together need not be there together: text, then the picture's latents, then the
steps, then the picture. `host/` makes a placement and hangs it on a model for as long as a node works.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

IMAGES_AT_ONCE = 8
COLOURS, LATENT_FACTOR = 3, 8
TILE_PX, TILE_OVERLAP = 512, 0.25
LARGE_PX = 256
"""Pictures with a longer side are coded one by one: an autoencoder needs more memory than a U-Net's step."""
OUT_OF_MEMORY = ("you tried to allocate", "out of memory")
"""What errors without a kind of their own say: of CPUs on every system; of MPS, drivers and libraries."""


class Placement(Protocol):
    """Brings networks to the device that is computed on."""

    device: torch.device

    def bring(self, networks: Sequence[nn.Module]) -> None:
        """Have these networks on the device; others may go where memory is short."""
        ...

    def images_at_once(self, drawing: Sequence[nn.Module]) -> int:
        """How many pictures there is memory for beside the networks that draw; at least 1."""
        ...


def working_memory(side: int) -> int:
    """A generous guess, in bytes, of what IMAGES_AT_ONCE pictures of that side need beside the weights.

    Half of it is more than an autoencoder needs for one.
    """
    return 2 * IMAGES_AT_ONCE * 256 * side * side


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, on whatever device."""
    said = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        words in said for words in OUT_OF_MEMORY
    )


def coded(vae: Any, values: Tensor, code: Callable[[Tensor], Tensor]) -> Tensor:
    """What `code` makes of pictures or latents with an autoencoder; large ones are coded one by one.

    Where memory runs out for one, it is coded in tiles, and the log says so.

    Args:
        vae: diffusers' AutoencoderKL.
        values: pictures (B,3,H,W), or latents (B,C,h,w) whose sides times 8 are those of the pictures.
        code: what to do with some of them.
    """
    factor = 1 if values.shape[1] == COLOURS else LATENT_FACTOR
    if factor * max(values.shape[-2:]) <= LARGE_PX:
        return code(values)
    return torch.cat([_whole_or_in_tiles(vae, each, code) for each in values.split(1)])


def _whole_or_in_tiles(vae: Any, value: Tensor, code: Callable[[Tensor], Tensor]) -> Tensor:
    try:
        return code(value)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
    log.warning("memory ran out for a whole picture: the autoencoder works in tiles of %d pixels", TILE_PX)
    set_tiles(vae)
    try:
        return code(value)
    finally:
        vae.disable_tiling()


def set_tiles(vae: Any) -> None:
    """Have an autoencoder work in tiles that overlap."""
    vae.tile_sample_min_size = TILE_PX
    vae.tile_latent_min_size = TILE_PX // 2 ** (len(vae.config.block_out_channels) - 1)
    vae.tile_overlap_factor = TILE_OVERLAP
    vae.enable_tiling()


def said_of_memory(error: BaseException) -> torch.OutOfMemoryError:
    """The error for a user who has no memory left for a single picture."""
    reason = (str(error) or type(error).__name__).splitlines()[0][:200]
    return torch.OutOfMemoryError(
        "memory ran out, even for one picture in tiles. Choose a smaller size, close other programs, take a "
        "half precision file, or use the workflows of stock nodes, which ComfyUI can load piece by piece "
        f"(--lowvram). ({reason})"
    )
