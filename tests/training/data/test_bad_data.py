"""Bad data of every kind is named: a missing file, unequal sizes, a wrong order of the joints, masks of other
sizes, NaN, missing captions, a full disk.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figura.tests.training.data import public_formats
from figura.training.data import command, space
from figura.training.data.hands import hand_layout, open_arrays
from figura.training.data.pairs import build_pairs, open_part
from figura.training.data.people import PeopleDataset
from PIL import Image
from torch import nn

COCO, PAIRS, HANDS = "coco", "pairs", "hands"
COUNT, SIDE = 12, 160
FILES = {COCO: "people.json", PAIRS: "joints.csv", HANDS: "hands.jsonl"}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each format, all of it as it should be."""
    folder = tmp_path_factory.mktemp("good")
    (folder / HANDS).mkdir()
    (folder / COCO).mkdir()
    public_formats.write_coco(folder / COCO, COUNT, SIDE)
    public_formats.write_dptn(folder / PAIRS, 4, (256, 176))
    public_formats.write_hands(folder / HANDS, 4, SIDE)
    return folder


@pytest.fixture
def data(good: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(good, tmp_path / "data"))


def run(data: Path, kind: str) -> int:
    out = ["--data", str(data / "out")]
    if kind == PAIRS:
        return command.main([*public_formats.dptn_words(data / PAIRS), "--sides", "64", "48", *out])
    common = ["--size", "64", "--held-out", "1", *out]
    if kind == HANDS:
        return command.main(["import", "hands", str(data / HANDS / "hands.jsonl"), *common])
    return command.main([*public_formats.coco_words(data / COCO, "phac"), *common])


def rewritten(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def every_line(path: Path, **change: Any) -> None:
    lines = [json.dumps({**json.loads(line), **change}) for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))


def upside_down(content: dict[str, Any]) -> dict[str, Any]:
    """All joints seen, feet first; everybody is somebody else's box away from being the same person."""
    for each in content["annotations"]:
        joints = np.array(each["keypoints"]).reshape(17, 3)
        joints[:, 1] = np.linspace(SIDE - 5, 5, 17)
        joints[:, 2] = 2
        each["keypoints"] = joints.flatten().tolist()
    return content


def tips_first(data: Path) -> None:
    """Hands in InterHand's order."""
    path = data / HANDS / "hands.jsonl"
    hands = [json.loads(line) for line in path.read_text().splitlines()]
    for hand in hands:
        fingers = np.array(hand["joints"])[1:].reshape(5, 4, 3)
        hand["joints"] = [*fingers[:, ::-1].reshape(20, 3).tolist(), hand["joints"][0]]
    path.write_text("\n".join(json.dumps(hand) for hand in hands))


def people_with(**change: Any) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        def changed(content: dict[str, Any]) -> dict[str, Any]:
            return {**content, "annotations": [{**each, **change} for each in content["annotations"]]}

        rewritten(data / COCO / "people.json", changed)

    return spoil


def joints_of_pairs(y: str, x: str) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        path = data / PAIRS / "joints.csv"
        names = [line.split(":")[0] for line in path.read_text().splitlines()[1:]]
        lines = "\n".join(f"{name}: {y}: {x}" for name in names)
        path.write_text(f"name:keypoints_y:keypoints_x\n{lines}\n")

    return spoil


def smaller(*names: str) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        path = data.joinpath(*names)
        Image.open(path).convert("L").resize((40, 90)).save(path)

    return spoil


def gone(*names: str) -> Callable[[Path], None]:
    return lambda data: data.joinpath(*names).unlink()


