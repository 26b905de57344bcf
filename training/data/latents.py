"""Latents on disk: a data set and its masked pictures, encoded once per autoencoder."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...models.locks import only_one
from ..run.recipe import Split, random_generator
from .masks import dilate_square, disturbed, random_masks
from .people import SHARD, PeopleDataset, create_arrays, missing_parts, report_shards

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

TARGETS = ("complete", "unoccluded", "cutout")
CUTOUT_SUFFIX = ", on a white background"
PART = 8
MAX_LATENTS = 12_000
"""Encoding more people than this costs more time than it is worth to a mini U-Net."""
REFINE_DILATION = (2, 10)
ENCODING_PARTS = ("encoder.", "quant_conv.")
VISIBLE = {"visible_masked", "visible_mask"}
SOURCES: dict[str, tuple[str, ...]] = {name: (name,) for name in TARGETS}
SOURCES |= {name: ("occluded", "visible_mask") for name in VISIBLE}
"""Latents that full size encodes -> the pictures and masks that they are made of."""
NEEDED_FOR_ALL = ("occluded", *TARGETS, "amodal_mask", "visible_mask")


@dataclass(frozen=True)
class LatentCache:
    """Latents (N,C,h,w) float16 of a data set by one autoencoder, and of the masked pictures; those that were
    not asked for are empty.

    `visible_*`: only the visible person is left (the coarse stage); `refine_*`: the hidden region, grown,
    is taken out of the complete picture (the refinement); `random_*`: a random mask on
    `random_target(index)`.
    """

    people: PeopleDataset
    complete: np.ndarray
    unoccluded: np.ndarray
    cutout: np.ndarray
    visible_masked: np.ndarray
    visible_mask: np.ndarray
    refine_masked: np.ndarray
    refine_mask: np.ndarray
    random_masked: np.ndarray
    random_mask: np.ndarray
    grey: np.ndarray

    @classmethod
    def build(
        cls,
        root: Path,
        vae: AutoencoderKL,
        vae_name: str,
        precision: torch.dtype | None = None,
        names: Sequence[str] = (),
    ) -> LatentCache:
        """Encode the data set in `root`, or finish it, and open the cache.

        Args:
            root: folder of the data set.
            vae: the autoencoder.
            vae_name: what its folder of latents is called by.
            precision: of autocast; None is float32.
            names: the fields to encode, of all people; empty is all fields, of MAX_LATENTS people at most.

        Raises:
            ValueError: for pictures or masks that are needed and not there.
        """
        people = PeopleDataset.open(root)
        people.require(*NEEDED_FOR_ALL if not names else [each for name in names for each in SOURCES[name]])
        folder = Path(root) / "_".join([f"latents_{vae_name}", *names])
        folder.mkdir(exist_ok=True)
        count = len(people) if names else min(len(people), MAX_LATENTS)
        layout = _cache_layout(count, people.size // 8, vae.config.latent_channels)
        layout = {name: layout[name] for name in names or layout}
        done = {start: _done_file(folder, start) for start in range(0, count, SHARD)}
        if missing_parts(folder, layout, done):
            with only_one(folder, "encode in"):
                starts = missing_parts(folder, layout, done)
                create_arrays(folder, layout)
                parts = [range(start, min(start + SHARD, count)) for start in starts]
                _encode_parts(people, folder, vae, parts, list(layout), precision)
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in layout}
        empty = np.zeros((0,), np.float16)
        return cls(people, **{f.name: arrays.get(f.name, empty) for f in fields(cls) if f.name != "people"})

    def __len__(self) -> int:
        return max(len(getattr(self, f.name)) for f in fields(self) if f.name not in ("people", "grey"))


def _done_file(folder: Path, start: int) -> Path:
    return folder / f"done_{start:07d}"


def _encode_parts(
    people: PeopleDataset,
    folder: Path,
    vae: AutoencoderKL,
    parts: Sequence[range],
    names: list[str],
    precision: torch.dtype | None,
) -> None:
    """Encode parts of the data set, and note down each that is finished."""
    begin, kind = time.monotonic(), next(vae.parameters()).device.type
    for number, part in enumerate(parts, start=1):
        enabled = precision is not None
        with torch.no_grad(), torch.autocast(kind, precision or torch.bfloat16, enabled=enabled):
            _encode_shard(people, folder, vae, part, names)
        _done_file(folder, part.start).touch()
        report_shards("encoded", number, len(parts), begin)


def random_target(index: int) -> str:
    """The kind of picture that the random mask of person number `index` lies on."""
    return TARGETS[index % len(TARGETS)]


def open_latents(
    root: Path,
    vae: AutoencoderKL,
    precision: torch.dtype | None = torch.bfloat16,
    names: Sequence[str] = (),
) -> Split:
    """Latent caches of both data sets.

    Args:
        root: folder of the data sets.
        vae: the autoencoder.
        precision, names: as in `LatentCache.build`.
    """
    vae = vae.to(memory_format=torch.channels_last)
    name = encoder_name(vae)
    parts = (Path(root) / part for part in ("train", "held_out"))
    return Split(*(LatentCache.build(part, vae, name, precision, names) for part in parts))


def encoder_name(vae: torch.nn.Module) -> str:
    """A short name for the encoding half of an autoencoder; the decoder has no part in latents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(vae.state_dict().items()):
        if name.startswith(ENCODING_PARTS):
            digest.update(name.encode() + tensor.detach().cpu().half().contiguous().numpy().tobytes())
    return digest.hexdigest()[:10]


