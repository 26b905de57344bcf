"""What Giving a Hand learns from: hands close up, and people who show their hands; pictures and latents."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ...models.hands.sampling import skeleton_image
from ...models.locks import only_one
from ...models.sentences import as_word, typed
from ..run.recipe import Split
from .checks import check_rows
from .latents import encoder_name
from .people import HELD_OUT_SEED, SHARD, Processes, create_arrays, missing_parts, render_arrays, rows

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

HANDS, GESTURES = "hands", "gestures"
COUNT, HELD_OUT = 8_000, 256
Images = Callable[[np.ndarray], torch.Tensor]
"""Numbers (n,) -> pictures (n,3,S,S) in 0..1."""
ENCODED_AT_ONCE = 16


def hand_layout(count: int, size: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """The arrays of hands close up."""
    return {
        "images": ((count, 3, size, size), "uint8"),
        "masks": ((count, 1, size, size), "uint8"),
        "joints": ((count, 21, 3), "float32"),
        "left": ((count,), "bool"),
    }


def gesture_layout(count: int, size: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """The arrays of people who show their hands."""
    return {
        "unoccluded": ((count, 3, size, size), "uint8"),
        "densepose_i": ((count, size, size), "uint8"),
        "joints": ((count, 18, 3), "float32"),
        "hands": ((count, 2, 21, 3), "float32"),
    }


def render_close_ups(seeds: list[int], size: int) -> Any:
    """Hands with these seeds (`SyntheticHands`)."""
    from ...people.synthetic.closeups import render_hands

    return render_hands(seeds, size)


def render_gestures(seeds: list[int], size: int) -> Any:
    """People with these seeds who show their hands (`SyntheticPeople`)."""
    from ...people.synthetic import HANDS_RAISED, render_people

    return render_people(seeds, size, occlusion=0.0, view=HANDS_RAISED)


def build_hands_data(
    root: Path, count: int = COUNT, held_out: int = HELD_OUT, size: int = 128, processes: Processes = 2
) -> None:
    """Render both kinds of picture: training seeds from 0, held-out seeds from 10 000 000.

    Args:
        root: folder of both data sets.
        count: training pictures of each kind.
        held_out: held-out pictures of each kind.
        size: side of the pictures in pixels.
        processes: how many render at once.
    """
    sets = {HANDS: (hand_layout, render_close_ups), GESTURES: (gesture_layout, render_gestures)}
    for part, number, first in (("held_out", held_out, HELD_OUT_SEED), ("train", count, 0)):
        for name, (layout, renderer) in sets.items():
            render_arrays(Path(root) / part / name, layout, number, first, size, processes, renderer)


@dataclass(frozen=True)
class CloseUps:
    """Hands close up as read-only memory maps, with the latents of the pictures and of their skeletons."""

    images: np.ndarray
    masks: np.ndarray
    joints: np.ndarray
    left: np.ndarray
    captions: list[str]
    latents: np.ndarray
    skeletons: np.ndarray

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return int(self.images.shape[-1])


@dataclass(frozen=True)
class Gestures:
    """People who show their hands, as read-only memory maps, with the pictures' latents.

    hands: right, left; confidence 0 for one that is not shown.
    """

    unoccluded: np.ndarray
    densepose_i: np.ndarray
    joints: np.ndarray
    hands: np.ndarray
    captions: list[str]
    latents: np.ndarray

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return int(self.unoccluded.shape[-1])

    @property
    def showing(self) -> np.ndarray:
        """Numbers of the people of whom a hand can be seen."""
        return np.flatnonzero(self.hands[..., 2].any(axis=(1, 2)))


class HandsData(NamedTuple):
    """Both kinds of picture of one part of the data."""

    close_ups: CloseUps
    gestures: Gestures


def open_hands(root: Path, vae_file: Path) -> Split:
    """The rendered data of both parts with latents by the autoencoder in `vae_file`, encoded when missing.

    Raises FileNotFoundError when the data were not rendered.
    """
    from ...models.diffusion.networks import load_vae

    vae = load_vae(vae_file).to(memory_format=torch.channels_last)
    both = zip(open_close_ups(root, vae), open_gestures(root, vae), strict=True)
    return Split(*(HandsData(*parts) for parts in both))


def open_close_ups(root: Path, vae: AutoencoderKL) -> Split:
    """The hands of both parts; errors as `open_hands`."""
    return Split(*(_close_ups(Path(root) / part / HANDS, vae) for part in ("train", "held_out")))


def open_gestures(root: Path, vae: AutoencoderKL) -> Split:
    """The people of both parts; errors as `open_hands`."""
    return Split(*(_gestures(Path(root) / part / GESTURES, vae) for part in ("train", "held_out")))


def _close_ups(folder: Path, vae: AutoencoderKL) -> CloseUps:
    arrays = open_arrays(folder, hand_layout)
    images, joints = arrays["images"], arrays["joints"]
    size = images.shape[-1]

    def skeletons(where: np.ndarray) -> torch.Tensor:
        return skeleton_image(rows(joints, where), size)

    return CloseUps(
        **arrays,
        latents=encoded(folder, "latents", vae, len(images), scaled(images)),
        skeletons=encoded(folder, "skeletons", vae, len(joints), skeletons),
    )


def _gestures(folder: Path, vae: AutoencoderKL) -> Gestures:
    arrays = open_arrays(folder, gesture_layout)
    people = arrays["unoccluded"]
    return Gestures(**arrays, latents=encoded(folder, "latents", vae, len(people), scaled(people)))


def open_arrays(folder: Path, layout: Callable[[int, int], Any]) -> dict[str, Any]:
    """The finished arrays and captions of a folder; FileNotFoundError says how to make them."""
    if not (folder / "captions.json").is_file():
        raise FileNotFoundError(
            f"no finished pictures in {folder}: run "
            f"`{typed('train hands_data')} --data {as_word(folder.parent.parent)}`"
        )
    captions = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in layout(1, 8)}
    check_rows(folder, arrays, len(captions))
    return {**arrays, "captions": captions}


def scaled(array: np.ndarray) -> Images:
    """A function that gives rows of an array of uint8 pictures as floats in 0..1."""
    return lambda where: rows(array, where).float() / 255


@torch.no_grad()
def encoded(folder: Path, name: str, vae: AutoencoderKL, count: int, images: Images) -> np.ndarray:
    """Latents (N,C,h,w) float16 of `count` pictures, from disk or encoded there now, shard by shard.

    Args:
        folder: where the file is, or is to be.
        name: of the file; the encoder's own name is added to it.
        vae: the autoencoder.
        count: number of pictures.
        images: gives the pictures (n,3,H,W) in 0..1 of n indices.
    """
    from ...models.diffusion.networks import encode_image

    name = f"{name}_{encoder_name(vae)}"
    device = next(vae.parameters()).device
    shape = tuple(encode_image(vae, images(np.arange(1)).to(device)).shape[1:])
    layout = {name: ((count, *shape), "float16")}
    done = {start: folder / f"{name}_{start:07d}.done" for start in range(0, count, SHARD)}

    def encode(start: int) -> None:
        array = np.load(folder / f"{name}.npy", mmap_mode="r+")
        for first in range(start, min(start + SHARD, count), ENCODED_AT_ONCE):
            where = np.arange(first, min(first + ENCODED_AT_ONCE, start + SHARD, count))
            with torch.autocast(device.type, torch.bfloat16):
                array[where] = encode_image(vae, images(where).to(device)).float().cpu().numpy()
        array.flush()
        done[start].touch()

    if missing_parts(folder, layout, done):
        with only_one(folder, "encode in"):
            missing = missing_parts(folder, layout, done)
            create_arrays(folder, layout)
            for start in missing:
                encode(start)
    return np.load(folder / f"{name}.npy", mmap_mode="r")