FEET_FIRST = json.dumps([200 - 10 * number for number in range(18)])
NAN = json.dumps([float("nan")] * 18)
CASES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a missing picture of people": (COCO, gone(COCO, "3.png"), "no picture .*3.png: it is named in the"),
    "a missing picture of a pair": (
        PAIRS, gone(PAIRS, "img", "id_00001_back.png"), "no picture .*id_00001_back.png, which a pair names"),
    "missing labels of a pair": (
        PAIRS, gone(PAIRS, "densepose", "id_00001_back.png"), "no DensePose .*id_00001_back.png, which"),
    "a missing picture of a hand": (HANDS, gone(HANDS, "hand_1.png"), "no image .*hand_1.png, which the"),
    "a missing mask of a hand": (HANDS, gone(HANDS, "mask_1.png"), "no mask .*mask_1.png, which the list"),
    "a missing list": (HANDS, gone(HANDS, "hands.jsonl"), "no list of hands at .*hands.jsonl"),
    "missing joints": (PAIRS, gone(PAIRS, "joints.csv"), "no joints at .*joints.csv"),
    "a picture of another size": (
        COCO, smaller(COCO, "3.png"), "3.png has 40x90 pixels, but annotations.json says 160x160"),
    "labels of another shape": (
        PAIRS, smaller(PAIRS, "densepose", "id_00001_back.png"), "has 40x90 pixels, its picture 176x256"),
    "a mask of another size": (
        COCO, people_with(segmentation={"size": [8, 8], "counts": [64]}), "mask of 8x8 does not fit"),
    "a hand's mask of another size": (HANDS, smaller(HANDS, "mask_1.png"), r"mask_1.png has \(40, 90\)"),
    "heads below feet": (
        COCO, lambda data: rewritten(data / COCO / "people.json", upside_down), "most heads are below"),
    "heads below feet in pairs": (
        PAIRS, joints_of_pairs(FEET_FIRST, FEET_FIRST), "most heads are below their feet"),
    "hands whose tips come first": (
        HANDS, tips_first, "fingers of most hands fall apart: .* order 'openpose'; try --order interhand"),
    "NaN": (COCO, people_with(keypoints=[float("nan")] * 51), "has joints that are no numbers"),
    "NaN in pairs": (PAIRS, joints_of_pairs(NAN, NAN), "has not 18 numbers for each of its joints"),
    "NaN in hands": (
        HANDS, lambda data: every_line(data / HANDS / "hands.jsonl", joints=[[float("nan"), 1]] * 21),
        "line 1 has joints that are no numbers"),
    "missing captions": (
        COCO, lambda data: (data / COCO / "captions.json").write_text("{}") and None,
        "has no caption: give --captions"),
    "a missing file of captions": (COCO, gone(COCO, "captions.json"), "no captions at .*captions.json"),
    "missing captions of hands": (
        HANDS, lambda data: every_line(data / HANDS / "hands.jsonl", caption=""), "line 1 lacks caption"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_data_are_named(case: str, data: Path) -> None:
    kind, spoil, message = CASES[case]
    spoil(data)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(data, kind)
    assert not list((data / "out" / "train").rglob("captions.json"))  # nothing looks finished


@pytest.mark.parametrize("kind", FILES)
def test_good_data_are_imported(kind: str, data: Path) -> None:
    assert run(data, kind) == 0


@pytest.mark.parametrize("kind", FILES)
def test_a_full_disk_is_named_before_anything_is_read(kind: str, data: Path, monkeypatch) -> None:
    monkeypatch.setattr(space.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(
        OSError, match=r"0.0 GiB are needed and 0.0 GiB are free: choose another --data folder"
    ):
        run(data, kind)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ({"joints": np.zeros((3, 18, 3), np.float32)}, "joints.npy has 3 rows, captions.json 2"),
        (
            {"visible_mask": np.zeros((2, 1, 4, 8), np.uint8)},
            "visible_mask.npy has 8x4 pixels, occluded.npy 8x8",
        ),
        (
            {"joints": np.full((2, 18, 3), np.nan, np.float32)},
            "joints.npy holds NaN or infinity, first in row 0",
        ),
    ],
)
def test_arrays_of_ones_own_that_do_not_fit_are_named(tmp_path: Path, array: dict, message: str) -> None:
    own = {"occluded": np.zeros((2, 3, 8, 8), np.uint8), "joints": np.zeros((2, 18, 3), np.float32), **array}
    for name, values in own.items():
        np.save(tmp_path / f"{name}.npy", values)
    public_formats.write_json(tmp_path / "captions.json", ["a", "b"])
    with pytest.raises(ValueError, match=message):
        PeopleDataset.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "source_densepose",
            lambda values: values[:, ::2],
            "source_densepose.npy has 48x24 pixels, source.npy 48x48",
        ),
        (
            "target_joints",
            lambda values: values * np.nan,
            "target_joints.npy holds NaN or infinity, first in row 0",
        ),
        ("target", lambda values: values[:1], "target.npy has 1 rows, captions.json 2"),
    ],
)
def test_pairs_of_ones_own_that_do_not_fit_are_named(
    tmp_path: Path, name: str, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    build_pairs(tmp_path, 2, 1, 48, processes=1)
    file = tmp_path / "train" / "pairs" / f"{name}.npy"
    np.save(file, change(np.load(file)))
    with pytest.raises(ValueError, match=message):
        open_part(file.parent, nn.Identity())


@pytest.mark.parametrize("array", ["images", "masks", "joints"])
def test_hands_of_ones_own_that_do_not_fit_are_named(tmp_path: Path, array: str) -> None:
    layout = {name: np.zeros(shape, kind) for name, (shape, kind) in hand_layout(2, 8).items()}
    layout[array] = layout[array][:1]
    for name, values in layout.items():
        np.save(tmp_path / f"{name}.npy", values)
    public_formats.write_json(tmp_path / "captions.json", ["a", "b"])
    with pytest.raises(ValueError, match=f"{array}.npy has 1 rows, captions.json 2"):
        open_arrays(tmp_path, hand_layout)


@pytest.mark.parametrize(
    "words",
    [
        "synth --count 0", "synth --count -3", "synth --count 2 --held-out 0", "synth --count 2 --size 7",
        "synth --count 2 --processes 0", "import pairs nowhere --sides 64 0",
        "import coco nowhere --annotations no.json --for phac --caption a --held-out -1",
    ],
)  # fmt: skip
def test_numbers_of_which_no_data_can_be_made_are_named(tmp_path: Path, words: str) -> None:
    with pytest.raises(ValueError, match=r"--(count|held-out|size|sides|processes) is .*or more is accepted"):
        command.main([*words.split(), "--data", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
