"""Pairs of pictures of one's own: the same person in two poses, from tables or from DPTN's and CFLD's lists.

A table (`train.csv`, `held_out.csv`) has the columns source,target: file names relative to its folder; and of
both, as far as a recipe needs them, source_densepose, target_densepose (pictures) and source_joints,
target_joints (JSON files with 18 rows of x_px, y_px, confidence). DensePose files are a viridis or parula
colour map, an IUV picture (its last channel holds the parts 0 to 24), or a grey picture of the parts. The
lists of DPTN and CFLD name pairs (from,to) and joints (name:keypoints_y:keypoints_x, -1 where missing). All
pictures are brought to one size.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ...people.crops import same_shape
from ...people.densepose import LABELS, labels_from_colours
from .index import write_index
from .pairs import PAIRS, Sides, pairs_layout
from .people import read_json, render_arrays
from .pictures import opened, read_picture
from .texts import floats, parse, read_table, read_text

logger = logging.getLogger(__name__)

COLUMNS = ("source", "target")
DEEPFASHION_SIDES = (256, 176)
"""Height and width of the pictures that DPTN's joints are places in."""
Line = dict[str, Any]


def import_pairs(root: Path, folder: Path, sides: Sides, processes: int = 1) -> None:
    """Bring the pairs of the tables in `folder` to pictures of height x width `sides`, as arrays in `root`.

    processes: how many read at once. Raises FileNotFoundError and ValueError that name the file, the line and
    what is wanted, OSError when the disk has too little room. What was begun goes on.
    """
    for part in ("held_out", "train"):
        write_pairs(
            Path(root) / part / PAIRS, folder, read_lines(Path(folder) / f"{part}.csv"), sides, processes
        )


def write_pairs(place: Path, folder: Path, lines: Sequence[Line], sides: Sides, processes: int = 1) -> None:
    """Write the arrays of one part, or finish them; see `import_pairs`.

    Args:
        place: folder of the arrays.
        folder: what file names are relative to.
        lines: as `read_lines` gives them; a pair that comes twice is taken once.
        sides: height and width of all pictures.
        processes: how many read at once.
    """
    own = list({json.dumps(line, sort_keys=True): line for line in lines}.values())
    if len(own) < len(lines):
        logger.info("%d of %d pairs were listed twice", len(lines) - len(own), len(lines))
    reader = PairsReader(write_index(place, own, list, pairs_layout(len(own), sides)), Path(folder), sides)
    render_arrays(place, partial(_layout, sides), len(own), 0, 0, processes, reader)


def _layout(sides: Sides, count: int, size: int) -> Mapping[str, tuple[tuple[int, ...], str]]:
    return pairs_layout(count, sides)


def read_lines(path: Path) -> list[Line]:
    """The lines of a table of pairs; ValueError when a column or all lines are missing."""
    if not path.is_file():
        raise FileNotFoundError(f"no table of pairs at {path}: its columns are {', '.join(COLUMNS)}, ...")
    return read_table(path, COLUMNS)


# DPTN's and CFLD's lists


def listed_pairs(pairs: Path, joints: Path, densepose: Path | None = None) -> list[Line]:
    """Pairs as DPTN and CFLD list them, with joints in pixels of 256 x 176 pictures.

    Args:
        pairs: CSV with the columns from,to.
        joints: CSV between colons, with the columns name, keypoints_y, keypoints_x of 18 joints.
        densepose: folder of DensePose pictures called like the pictures, as .png; None leaves them out.

    Raises:
        FileNotFoundError, ValueError: for missing files, columns and joints, naming them.
    """
    known = read_joints(joints)
    if not pairs.is_file():
        raise FileNotFoundError(f"no list of pairs at {pairs}: its columns are from,to")
    rows = read_table(pairs, ("from", "to"))
    absent = sorted({row[side] for row in rows for side in ("from", "to")} - set(known))
    if absent:
        raise ValueError(
            f"{joints} has no joints of {len(absent)} pictures of {pairs.name}, first {absent[0]}: take the "
            "joints of the same list"
        )
    return [_listed(row["from"], row["to"], known, densepose) for row in rows]


def _listed(source: str, target: str, known: Mapping[str, Any], densepose: Path | None) -> Line:
    line: Line = {}
    for side, name in (("source", source), ("target", target)):
        line |= {side: name, f"{side}_joints": known[name]}
        if densepose is not None:
            line[f"{side}_densepose"] = str((densepose / name).with_suffix(".png"))
    return line