def _cache_layout(count: int, cells: int, channels: int) -> dict[str, tuple[tuple[int, ...], str]]:
    latents, mask = (count, channels, cells, cells), (count, 1, cells, cells)
    layout: dict[str, tuple[tuple[int, ...], str]] = {
        name: (latents, "float16") for name in (*TARGETS, "visible_masked", "refine_masked", "random_masked")
    }
    layout |= {name: (mask, "float16") for name in ("visible_mask", "refine_mask", "random_mask")}
    layout["grey"] = ((channels, cells, cells), "float16")
    return layout


def _encode_shard(
    people: PeopleDataset, folder: Path, vae: AutoencoderKL, where: range, names: list[str]
) -> None:
    generator = random_generator(where.start, 7)
    every = "grey" in names
    encode = _encode if every else partial(_encode_some, names)
    parts = [encode(people, vae, list(where[at : at + PART]), generator) for at in range(0, len(where), PART)]
    for name in parts[0]:
        array = np.load(folder / f"{name}.npy", mmap_mode="r+")
        array[where.start : where.stop] = torch.cat([part[name] for part in parts]).float().cpu().numpy()
        array.flush()
    if where.start == 0 and every:
        _write_grey(folder, vae, people.size)


def _encode(
    people: PeopleDataset, vae: AutoencoderKL, indices: list[int], generator: torch.Generator
) -> dict[str, torch.Tensor]:
    from ...models.diffusion.networks import encode_image, inpaint_condition

    images = {name: people.images(name, indices) for name in (*TARGETS, "occluded")}
    values = {name: encode_image(vae, images[name]) for name in TARGETS}
    visible, hidden = _shard_masks(people, indices, generator)
    chosen = torch.stack([images[random_target(index)][row] for row, index in enumerate(indices)])
    scribbled = random_masks(len(indices), people.size, generator)
    masked = {
        "visible": (images["occluded"], 1 - visible),
        "refine": (images["complete"], hidden),
        "random": (chosen, scribbled),
    }
    for name, (image, mask) in masked.items():
        condition = inpaint_condition(vae, image, mask)
        values[f"{name}_mask"], values[f"{name}_masked"] = condition[:, :1], condition[:, 1:]
    return values


def _encode_some(
    names: list[str],
    people: PeopleDataset,
    vae: AutoencoderKL,
    indices: list[int],
    generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    """The targets, and what is visible of the person by a mask as it is annotated, of full-size training."""
    from ...models.diffusion.networks import encode_image, inpaint_condition

    device, values = next(vae.parameters()).device, {}
    for name in set(names) & set(TARGETS):
        values[name] = encode_image(vae, people.images(name, indices).to(device))
    if VISIBLE & set(names):
        visible = (people.images("visible_mask", indices) > 0.5).float()
        condition = inpaint_condition(
            vae, people.images("occluded", indices).to(device), (1 - disturbed(visible, generator)).to(device)
        )
        values |= {"visible_mask": condition[:, :1], "visible_masked": condition[:, 1:]}
    return {name: values[name] for name in names}


def _write_grey(folder: Path, vae: AutoencoderKL, size: int) -> None:
    from ...models.diffusion.networks import HIDDEN_GREY, encode_image

    grey = np.load(folder / "grey.npy", mmap_mode="r+")
    grey[:] = encode_image(vae, torch.full((1, 3, size, size), HIDDEN_GREY))[0].float().numpy()
    grey.flush()


def _shard_masks(
    people: PeopleDataset, indices: list[int], generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Visible masks as a segmenter's, and hidden regions grown by 2 to 10 px (random if there are none)."""
    visible = (people.images("visible_mask", indices) > 0.5).float()
    amodal = (people.images("amodal_mask", indices) > 0.5).float()
    radii = torch.randint(*REFINE_DILATION, (len(indices),), generator=generator)
    hidden = amodal * (1 - visible)
    grown = torch.cat([dilate_square(m[None], int(r)) for m, r in zip(hidden, radii, strict=True)])
    empty = hidden.flatten(1).sum(dim=1) == 0
    grown[empty] = random_masks(len(indices), people.size, generator)[empty]
    return disturbed(visible, generator), grown
