"""Visible masks as Segment Anything makes them of the people of a data set, made once and kept on disk."""

from __future__ import annotations

import functools
import hashlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...models.locks import only_one
from ..run.recipe import random_generator
from .people import PeopleDataset, create_arrays, missing_parts, rows, run_jobs

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

logger = logging.getLogger(__name__)

SHARD = 32
ALL_JOINTS = 0.5
"""Share of people whose mask is asked for with all visible joints; of the others any number is told."""
JITTER_PX = 1.5
"""How far points lie from the joints, at most, in x and in y: users do not hit them better."""


def segmented_masks(root: Path, init: Mapping[str, Path], count: int, processes: int = 1) -> np.ndarray:
    """Masks (count,1,S,S) uint8, 0 or 255, of the last `count` people of a data set, from points on their
    visible joints; empty for people without any. Those that are missing are made, shard by shard.

    Args:
        root: folder of the data set.
        init: weight files by the names of their recipes; `sam` counts.
        count: how many people, the last ones.
        processes: how many work at once.

    Raises:
        FolderInUseError: another process makes them.
    """
    root, file = Path(root).absolute(), Path(init["sam"]).absolute()
    people = PeopleDataset.open(root)
    folder = root / f"segmented_{hashlib.sha256(file.read_bytes()).hexdigest()[:10]}_{count}"
    folder.mkdir(exist_ok=True)
    layout = {"masks": ((count, 1, people.size, people.size), "uint8")}
    done = {number: folder / f"done_{number:07d}" for number in range(-(-count // SHARD))}
    if missing_parts(folder, layout, done):
        with only_one(folder, "segment in"):
            missing = missing_parts(folder, layout, done)
            create_arrays(folder, layout)
            begin = time.monotonic()
            jobs = [(root, folder, number, str(file)) for number in missing]
            for made, _ in enumerate(run_jobs(_segment_shard, jobs, processes), start=1):
                left = (len(jobs) - made) * (time.monotonic() - begin) / made
                logger.info("segmented %d of %d shards, %.0f s left", made, len(jobs), left)
    return np.load(folder / "masks.npy", mmap_mode="r")


def _segment_shard(root: Path, folder: Path, number: int, sam_file: str) -> None:
    people, sam = PeopleDataset.open(root), _segmenter(sam_file)
    masks = np.load(folder / "masks.npy", mmap_mode="r+")
    first = len(people) - len(masks)
    for row in range(number * SHARD, min((number + 1) * SHARD, len(masks))):
        masks[row] = _segment_person(sam, people, first + row) * 255
    masks.flush()
    (folder / f"done_{number:07d}").touch()


@functools.lru_cache(maxsize=1)
def _segmenter(file: str) -> Sam:
    from ...models.perception.sam_networks import load_sam

    return load_sam(file)


def _segment_person(sam: Sam, people: PeopleDataset, index: int) -> np.ndarray:
    """The mask (1,S,S) uint8 of 0 and 1 of one person, as the nodes make it."""
    from ...models.perception.sam import visible_mask

    points, size = told_points(people, index), people.size
    if len(points) == 0:
        return np.zeros((1, size, size), np.uint8)
    picture = people.images("occluded", [index])[0]
    mask, _ = visible_mask(sam, picture, points, torch.ones(len(points)))
    return mask[None].byte().cpu().numpy()


def told_points(people: PeopleDataset, index: int) -> torch.Tensor:
    """Points (n,2) px that tell who is meant: all visible joints of a person, or any number of them.

    Imported people do not say which joints are visible: there it is those that lie on the visible mask.
    """
    generator = random_generator(index, 29)
    joints = rows(people.joints, [index])[0]
    if len(people.joint_visible):
        visible = rows(people.joint_visible, [index])[0].bool()
    else:
        x, y = joints[:, :2].long().clamp(0, people.size - 1).unbind(1)
        visible = people.images("visible_mask", [index])[0, 0, y, x] > 0.5
    seen = (joints[:, 2] > 0) & visible
    jitter = JITTER_PX * (2 * torch.rand(len(joints), 2, generator=generator) - 1)
    points = (joints[:, :2] + jitter)[seen]
    inside = ((points >= 0) & (points < people.size)).all(1)
    points = points[inside]
    everyone = bool(torch.rand((), generator=generator) < ALL_JOINTS) or len(points) < 2
    order = torch.randperm(len(points), generator=generator)
    told = len(points) if everyone else int(torch.randint(1, len(points), (), generator=generator))
    return points[order[:told]]
