"""People from COCO's or COCO-WholeBody's annotations, as the arrays that the recipes read (docs/data.md).

A picture is a square round one person. What is drawn of it in a shard depends on the annotations alone, so
that an import goes on where it was stopped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...people.keypoints import body18_from_coco17
from ..run.recipe import random_generator
from .hands import GESTURES, gesture_layout
from .index import write_index
from .people import Layout, array_layout, read_json, render_arrays
from .photos import PhotographedPerson, people_on, read_annotations
from .texts import floats

logger = logging.getLogger(__name__)

HUMANSD, PHAC, BODY = PURPOSES = ("humansd", "phac", "body")
"""What the pictures are for: whole photographs with everybody's joints; people with others pasted over them;
people who show their hands.
"""
LEAST_JOINTS, LEAST_SIDE_PX = 6, 96
"""A person with fewer known joints, or smaller than that, teaches little."""
MARGIN = 1.25
MOST_PEOPLE = 10
COVERED = (0.1, 0.6)
"""Share of a person that another one may hide."""
PLACES = 30
NOSE, ANKLES = 0, [15, 16]


class Square(NamedTuple):
    """A part of a picture, pixels; it may reach beyond the edges."""

    left: int
    top: int
    side: int


def import_people(
    root: Path,
    images: Path,
    annotations: Path,
    captions: Mapping[str, str] | str,
    purpose: str,
    size: int,
    held_out: int = 256,
    processes: int = 1,
) -> tuple[int, int]:
    """Write both parts of a data set from COCO's annotations, or finish them; gives their numbers of people.

    Args:
        root: folder of the data sets.
        images: folder of the pictures.
        annotations: COCO's file, of people's joints; for BODY COCO-WholeBody's.
        captions: text by file name, or one text for all.
        purpose: one of PURPOSES.
        size: side of the squares in pixels.
        held_out: people kept for evaluation, of pictures that training does not see.
        processes: how many read at once.

    Raises:
        FileNotFoundError, ValueError: for missing files, captions and joints, and joints in a wrong order.
        OSError: when the disk has too little room.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose is {purpose!r}; it is one of {', '.join(PURPOSES)}")
    picked = pick_people(images, annotations, purpose)
    kept = len(picked) - min(held_out, len(picked) // 2)
    while 0 < kept < len(picked) and picked[kept - 1][0] is picked[kept][0]:
        kept -= 1
    if kept == 0:
        raise ValueError(
            f"{annotations} has people of one picture alone, {picked[0][0]['file_name']}: give two or "
            "more, so that some are held out that training does not see"
        )
    counts = []
    for part, own in (("held_out", picked[kept:]), ("train", picked[:kept])):
        folder = Path(root) / part / (GESTURES if purpose == BODY else "")
        content, layout = index_of(images, own, captions, purpose), layouts(purpose)
        reader = PeopleReader(write_index(folder, content, _rows, layout(len(own), size)))
        render_arrays(folder, layout, len(own), 0, size, processes, reader)
        counts.append(len(own))
    return counts[1], counts[0]


def layouts(purpose: str) -> Layout:
    """The arrays of a purpose."""
    return {HUMANSD: _photographs, PHAC: _hidden_people, BODY: gesture_layout}[purpose]


def _photographs(count: int, size: int) -> dict[str, tuple[tuple[int, ...], str]]:
    whole = array_layout(count, size)
    own = {name: whole[name] for name in ("occluded", "joints")}
    return own | {"everybody": ((count, MOST_PEOPLE, 18, 3), "float32")}


def _hidden_people(count: int, size: int) -> dict[str, tuple[tuple[int, ...], str]]:
    whole = array_layout(count, size)
    names = ("occluded", "unoccluded", "cutout", "amodal_mask", "visible_mask", "joints")
    return {name: whole[name] for name in names}


# Whom to take


def pick_people(images: Path, annotations: Path, purpose: str) -> list[tuple[dict[str, Any], list[Any], int]]:
    """(picture, its annotations, number of the person among them), each once, in the order of the file.

    Raises ValueError when nobody is left, saying why, and for joints in a wrong order.
    """
    picked, dropped, upside_down, seen = [], 0, [], set()
    for image, own in read_annotations(annotations):
        for number, each in enumerate(own):
            key = image["file_name"], json.dumps(each.get("bbox")), json.dumps(each.get("keypoints"))
            joints = _labelled(each, annotations)
            if key in seen or not usable(each, joints, purpose):
                dropped += 1
                continue
            seen.add(key)
            picked.append((image, own, number))
            if joints[NOSE, 2] and joints[ANKLES, 2].all():
                upside_down.append(bool(joints[NOSE, 1] > joints[ANKLES, 1].max()))
    if not picked:
        raise ValueError(
            f"{annotations}: none of {dropped} people has {LEAST_JOINTS} known joints"
            f"{', a mask' if purpose == PHAC else ''}{', a hand' if purpose == BODY else ''} and "
            f"{LEAST_SIDE_PX} px: take other annotations"
        )
    if len(upside_down) >= 10 and np.mean(upside_down) > 0.5:
        raise ValueError(
            f"{annotations}: most heads are below their feet: the joints are not in COCO's order (nose, "
            "eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; left before right)"
        )
    logger.info("%s: %d people taken, %d left out", annotations.name, len(picked), dropped)
    return picked


def _labelled(annotation: Mapping[str, Any], path: Path) -> np.ndarray:
    """(17,3), or (0,3) where none are given. ValueError names the annotation."""
    joints = floats(annotation.get("keypoints") or [])
    if len(joints) == 0 and not annotation.get("keypoints"):
        return np.zeros((0, 3), np.float32)
    if joints.shape != (51,) or not np.isfinite(joints).all():
        raise ValueError(
            f"{path}: annotation {annotation.get('id')} has joints that are no numbers, or not x, y and flag "
            "of COCO's 17: correct the file"
        )
    return joints.reshape(17, 3)


def usable(annotation: Mapping[str, Any], joints: np.ndarray, purpose: str) -> bool:
    """Whether an annotation says enough for a purpose; without a box its joints say where the person is."""
    known = joints[joints[:, 2] > 0, :2]
    if len(known) < LEAST_JOINTS:
        return False
    box = floats(annotation.get("bbox") or [*known.min(0), *np.ptp(known, axis=0)])
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueError(f"annotation {annotation.get('id')} has no box of four numbers: correct the file")
    if box[2:].min() <= 0 or box[2:].max() < LEAST_SIDE_PX:
        return False
    if purpose == BODY:
        return bool(annotation.get("lefthand_valid") or annotation.get("righthand_valid"))
    return purpose != PHAC or _has_mask(annotation.get("segmentation"))


def _has_mask(segmentation: Any) -> bool:
    """Whether there are run lengths, or a polygon of three corners."""
    if isinstance(segmentation, Mapping):
        return True
    return any(isinstance(each, list) and len(each) >= 6 for each in segmentation or ())


def index_of(
    images: Path, picked: Sequence[tuple[Any, list[Any], int]], captions: Any, purpose: str
) -> dict[str, Any]:
    """What `PeopleReader` reads.

    Args:
        images: folder of the pictures.
        picked: of `pick_people`.
        captions: text by file name, or one text for all.
        purpose: one of PURPOSES.

    Raises:
        ValueError: naming a picture without a caption.
    """
    pictures: dict[str, Any] = {}
    people = []
    for image, own, number in picked:
        name = image["file_name"]
        text = captions if isinstance(captions, str) else captions.get(name)
        if not text:
            raise ValueError(f"{name} has no caption: give --captions of these pictures, or --caption TEXT")
        size = [image.get("height"), image.get("width")]
        pictures.setdefault(name, {"size": size, "people": own, "caption": text})
        people.append([name, number])
    return {"images": str(images), "purpose": purpose, "pictures": pictures, "people": people}


def _rows(content: Mapping[str, Any]) -> list[Any]:
    return [
        [content["purpose"], name, number, content["pictures"][name]] for name, number in content["people"]
    ]


# Reading


@dataclass(frozen=True)
class PeopleReader:
    """Reads people of an index by their numbers, for `render_arrays`."""

    index: Path

    def __call__(self, numbers: Sequence[int], size: int) -> SimpleNamespace:
        """The arrays of these people, stacked, and their captions."""
        content = read_json(self.index)
        made = [self._read(content, number, size) for number in numbers]
        names = [name for name in made[0] if name != "captions"]
        stacked = {name: torch.stack([each[name] for each in made]) for name in names}
        return SimpleNamespace(**stacked, captions=[each["captions"] for each in made])

    def _read(self, content: Mapping[str, Any], number: int, size: int) -> dict[str, Any]:
        name, _ = content["people"][number]
        person, others = person_of(content, number)
        whole = content["purpose"] == HUMANSD
        square = square_round(person, whole)
        image = cut(person.image(), square, size)
        values: dict[str, Any] = {"joints": body_in(person, square, size)}
        values["captions"] = content["pictures"][name]["caption"]
        if content["purpose"] == BODY:
            return values | self._gesture(person, image, square, size)
        if whole:
            return values | {"occluded": image, "everybody": everybody_in([person, *others], square, size)}
        return values | self._hidden(content, number, person, image, square, size)

    @staticmethod
    def _gesture(person: PhotographedPerson, image: Tensor, square: Square, size: int) -> dict[str, Any]:
        if person.hands is None:
            raise ValueError(f"{person.file} has a person without hands: take COCO-WholeBody's annotations")
        both = [placed(hand, square, size) for hand in person.hands[::-1]]
        labels = torch.zeros(size, size, dtype=torch.uint8)
        return {"unoccluded": image, "hands": torch.stack(both), "densepose_i": labels}

    @staticmethod
    def _hidden(
        content: Mapping[str, Any],
        number: int,
        person: PhotographedPerson,
        image: Tensor,
        square: Square,
        size: int,
    ) -> dict[str, Any]:
        """The person with another one of the index pasted over."""
        if person.silhouette is None:
            raise ValueError(
                f"{person.file} has a person without a mask: take annotations with segmentations"
            )
        drawn = torch.from_numpy(person.silhouette.mask())[None].float()
        mask = (cut(drawn, square, size, edge=False) > 0.5).float()
        over, hiding = hidden_by(content, number, mask, size)
        cutout = torch.where(mask > 0.5, image, torch.ones_like(image))
        return {
            "occluded": torch.where(hiding > 0.5, over, image), "unoccluded": image, "cutout": cutout,
            "amodal_mask": mask, "visible_mask": mask * (1 - hiding),
        }  # fmt: skip


def person_of(content: Mapping[str, Any], number: int) -> tuple[PhotographedPerson, list[PhotographedPerson]]:
    """Person `number` of an index, and the others on the same picture. FileNotFoundError names a picture."""
    name, own = content["people"][number]
    picture, file = content["pictures"][name], Path(content["images"]) / name
    if not file.is_file():
        raise FileNotFoundError(f"no picture {file}: it is named in the annotations")
    height, width = picture["size"]
    if height is None or width is None:
        raise ValueError(f"{name} has no height and width in the annotations: add them")
    wanted = picture["people"][own]
    if content["purpose"] != PHAC:
        wanted = {**wanted, "segmentation": None}
    first = next(people_on(file, [wanted], height, width))
    rest = [each for index, each in enumerate(picture["people"]) if index != own and any(_joints(each))]
    return first, list(people_on(file, [{**each, "segmentation": None} for each in rest], height, width))


def _joints(annotation: Mapping[str, Any]) -> Iterator[float]:
    return iter((annotation.get("keypoints") or [])[2::3])


def square_round(person: PhotographedPerson, whole: bool) -> Square:
    """Round the person's box with a margin; whole: as large as the picture allows."""
    box = person.box
    side = min(person.height, person.width) if whole else round(MARGIN * max(box.width, box.height))
    left, top = round((box.x0 + box.x1 - side) / 2), round((box.y0 + box.y1 - side) / 2)
    if whole:
        left = min(max(left, 0), person.width - side)
        top = min(max(top, 0), person.height - side)
    return Square(left, top, max(side, 1))


def cut(image: Tensor, square: Square, size: int, edge: bool = True) -> Tensor:
    """A square of a picture (C,H,W) at size x size; beyond the picture its edge goes on, or 0."""
    height, width = image.shape[-2:]
    rows, columns = (torch.arange(square.side) + start for start in (square.top, square.left))
    taken = image[:, rows.clamp(0, height - 1)][:, :, columns.clamp(0, width - 1)]
    if not edge:
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
        taken = taken * inside
    resized = F.interpolate(taken[None], (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].clamp(0, 1)


def placed(points: np.ndarray, square: Square, size: int) -> Tensor:
    """Points (n,3) of the picture in the square; those outside, and unknown ones, are zero."""
    moved = np.asarray(points, np.float32).copy()
    moved[:, :2] = (moved[:, :2] - (square.left, square.top)) * (size / square.side)
    inside = ((moved[:, :2] >= 0) & (moved[:, :2] < size)).all(1) & (moved[:, 2] > 0)
    moved[:, 2] = moved[:, 2].clip(0, 1)
    return torch.from_numpy(moved * inside[:, None])


def body_in(person: PhotographedPerson, square: Square, size: int) -> Tensor:
    """The 18 joints of a person in the square, (18,3)."""
    joints = np.zeros((17, 3), np.float32) if person.joints is None else person.joints
    return placed(body18_from_coco17(joints.clip(max=[np.inf, np.inf, 1])), square, size)


def everybody_in(people: Sequence[PhotographedPerson], square: Square, size: int) -> Tensor:
    """Joints (MOST_PEOPLE,18,3) of those with a joint in the square; zeros behind them."""
    bodies = [body_in(person, square, size) for person in people]
    shown = [body for body in bodies if body[:, 2].any()][:MOST_PEOPLE]
    return torch.stack([*shown, *[torch.zeros(18, 3)] * (MOST_PEOPLE - len(shown))])


def hidden_by(content: Mapping[str, Any], number: int, mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Another person of the index, moved so that a share of somebody is hidden.

    Args:
        content: of an index.
        number: of the person to hide.
        mask: where that person is, (1,S,S).
        size: S in pixels.

    Returns:
        The picture (3,S,S) and where it covers (1,S,S); nothing covers where no place is found.
    """
    generator = random_generator(number, 61)
    for _ in range(PLACES):
        other = int(torch.randint(len(content["people"]), (1,), generator=generator))
        shift = [int(each) for each in torch.randint(-size // 2, size // 2 + 1, (2,), generator=generator)]
        person, _ = person_of(content, other)
        if other == number or person.silhouette is None:
            continue
        square = square_round(person, whole=False)
        body = cut(torch.from_numpy(person.silhouette.mask())[None].float(), square, size, edge=False)
        covering = moved(body > 0.5, shift)
        share = float((covering * mask).sum() / mask.sum().clamp(min=1))
        if COVERED[0] <= share <= COVERED[1]:
            return moved(cut(person.image(), square, size), shift), covering
    return torch.zeros(3, size, size), torch.zeros(1, size, size)


def moved(image: Tensor, shift: Sequence[int]) -> Tensor:
    """A picture (C,S,S) moved down and right; zeros come in."""
    size = image.shape[-1]
    out = torch.zeros(image.shape)
    (down, right) = shift
    target = [slice(max(step, 0), size + min(step, 0)) for step in (down, right)]
    source = [slice(max(-step, 0), size + min(-step, 0)) for step in (down, right)]
    out[:, target[0], target[1]] = image[:, source[0], source[1]].float()
    return out
