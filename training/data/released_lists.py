"""The lists that HumanSD's and PoCoLD's own code trains on, and HaGRID's annotations, brought to what other
imports read: COCO's annotations, lines of pairs, lines of hands.
"""

from __future__ import annotations

import importlib
import json
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...models.files import write_then_rename
from .people import write_json
from .pictures import picture_size
from .texts import floats, lines_of, parse, read_table, read_text

SCORE = 0.02
"""Joints of no higher score count as missing, as in HumanSD's configuration."""
PEOPLE_AT_MOST = 10
HUMANSD_FIELDS = ("img_path", "pose_path", "prompt")
POCOLD_FIELDS = ("from_image", "to_image")
PICTURES, DENSEPOSE = "img_highres", "img_dp"
"""Folders in the places of a picture and of its DensePose, as PoCoLD's script replaces them."""
NO_GESTURE = "no_gesture"
NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy", "_codecs", "numpy._core.numeric")
NAMES = ("_reconstruct", "scalar", "ndarray", "dtype", "encode", "_frombuffer")


# HumanSD


def humansd_as_coco(mapping: Path, folder: Path, out: Path) -> tuple[Path, dict[str, str]]:
    """HumanSD's mapping file as COCO's annotations, and the texts by file name.

    Args:
        mapping: JSON, {key: {"img_path", "pose_path", "prompt"}}; paths are relative to `folder`.
        folder: of pictures and poses (.npz of mmpose's results: keypoints (17,3) and a score each).
        out: the annotations to write.

    Raises:
        FileNotFoundError, ValueError: naming the entry and what it lacks.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for key, entry in _object(mapping).items():
        lacking = [name for name in HUMANSD_FIELDS if not isinstance(entry, dict) or not entry.get(name)]
        if lacking:
            raise ValueError(f"{mapping}: {key} lacks {', '.join(lacking)}")
        name = entry["img_path"]
        if name in texts:
            continue
        width, height = _size(folder / name, f"{mapping}: {key}")
        images.append({"id": len(images), "file_name": name, "width": width, "height": height})
        texts[name] = entry["prompt"]
        for joints in _poses(folder / entry["pose_path"], f"{mapping}: {key}"):
            annotations.append(_annotation(joints, width, height, len(images) - 1, len(annotations)))
    if not images:
        raise ValueError(f"{mapping} names no pictures")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, {"images": images, "annotations": annotations})
    return out, texts


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"no list at {path}")
    content = parse(read_text(path), str(path))
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no JSON object of entries by name")
    return content


def _size(file: Path, where: str) -> tuple[int, int]:
    if not file.is_file():
        raise FileNotFoundError(f"no picture {file}, which {where} names")
    return picture_size(file)


def _poses(file: Path, where: str) -> Iterator[np.ndarray]:
    if not file.is_file():
        raise FileNotFoundError(f"no poses {file}, which {where} names")
    for person in list(read_objects(file))[:PEOPLE_AT_MOST]:
        joints = floats(person.get("keypoints") if isinstance(person, Mapping) else ())
        if joints.shape != (17, 3):
            raise ValueError(f"{file} has a person with joints of shape {joints.shape}: (17, 3) is wanted")
        if not np.isfinite(joints).all():
            raise ValueError(f"{file} has joints that are no numbers: correct the file")
        yield joints


def _annotation(joints: np.ndarray, width: int, height: int, image: int, number: int) -> dict[str, Any]:
    inside = ((joints[:, :2] >= 0) & (joints[:, :2] < (width, height))).all(1) & (joints[:, 2] > SCORE)
    known = joints[inside, :2]
    low, span = (known.min(0), np.ptp(known, axis=0)) if len(known) else (np.zeros(2), np.zeros(2))
    flags = np.column_stack([joints[:, :2] * inside[:, None], 2 * inside])
    return {
        "id": number, "image_id": image, "iscrowd": 0, "bbox": [*low.tolist(), *span.tolist()],
        "keypoints": flags.flatten().tolist(), "num_keypoints": int(inside.sum()),
    }  # fmt: skip


class _Arrays(pickle.Unpickler):
    """Makes arrays of numpy and plain values, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module not in NUMPY or name not in NAMES:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return getattr(importlib.import_module(module), name)


