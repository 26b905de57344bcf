"""Annotated photographs: a folder of pictures and `annotations.json` in COCO's format of people.

What an annotation lacks is None here. Annotations of crowds are left out, as are those without a box, a
segmentation or a joint, which say nothing of where the person is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...people.boxes import Box
from .pictures import picture_size, read_picture
from .texts import parse, read_text

ANNOTATIONS = "annotations.json"
JOINTS = 17
VISIBLE = 2
"""COCO's flag of a joint that can be seen; 1 is one that is labelled though something covers it."""


class Silhouette:
    """A mask (H,W) as bits of the part that holds it: thousands of people's masks fit into the memory."""

    def __init__(self, mask: np.ndarray) -> None:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        self.shape = mask.shape
        self.part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        inside = mask[self.part]
        self.inside, self.bits = inside.shape, np.packbits(inside)

    def mask(self) -> np.ndarray:
        """(H,W) bool."""
        mask = np.zeros(self.shape, bool)
        count = self.inside[0] * self.inside[1]
        mask[self.part] = np.unpackbits(self.bits, count=count).reshape(self.inside)
        return mask


@dataclass(frozen=True, eq=False)
class PhotographedPerson:
    """One annotated person on a photograph of height x width pixels.

    box: px. area: px^2, as COCO's object keypoint similarity counts it. joints: (17,3) x_px, y_px, COCO's
    flag 0, 1 or 2. hands: (2,21,3) of COCO-WholeBody, left and right, x_px, y_px, score.
    """

    file: Path
    height: int
    width: int
    box: Box
    area: float
    joints: np.ndarray | None
    silhouette: Silhouette | None
    hands: np.ndarray | None = None

    @property
    def mask(self) -> np.ndarray | None:
        """(H,W) bool; None where nobody drew one."""
        return None if self.silhouette is None else self.silhouette.mask()

    def image(self) -> Tensor:
        """The photograph (3,H,W) in 0..1, upright, or as it is stored where that was annotated.

        Raises ValueError when the file is damaged or of another size than annotated.
        """
        pixels = np.array(read_picture(self.file, (self.width, self.height)))
        if pixels.shape[:2] != (self.height, self.width):
            raise ValueError(
                f"{self.file} has {pixels.shape[1]}x{pixels.shape[0]} pixels, but {ANNOTATIONS} says "
                f"{self.width}x{self.height}: put the annotated picture there or correct its size"
            )
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def open_photos(folder: Path, annotations: Path | None = None) -> list[PhotographedPerson]:
    """Everybody annotated on the pictures of `folder`, picture by picture in the order of the file.

    annotations: COCO's file; None is annotations.json in the folder. Raises FileNotFoundError without
    annotations or pictures, ValueError for a file that is not COCO's.
    """
    path = annotations or Path(folder) / ANNOTATIONS
    people = [
        person
        for image, own in read_annotations(path)
        for person in _people_of(Path(folder), image, own, path)
    ]
    if not people:
        raise ValueError(
            f"{path} annotates no person: every annotation needs a bbox, joints or a segmentation"
        )
    return people


