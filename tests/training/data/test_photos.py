"""Annotated photographs: what is read from COCO's annotations, and masks against pycocotools."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figura.training.data.photos import Silhouette, decode_segmentation, open_photos, read_counts
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

pycocotools = pytest.importorskip("pycocotools.mask")
HEIGHT, WIDTH = 40, 30
JOINTS = [[5.0 + index, 8.0 + index % 2, 2] for index in range(17)]


def write_folder(folder: Path, *people: dict[str, Any], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    Image.fromarray(np.full((size[1], size[0], 3), 100, np.uint8)).save(folder / "a.png")
    image = {"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
    annotations = [{"image_id": 7, "id": number, **person} for number, person in enumerate(people)]
    content = {"images": [image], "annotations": annotations}
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def flat(joints: list[list[float]]) -> list[float]:
    return [value for joint in joints for value in joint]


def blob(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((y - 20) / 15) ** 2 + ((x - 15) / 9) ** 2 + rng.normal(0, 0.2, (HEIGHT, WIDTH)) < 1


@pytest.mark.parametrize("seed", range(4))
def test_run_lengths_are_those_of_pycocotools(seed: int) -> None:
    mask = blob(seed)
    packed = pycocotools.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = packed["counts"].decode()
    assert np.array_equal(decode_segmentation({"size": packed["size"], "counts": text}, HEIGHT, WIDTH), mask)
    plain = {"size": packed["size"], "counts": read_counts(text)}
    again = pycocotools.frPyObjects(plain, HEIGHT, WIDTH)
    assert again["counts"] == packed["counts"]
    assert np.array_equal(decode_segmentation(plain, HEIGHT, WIDTH), mask)


def test_long_runs_and_empty_masks_are_read() -> None:
    for mask in (np.zeros((300, 500), bool), np.ones((300, 500), bool)):
        packed = pycocotools.encode(np.asfortranarray(mask.astype(np.uint8)))
        value = {"size": packed["size"], "counts": packed["counts"].decode()}
        assert np.array_equal(decode_segmentation(value, 300, 500), mask)


def test_polygons_are_filled_as_pycocotools_does_up_to_their_edges() -> None:
    polygons = [
        [4.0, 3.0, 22.0, 6.0, 18.0, 35.0, 6.0, 30.0],
        [24.0, 30.0, 28.0, 30.0, 28.0, 38.0, 24.0, 38.0],
    ]
    ours = decode_segmentation(polygons, HEIGHT, WIDTH)
    theirs = pycocotools.decode(pycocotools.merge(pycocotools.frPyObjects(polygons, HEIGHT, WIDTH))) > 0
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.95
    assert ours[15, 12] and ours[34, 27] and not ours[15, 27]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_a_kept_silhouette_is_the_mask_in_an_eighth_of_its_bytes(seed: int, height: int, width: int) -> None:
    drawn = np.random.default_rng(seed)
    mask = drawn.random((height, width)) < 0.1
    mask[drawn.integers(height), drawn.integers(width)] = True
    kept = Silhouette(mask)
    assert np.array_equal(kept.mask(), mask) and kept.mask().dtype == bool
    assert kept.bits.nbytes <= -(-mask.nbytes // 8)


def test_a_person_has_what_the_annotation_has(tmp_path: Path) -> None:
    polygon = [[2.0, 2.0, 20.0, 2.0, 20.0, 30.0, 2.0, 30.0]]
    folder = write_folder(
        tmp_path,
        {"bbox": [2, 3, 10, 20], "keypoints": flat(JOINTS), "segmentation": polygon, "area": 77.0},
        {"bbox": [1, 1, 8, 8]},
        {"segmentation": polygon},
        {"keypoints": flat(JOINTS)},
    )
    whole, boxed, drawn, jointed = open_photos(folder)
    assert whole.box == (2, 3, 12, 23) and whole.area == 77.0
    assert whole.joints is not None and whole.joints[3].tolist() == [8, 9, 2]
    assert whole.mask is not None and whole.mask.sum() == 18 * 28
    assert boxed.joints is None and boxed.mask is None and boxed.area == 64
    assert drawn.mask is not None and drawn.box == (2, 2, 20, 30) and drawn.area == drawn.mask.sum()
    assert jointed.box == (5, 8, 21, 9) and jointed.mask is None
    assert whole.image().shape == (3, HEIGHT, WIDTH)


def test_crowds_and_those_without_a_place_are_left_out(tmp_path: Path) -> None:
    nobody = flat([[0.0, 0.0, 0]] * 17)
    folder = write_folder(
        tmp_path, {"bbox": [1, 1, 8, 8], "iscrowd": 1}, {"keypoints": nobody}, {"bbox": [2, 2, 5, 5]}
    )
    assert [person.box for person in open_photos(folder)] == [(2, 2, 7, 7)]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"annotations\.json"):
        open_photos(tmp_path)
    (tmp_path / "annotations.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(ValueError, match="images and annotations"):
        open_photos(tmp_path)
    (tmp_path / "annotations.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="no JSON"):
        open_photos(tmp_path)
    write_folder(tmp_path, {"bbox": [1, 1, 8, 8], "keypoints": [1, 2, 2]})
    with pytest.raises(ValueError, match="17"):
        open_photos(tmp_path)
    write_folder(tmp_path, {"segmentation": {"size": [5, 5], "counts": [25]}})
    with pytest.raises(ValueError, match="30x40"):
        open_photos(tmp_path)
    write_folder(tmp_path, {"iscrowd": 1, "bbox": [1, 1, 2, 2]})
    with pytest.raises(ValueError, match="no person"):
        open_photos(tmp_path)


def test_a_missing_picture_and_one_of_another_size_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path, {"bbox": [1, 1, 8, 8]}, size=(10, 12))
    (person,) = open_photos(tmp_path)
    with pytest.raises(ValueError, match="10x12"):
        person.image()
    (tmp_path / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.png"):
        open_photos(tmp_path)
