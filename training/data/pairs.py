"""What re-posing learns from: the same person in two poses, with labels and joints of both.

Rendered people (`figura train pairs_data`), or pictures of one's own (imported_pairs.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...models.sentences import as_word, typed
from ...people.synthetic import SyntheticPeople, render_people
from ..run.recipe import Split
from .checks import check_rows
from .hands import encoded, scaled
from .people import HELD_OUT_SEED, Processes, render_arrays, rows

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

PAIRS = "pairs"
COUNT, HELD_OUT = 8_000, 256
JOINTS, DENSEPOSE = "joints", "densepose"
"""What a recipe may need of both pictures of a pair."""
LOOKED_AT = 2000
"""Most pairs of which it is seen to that they have it; importing looks at all."""
Sides = tuple[int, int]


def pairs_layout(count: int, size: int | Sides) -> dict[str, tuple[tuple[int, ...], str]]:
    """The arrays of pairs of pictures of that side, or of that height and width."""
    height, width = (size, size) if isinstance(size, int) else size
    layout: dict[str, tuple[tuple[int, ...], str]] = {}
    for name in ("source", "target"):
        layout[name] = (count, 3, height, width), "uint8"
        layout[f"{name}_densepose"] = (count, height, width), "uint8"
        layout[f"{name}_joints"] = (count, 18, 3), "float32"
    return layout


@dataclass(frozen=True)
class RenderedPairs:
    """What `render_pairs` gives, under the names of the arrays: pictures (B,3,S,S) 0..1, labels (B,S,S),
    joints (B,18,3), captions.
    """

    source: Tensor
    source_densepose: Tensor
    source_joints: Tensor
    target: Tensor
    target_densepose: Tensor
    target_joints: Tensor
    captions: list[str]


def render_pairs(seeds: Sequence[int], size: int) -> RenderedPairs:
    """The people with these seeds, whole and before white, as in the studio pictures that the papers learn
    from, in their own pose and in that of the person with the next seed.
    """
    seeds = list(seeds)
    first = render_people(seeds, size, occlusion=0.0)
    other = render_people(seeds, size, occlusion=0.0, pose_seeds=[seed + 1 for seed in seeds])
    return RenderedPairs(*_side(first), *_side(other), first.captions)


def _side(people: SyntheticPeople) -> tuple[Tensor, Tensor, Tensor]:
    return people.cutout, people.densepose_i, people.joints


def build_pairs(
    root: Path, count: int = COUNT, held_out: int = HELD_OUT, size: int = 128, processes: Processes = 2
) -> None:
    """Render both parts: training seeds from 0, held-out seeds from 10 000 000.

    Args:
        root: folder of both data sets.
        count: training pairs.
        held_out: held-out pairs.
        size: side of the pictures in pixels.
        processes: how many render at once.
    """
    for part, number, first in (("held_out", held_out, HELD_OUT_SEED), ("train", count, 0)):
        render_arrays(
            Path(root) / part / PAIRS, pairs_layout, number, first, size, processes, render_pairs
        )  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """Pairs as read-only memory maps; pictures uint8, joints in pixels, latents (N,C,h,w) float16."""

    source: np.ndarray
    source_densepose: np.ndarray
    source_joints: np.ndarray
    target: np.ndarray
    target_densepose: np.ndarray
    target_joints: np.ndarray
    captions: list[str]
    source_latents: np.ndarray
    target_latents: np.ndarray

    def __len__(self) -> int:
        return len(self.captions)


def open_pairs(root: Path, vae: AutoencoderKL, needs: str | None = None) -> Split:
    """Both parts with latents by the autoencoder, encoded when missing.

    needs: JOINTS or DENSEPOSE, which must not be empty. Raises FileNotFoundError when the data were not made,
    and ValueError that names a pair which lacks what is needed.
    """
    parts = [open_part(Path(root) / part / PAIRS, vae) for part in ("train", "held_out")]
    for part in parts:
        if needs is not None:
            check_pairs(part, needs)
    return Split(*parts)


def check_pairs(data: Pairs, needs: str) -> None:
    """ValueError that counts the pairs without joints, or without DensePose labels, and names the first."""

    def known(values: np.ndarray) -> np.ndarray:
        return values[..., 2] if needs == JOINTS else values

    for side in ("source", "target"):
        array = getattr(data, f"{side}_{needs}")
        looked_at = np.unique(np.linspace(0, len(data) - 1, min(len(data), LOOKED_AT)).astype(int))
        empty = [row for row in looked_at if not known(array[row]).any()]
        if empty:
            raise ValueError(
                f"{len(empty)} of {len(looked_at)} pairs looked at have no {needs} of the {side}, first "
                f"number {empty[0]} ({data.captions[empty[0]]}): this recipe needs them. Import with {needs}"
            )


def open_part(folder: Path, vae: AutoencoderKL) -> Pairs:
    """One part of the data."""
    if not (folder / "captions.json").is_file():
        raise FileNotFoundError(
            f"no finished pairs in {folder}: run "
            f"`{typed('train pairs_data')} --data {as_word(folder.parent.parent)}`"
        )
    captions = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in pairs_layout(1, 8)}
    check_rows(folder, arrays, len(captions))
    latents = {
        f"{name}_latents": encoded(folder, f"{name}_latents", vae, len(captions), scaled(arrays[name]))
        for name in ("source", "target")
    }
    return Pairs(captions=captions, **arrays, **latents)


def drawn_pairs(data: Pairs, indices: np.ndarray, swap: Tensor) -> dict[str, Tensor]:
    """Rows of both sides, exchanged where `swap` (B,) bool is set: latents float32, labels, joints."""
    drawn = {}
    for name in ("latents", "densepose", "joints"):
        first, second = (rows(getattr(data, f"{side}_{name}"), indices) for side in ("source", "target"))
        where = swap.view(-1, *[1] * (first.ndim - 1))
        drawn[f"source_{name}"] = torch.where(where, second, first)
        drawn[f"target_{name}"] = torch.where(where, first, second)
    for side in ("source", "target"):
        drawn[f"{side}_latents"] = drawn[f"{side}_latents"].float()
    return drawn
