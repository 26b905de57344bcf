"""What re-posing learns from: the same person in two poses, with labels and joints of both.

Rendered people (`figura train pairs_data`), or pictures of one's own (`figura train pairs_data --pairs
FOLDER`). Such a folder holds `train.csv` and `held_out.csv` with the header
source,target,source_densepose,target_densepose: file names relative to the folder, as of DeepFashion, one
pair a line; and optionally the columns source_joints,target_joints: JSON files with 18 rows of x_px, y_px,
confidence. DensePose files are pictures: a viridis or parula colour map, an IUV picture (its last channel
holds the parts 0 to 24), or a grey picture of the parts. All pictures are brought to one size.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...models.sentences import typed
from ...people.densepose import LABELS, labels_from_colours
from ...people.synthetic import SyntheticPeople, render_people
from ..run.recipe import Split
from .hands import encoded, scaled
from .people import HELD_OUT_SEED, create_arrays, render_arrays, rows, write_json

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

PAIRS = "pairs"
COUNT, HELD_OUT = 8_000, 256
COLUMNS = ("source", "target", "source_densepose", "target_densepose")
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
    root: Path, count: int = COUNT, held_out: int = HELD_OUT, size: int = 128, processes: int = 2
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


def open_pairs(root: Path, vae: AutoencoderKL) -> Split:
    """Both parts with latents by the autoencoder, encoded when missing.

    Raises FileNotFoundError when the data were not made.
    """
    return Split(*(open_part(Path(root) / part / PAIRS, vae) for part in ("train", "held_out")))


def open_part(folder: Path, vae: AutoencoderKL) -> Pairs:
    """One part of the data."""
    if not (folder / "captions.json").is_file():
        raise FileNotFoundError(
            f"no finished pairs in {folder}: run `{typed('train pairs_data')} --data {folder.parent.parent}`"
        )
    captions = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in pairs_layout(1, 8)}
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


# Pictures of one's own


def import_pairs(root: Path, folder: Path, sides: Sides) -> None:
    """Bring the pairs of `folder` (see above) to pictures of height x width `sides`, as the arrays in `root`.

    Raises FileNotFoundError and ValueError that name the file, the line and what is wanted.
    """
    for part in ("held_out", "train"):
        lines = read_lines(Path(folder) / f"{part}.csv")
        place = Path(root) / part / PAIRS
        if (place / "captions.json").is_file():
            continue
        place.mkdir(parents=True, exist_ok=True)
        create_arrays(place, pairs_layout(len(lines), sides))
        arrays = {name: np.load(place / f"{name}.npy", mmap_mode="r+") for name in pairs_layout(1, 8)}
        for number, line in enumerate(lines):
            for side in ("source", "target"):
                _import_side(arrays, number, side, line, Path(folder), sides)
        for array in arrays.values():
            array.flush()
        write_json(place / "captions.json", [line["target"] for line in lines])


def read_lines(path: Path) -> list[dict[str, str]]:
    """The lines of a table of pairs; ValueError when a column or all lines are missing."""
    if not path.is_file():
        raise FileNotFoundError(f"no table of pairs at {path}: its columns are {', '.join(COLUMNS)}")
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    missing = [name for name in COLUMNS if not lines or not lines[0].get(name)]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}: its columns are {', '.join(COLUMNS)}")
    return lines


def _import_side(
    arrays: Mapping[str, Any], number: int, side: str, line: Mapping[str, str], folder: Path, sides: Sides
) -> None:
    from PIL import Image

    height, width = sides
    with Image.open(folder / line[side]) as image:
        scale = np.array([width / image.width, height / image.height, 1.0], np.float32)
        resized = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    arrays[side][number] = np.asarray(resized).transpose(2, 0, 1)
    arrays[f"{side}_densepose"][number] = read_labels(folder / line[f"{side}_densepose"], sides)
    if line.get(f"{side}_joints"):
        joints = json.loads((folder / line[f"{side}_joints"]).read_text(encoding="utf-8"))
        arrays[f"{side}_joints"][number] = np.array(joints, np.float32).reshape(18, 3) * scale


def read_labels(path: Path, sides: Sides) -> np.ndarray:
    """Labels (H,W) uint8 at height x width `sides` of a DensePose picture; ValueError names the file."""
    from PIL import Image

    with Image.open(path) as image:
        values = np.array(image if image.mode in ("L", "P", "I") else image.convert("RGB"))
    parts = values if values.ndim == 2 else values[..., 2]
    if parts.max() >= LABELS:
        if values.ndim == 2:
            raise ValueError(f"{path} has values up to {parts.max()}: parts are 0 to {LABELS - 1}")
        colours = torch.from_numpy(values).permute(2, 0, 1)[None].float() / 255
        parts = labels_from_colours(colours, str(path))[0].numpy()
    return np.array(Image.fromarray(parts.astype(np.uint8)).resize(sides[::-1], Image.Resampling.NEAREST))