def read_annotations(path: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """COCO's pictures with their annotations as they stand in the file, without those of crowds.

    Raises FileNotFoundError, and ValueError for a file that is not COCO's.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no {path.name} in {path.parent}: put COCO annotations there")
    content = _content(path)
    return list(zip(content["images"], _by_image(content, path), strict=True))


def _content(path: Path) -> Mapping[str, Any]:
    content = parse(read_text(path), str(path))
    parts = [content.get(name) for name in ("images", "annotations")] if isinstance(content, dict) else []
    if not parts or not all(isinstance(part, list) for part in parts):
        raise ValueError(f"{path} is not COCO's: it needs the lists images and annotations")
    return content


def _by_image(content: Mapping[str, Any], path: Path) -> list[list[Any]]:
    """The annotations of each picture, without crowds."""
    try:
        own: dict[str, list[Any]] = {str(image["id"]): [] for image in content["images"]}
        unnamed = [image["id"] for image in content["images"] if not isinstance(image["file_name"], str)]
        if unnamed:
            raise TypeError(f"no text in file_name of image {unnamed[0]}")
        for each in content["annotations"]:
            if str(each["image_id"]) in own and not each.get("iscrowd"):
                own[str(each["image_id"])].append(each)
        return [own[str(image["id"])] for image in content["images"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: an image or annotation is not COCO's ({error!r})") from error


def _people_of(
    folder: Path, image: Mapping[str, Any], own: Sequence[Any], path: Path
) -> list[PhotographedPerson]:
    try:
        file = folder / image["file_name"]
        return list(people_on(file, own, *_size(image, file))) if own else []
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path}: an image or annotation is not COCO's ({error!r})") from error


def _size(image: Mapping[str, Any], file: Path) -> tuple[int, int]:
    """Height and width as annotated, else the file's own."""
    if not file.is_file():
        raise FileNotFoundError(f"no picture {file}: it is named in {ANNOTATIONS}")
    if "height" in image and "width" in image:
        return int(image["height"]), int(image["width"])
    width, height = picture_size(file)
    return height, width


def people_on(
    file: Path, annotations: Sequence[Mapping[str, Any]], height: int, width: int
) -> Iterator[PhotographedPerson]:
    """The people that COCO's annotations describe on a picture of height x width pixels; those of whom they
    do not say where they are, are left out.
    """
    for each in annotations:
        try:
            person = _person_on(file, each, height, width)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{file}: annotation {each.get('id')} is not COCO's: {error}") from error
        if not person.box.is_empty:
            yield person


def _person_on(file: Path, annotation: Mapping[str, Any], height: int, width: int) -> PhotographedPerson:
    joints = _joints(annotation.get("keypoints"), file)
    drawn = annotation.get("segmentation")
    mask = decode_segmentation(drawn, height, width) if drawn else None
    if mask is not None and not mask.any():
        mask = None
    box = _box(annotation.get("bbox"), joints, mask)
    area = box.width * box.height if mask is None else float(mask.sum())
    area = float(annotation.get("area") or area)
    silhouette = None if mask is None else Silhouette(mask)
    return PhotographedPerson(file, height, width, box, area, joints, silhouette, _hands(annotation))


def _joints(values: Any, file: Path) -> np.ndarray | None:
    """(17,3), or None where none is labelled."""
    if not values:
        return None
    joints = np.asarray(values, np.float32).reshape(-1, 3)
    if len(joints) != JOINTS:
        raise ValueError(f"{file} has a person of {len(joints)} joints; COCO's people have {JOINTS}")
    return joints if (joints[:, 2] > 0).any() else None


def _hands(annotation: Mapping[str, Any]) -> np.ndarray | None:
    """(2,21,3), left and right; None without COCO-WholeBody's hands."""
    sides = [annotation.get(f"{side}hand_kpts") for side in ("left", "right")]
    if not any(sides):
        return None
    return np.stack([np.asarray(side or [0.0] * 63, np.float32).reshape(21, 3) for side in sides])


def _box(given: Any, joints: np.ndarray | None, mask: np.ndarray | None) -> Box:
    """The box given, else that of the mask, else that of the joints."""
    if given:
        left, top, width, height = (float(value) for value in given)
        return Box(left, top, left + width, top + height)
    if mask is not None:
        return Box.around_mask(torch.from_numpy(mask))
    points = np.zeros((1, 2)) if joints is None else joints[joints[:, 2] > 0, :2]
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return Box(float(x0), float(y0), float(x1), float(y1))


# Masks


def decode_segmentation(value: Any, height: int, width: int) -> np.ndarray:
    """(H,W) bool of COCO's polygons [[x0, y0, x1, y1, ...], ...] or run lengths {"size", "counts"}."""
    if isinstance(value, Mapping):
        rows, columns = value["size"]
        counts = value["counts"]
        runs = read_counts(counts) if isinstance(counts, str) else list(counts)
        if (rows, columns) != (height, width) or sum(runs) != height * width:
            raise ValueError(
                f"a run-length mask of {columns}x{rows} does not fit its picture of {width}x{height} pixels"
            )
        inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return inside.reshape(width, height).T.copy()
    return _draw_polygons(value, height, width)


def read_counts(text: str) -> list[int]:
    """The run lengths that COCO packs into a string: 5 bits a character, differences to two runs before."""
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - 48
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return runs


def _draw_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """Pixels whose centre lies in one of the polygons."""
    mask = np.zeros((height, width), bool)
    for polygon in polygons:
        mask |= _inside(np.asarray(polygon, float).reshape(-1, 2), height, width)
    return mask


def _inside(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels to whose left an odd number of edges of the polygon (n,2) crosses their line."""
    across = np.arange(width) + 0.5
    inside = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = np.clip(np.ceil(np.array([min(y0, y1), max(y0, y1)]) - 0.5), 0, height).astype(int)
        lines = np.arange(low, high) + 0.5
        if len(lines):
            crossing = x0 + (lines - y0) * (x1 - x0) / (y1 - y0)
            inside[low:high] ^= crossing[:, None] <= across
    return inside