def read_joints(path: Path) -> dict[str, list[list[float]]]:
    """Picture -> 18 rows of x_px, y_px, confidence, from DPTN's file of joints; errors as `listed_pairs`."""
    if not path.is_file():
        raise FileNotFoundError(f"no joints at {path}: its columns are name:keypoints_y:keypoints_x")
    rows = read_table(path, ("name", "keypoints_y", "keypoints_x"), ":")
    found, below = {}, 0
    for row in rows:
        x, y = (floats(parse(row[f"keypoints_{axis}"], f"{path}: {row['name']}")) for axis in "xy")
        if x.shape != (18,) or y.shape != (18,) or not np.isfinite([x, y]).all():
            raise ValueError(f"{path}: {row['name']} has not 18 numbers for each of its joints' places")
        confidence = ((x >= 0) & (y >= 0)).astype(np.float32)
        found[row["name"]] = np.stack([x, y, confidence], 1).tolist()
        below += bool(confidence[[0, 10, 13]].all() and y[0] > y[[10, 13]].max())
    if below > 0.5 * len(rows):
        raise ValueError(
            f"{path}: most heads are below their feet: joints must be in OpenPose's order, and the columns "
            "name:keypoints_y:keypoints_x"
        )
    return found


# Reading


@dataclass(frozen=True)
class PairsReader:
    """Reads pairs of an index by their numbers, for `render_arrays`."""

    index: Path
    folder: Path
    sides: Sides

    def __call__(self, numbers: Sequence[int], size: int) -> SimpleNamespace:
        """The arrays of these pairs, stacked; their captions are the targets' names."""
        lines = read_json(self.index)
        made = [
            self._side(lines[number], "source") | self._side(lines[number], "target") for number in numbers
        ]
        stacked = {name: torch.from_numpy(np.stack([each[name] for each in made])) for name in made[0]}
        for side in ("source", "target"):
            stacked[side] = stacked[side].float() / 255
        return SimpleNamespace(**stacked, captions=[lines[number]["target"] for number in numbers])

    def _side(self, line: Line, side: str) -> dict[str, np.ndarray]:
        from PIL import Image

        height, width = self.sides
        try:
            picture = read_picture(self.folder / line[side])
        except FileNotFoundError as error:
            raise FileNotFoundError(f"no picture {self.folder / line[side]}, which a pair names") from error
        before = picture.height, picture.width
        resized = picture.resize((width, height), Image.Resampling.LANCZOS)
        labels = np.zeros(self.sides, np.uint8)
        if line.get(f"{side}_densepose"):
            labels = read_labels(self.folder / line[f"{side}_densepose"], self.sides, before)
        return {
            side: np.asarray(resized).transpose(2, 0, 1),
            f"{side}_densepose": labels,
            f"{side}_joints": self._joints(line.get(f"{side}_joints"), before),
        }

    def _joints(self, given: Any, before: tuple[int, int]) -> np.ndarray:
        """(18,3) in the new size. A JSON file's are in pixels of its picture, listed ones in those of
        DEEPFASHION_SIDES.
        """
        if not given:
            return np.zeros((18, 3), np.float32)
        listed = not isinstance(given, str)
        values = given if listed else parse(read_text(self.folder / given), str(self.folder / given))
        height, width = DEEPFASHION_SIDES if listed else before
        joints = floats(values)
        if joints.shape != (18, 3):
            raise ValueError(f"{given} holds no 18 rows of x_px, y_px, confidence: correct the file")
        if not np.isfinite(joints).all():
            raise ValueError(f"{given} holds joints that are no numbers: correct the file")
        return joints * np.array([self.sides[1] / width, self.sides[0] / height, 1.0], np.float32)


def read_labels(path: Path, sides: Sides, like: tuple[int, int] | None = None) -> np.ndarray:
    """Labels (H,W) uint8 at height x width `sides` of a DensePose picture. like: height and width of the
    picture it is of. ValueError names a file of another shape, or without labels.
    """
    from PIL import Image

    if not path.is_file():
        raise FileNotFoundError(f"no DensePose {path}, which a pair names")
    with opened(path) as image:
        if like is not None and not same_shape((image.height, image.width), like):
            raise ValueError(
                f"{path} has {image.width}x{image.height} pixels, its picture {like[1]}x{like[0]}: make the "
                "labels from the same picture"
            )
        values = np.array(image if image.mode in ("L", "P", "I") else image.convert("RGB"))
    parts = values if values.ndim == 2 else values[..., 2]
    if parts.max() >= LABELS:
        if values.ndim == 2:
            raise ValueError(f"{path} has values up to {parts.max()}: parts are 0 to {LABELS - 1}")
        colours = torch.from_numpy(values).permute(2, 0, 1)[None].float() / 255
        parts = labels_from_colours(colours, str(path))[0].numpy()
    return np.array(Image.fromarray(parts.astype(np.uint8)).resize(sides[::-1], Image.Resampling.NEAREST))