def read_objects(file: Path) -> Sequence[Any]:
    """The first array of objects of an .npz file; ValueError for a file that holds more than data."""
    try:
        with zipfile.ZipFile(file) as packed, packed.open(packed.namelist()[0]) as entry:
            version = np.lib.format.read_magic(entry)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            _, _, dtype = read(entry)
            if not dtype.hasobject:
                raise ValueError("its array holds no people")
            return list(np.atleast_1d(_Arrays(entry).load()))
    except (zipfile.BadZipFile, pickle.UnpicklingError, ValueError, IndexError) as error:
        raise ValueError(f"{file} is no .npz of mmpose's results: {error}") from error


# PoCoLD


def pocold_lines(listed: Path) -> list[dict[str, Any]]:
    """Pairs as PoCoLD's script lists them, as lines of `imported_pairs`.

    listed: a folder of the package datasets (`save_to_disk`), or a .csv or .jsonl of it, with the columns
    from_image and to_image, paths with img_highres in them; DensePose lies in img_dp, as .png. Raises
    FileNotFoundError and ValueError that name what lacks.
    """
    rows = list(_rows(listed))
    for number, row in enumerate(rows or [{}], start=1):
        lacking = [name for name in POCOLD_FIELDS if not isinstance(row.get(name), str)]
        if lacking:
            raise ValueError(
                f"{listed} has no paths in {' and '.join(lacking)}, first in row {number}: both are wanted"
            )
    return [
        {
            "source": row["from_image"], "target": row["to_image"],
            "source_densepose": densepose_of(row["from_image"]),
            "target_densepose": densepose_of(row["to_image"]),
        }
        for row in rows
    ]  # fmt: skip


def _rows(listed: Path) -> Iterable[dict[str, Any]]:
    if listed.is_dir():
        try:
            from datasets import load_from_disk  # type: ignore[import-not-found]
        except ImportError as error:
            raise ImportError(
                f"{listed} is a folder of the package datasets: pip install datasets"
            ) from error
        return load_from_disk(str(listed))
    if not listed.is_file():
        raise FileNotFoundError(f"no list of pairs at {listed}")
    if listed.suffix.lower() == ".csv":
        return read_table(listed, POCOLD_FIELDS)
    rows = [parse(line, where) for line, where in lines_of(listed)]
    return [row if isinstance(row, dict) else {} for row in rows]


def densepose_of(picture: str) -> str:
    """Where PoCoLD's script has the DensePose of a picture.

    >>> densepose_of("data/img_highres/WOMEN/a.jpg")
    'data/img_dp/WOMEN/a.png'
    """
    return picture.replace(PICTURES, DENSEPOSE).rsplit(".", 1)[0] + ".png"


# HaGRID


def hagrid_hands(annotations: Path, images: Path, masks: Path, out: Path) -> Path:
    """HaGRID's annotations as a list of hands for `imported_hands`; of masks, which it has not, a folder.

    Args:
        annotations: a JSON file of one gesture, or a folder of them.
        images: folder with one folder a gesture, KEY.jpg in it.
        masks: folder with KEY_0.png for the first hand of a picture, KEY_1.png for the second.
        out: the list to write.

    Raises:
        FileNotFoundError, ValueError: naming the file and what it lacks.
    """
    files = sorted(annotations.glob("*.json")) if annotations.is_dir() else [annotations]
    lines = [line for file in files for line in _hagrid_lines(file, images, masks)]
    if not lines:
        raise ValueError(f"{annotations} has no hand with 21 landmarks: HaGRID's annotations are wanted")
    out.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(json.dumps(line) for line in lines) + "\n"
    write_then_rename(out, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
    return out


def _hagrid_lines(file: Path, images: Path, masks: Path) -> Iterator[dict[str, Any]]:
    for key, entry in _object(file).items():
        if not isinstance(entry, dict) or not isinstance(entry.get("labels"), list):
            raise ValueError(f"{file}: {key} lacks labels: HaGRID's annotations are wanted")
        landmarks = entry.get("hand_landmarks") or entry.get("landmarks") or []
        place = images / file.stem / f"{key}.jpg"
        for number, (points, label) in enumerate(zip(landmarks, entry["labels"], strict=False)):
            if len(points or ()) != 21:
                continue  # a hand of which MediaPipe found nothing
            if floats(points).shape != (21, 2):
                raise ValueError(f"{file}: {key} has landmarks that are not 21 of x and y")
            width, height = _size(place, f"{file}: {key}")
            left = (entry.get("leading_hand") == "left") == (label != NO_GESTURE)
            words = label.replace("_", " ")
            yield {
                "image": str(place.absolute()), "mask": str((masks / f"{key}_{number}.png").absolute()),
                "joints": [[x * width, y * height] for x, y in points], "left": left,
                "caption": f"a {'left' if left else 'right'} hand, {words}",
            }  # fmt: skip
