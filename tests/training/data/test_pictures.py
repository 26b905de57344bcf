"""Picture files as cameras and programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from figura.people.boxes import Box
from figura.training.data.backgrounds import open_backgrounds
from figura.training.data.imported_pairs import import_pairs
from figura.training.data.photos import PhotographedPerson
from figura.training.data.pictures import as_rgb, picture_size, read_picture
from PIL import Image

TOP = np.zeros((40, 60, 3), np.uint8)
TOP[:20] = 255


def turned(path: Path) -> Path:
    """A picture, white above, as a camera on its side stores it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(TOP).rotate(90, expand=True).save(path, exif=exif)
    return path


def test_pictures_are_upright_unless_what_belongs_to_them_lies(tmp_path: Path) -> None:
    path = turned(tmp_path / "a.png")
    assert picture_size(path) == (60, 40) and read_picture(path).size == (60, 40)
    assert np.array_equal(np.asarray(read_picture(path)), TOP)
    assert read_picture(path, (60, 40)).size == (60, 40)
    assert read_picture(path, (40, 60)).size == (40, 60)


def test_a_photograph_that_was_annotated_upright_is_read_so(tmp_path: Path) -> None:
    path = turned(tmp_path / "a.png")
    person = PhotographedPerson(path, 40, 60, Box(0, 0, 9, 9), 81.0, None, None)
    assert torch.equal(person.image()[:, :20], torch.ones(3, 20, 60))


def test_pairs_and_backgrounds_are_upright(tmp_path: Path) -> None:
    for part in ("train", "held_out"):
        turned(tmp_path / f"{part}.png")
        (tmp_path / f"{part}.csv").write_text(f"source,target\n{part}.png,{part}.png\n")
    import_pairs(tmp_path, tmp_path, (40, 60))
    assert np.array_equal(np.load(tmp_path / "train/pairs/source.npy")[0].transpose(1, 2, 0), TOP)
    (tmp_path / "backgrounds").mkdir()
    turned(tmp_path / "backgrounds" / "a.png")
    found = open_backgrounds(tmp_path)
    assert found is not None and found.images[0].shape == (3, 40, 60)


def test_backgrounds_are_found_in_linked_folders_once(tmp_path: Path) -> None:
    own = tmp_path / "data" / "backgrounds"
    own.mkdir(parents=True)
    (tmp_path / "photographs").mkdir()
    turned(tmp_path / "photographs" / "a.JPG")
    (tmp_path / "photographs" / "b.jpg").write_bytes(b"")
    (own / "linked").symlink_to(tmp_path / "photographs")
    (own / "round").symlink_to(own)
    found = open_backgrounds(tmp_path / "data")
    assert found is not None and len(found) == 1


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_grey_of_16_bits_keeps_its_levels(dtype: type) -> None:
    levels = np.array([[0, 257 * 100, 65535]], dtype)
    assert np.asarray(as_rgb(Image.fromarray(levels)))[0, :, 0].tolist() == [0, 100, 255]


def test_what_is_transparent_is_white() -> None:
    picture = Image.fromarray(np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint8))
    assert np.asarray(as_rgb(picture)).tolist() == [[[255] * 3, [10, 20, 30]]]
    palette = Image.new("P", (1, 1))
    palette.info["transparency"] = 0
    assert np.asarray(as_rgb(palette)).tolist() == [[[255] * 3]]


@pytest.mark.parametrize("keeps", [0, 200])
def test_damaged_pictures_are_named(tmp_path: Path, keeps: int) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:keeps])
    with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture"):
        read_picture(path)


def test_pictures_of_a_size_that_nothing_has_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = turned(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture .*exceeds limit"):
        read_picture(path)
