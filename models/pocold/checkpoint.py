"""Loads and saves PoCoLD. Nobody publishes its weights: mini is trained by this pack, full size by yourself.

A file of the kind "pocold" holds unet.*, encoder.* and mapper.*, and their sizes in its metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..diffusion.checkpoint import built, config_from_metadata, load_file, read_metadata
from ..diffusion.networks import load_vae
from ..diffusion.single_file import load_autoencoder
from .networks import PoCoLDConfig, PoCoLDModel, PoCoLDNetworks

FILE_KIND = "pocold"
MINI_FILE, VAE_FILE = "pocold.safetensors", "vae.safetensors"


def load_mini_pocold(folder: str | Path, name: str = MINI_FILE) -> PoCoLDModel:
    """The mini networks from the files in `folder`. Raises FileNotFoundError for a missing file and
    ValueError for an unusable one, both naming it.
    """
    folder = Path(folder)
    networks = load_networks(folder / name)
    return PoCoLDModel(load_vae(folder / VAE_FILE), networks, f"mini {Path(name).stem}").eval()


def load_pocold(path: str | Path, vae: Any, dtype: torch.dtype = torch.float32) -> PoCoLDModel:
    """A trained file with its autoencoder (AutoencoderKL); errors name the file."""
    networks = nn.Module.to(load_networks(path), dtype)
    return PoCoLDModel(nn.Module.to(vae, dtype), networks, Path(path).name).eval()


def load_networks(path: str | Path) -> PoCoLDNetworks:
    """The networks of a file of the kind "pocold", in float32."""
    tensors, meta = load_file(path, file_kind=FILE_KIND)
    networks = built(
        lambda: PoCoLDNetworks(config_from_metadata(PoCoLDConfig, meta["config"])), tensors, str(path)
    )
    return networks


def load_vae_file(path: str | Path, dtype: torch.dtype = torch.float32) -> Any:
    """The autoencoder of a Figura file, a VAE file, or a Stable Diffusion checkpoint; errors name it."""
    try:
        own = read_metadata(path)
    except ValueError:
        return load_autoencoder(path, dtype)
    if own["kind"] != "vae":
        raise ValueError(
            f"{path} is a Figura file of the kind {own['kind']!r}; an autoencoder is wanted as vae"
        )
    return nn.Module.to(load_vae(path), dtype)
